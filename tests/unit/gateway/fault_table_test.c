/* SPDX-License-Identifier: MIT */
/* Every fault of the simulator, plain and streaming, has exactly one outcome in the gateway, and it is the
 * right one: one call is counted, the client hears of it once and in a way that its status, its code or its
 * last event says, and no answer that is not whole looks whole. */
#include "io/tls.h"
#include "support/story.h"
#include "tap.h"

#define PROMPT "faults"

/* Which outcome a fault has: in a plain answer, and in a stream. */
static const struct row {
    enum sim_fault fault;
    enum outcome plain, stream;
} ROWS[] = {
    {SIM_NONE, OUTCOME_OK, OUTCOME_OK},
    {SIM_REFUSE, OUTCOME_REFUSED, OUTCOME_REFUSED},
    {SIM_CONNECT_HANG, OUTCOME_CONNECT_TIMEOUT, OUTCOME_CONNECT_TIMEOUT},
    {SIM_TLS_HANG, OUTCOME_CONNECT_TIMEOUT, OUTCOME_CONNECT_TIMEOUT},
    {SIM_TLS_CLOSE, OUTCOME_TLS, OUTCOME_TLS},
    {SIM_TLS_WRONG, OUTCOME_TLS, OUTCOME_TLS},
    {SIM_HANG, OUTCOME_DEADLINE, OUTCOME_TRANSPORT_TIMEOUT}, /* a plain answer has the deadline alone */
    {SIM_DROP, OUTCOME_RESET, OUTCOME_RESET},
    {SIM_HALF_CLOSE, OUTCOME_RESET, OUTCOME_RESET},
    {SIM_GARBAGE, OUTCOME_MALFORMED, OUTCOME_MALFORMED},
    {SIM_RESET_HEAD, OUTCOME_TRUNCATED, OUTCOME_TRUNCATED},
    {SIM_SLOW_HEAD, OUTCOME_OK, OUTCOME_OK},
    {SIM_400, OUTCOME_CLIENT_ERROR, OUTCOME_CLIENT_ERROR},
    {SIM_401, OUTCOME_CREDENTIAL, OUTCOME_CREDENTIAL},
    {SIM_402, OUTCOME_BALANCE, OUTCOME_BALANCE},
    {SIM_404, OUTCOME_CLIENT_ERROR, OUTCOME_CLIENT_ERROR},
    {SIM_422, OUTCOME_CLIENT_ERROR, OUTCOME_CLIENT_ERROR},
    {SIM_429, OUTCOME_ACCOUNT_BUSY, OUTCOME_ACCOUNT_BUSY},
    {SIM_500, OUTCOME_SERVER_ERROR, OUTCOME_SERVER_ERROR},
    {SIM_502, OUTCOME_SERVER_ERROR, OUTCOME_SERVER_ERROR},
    {SIM_503, OUTCOME_SERVER_BUSY, OUTCOME_SERVER_BUSY},
    {SIM_529, OUTCOME_SERVER_BUSY, OUTCOME_SERVER_BUSY},
    {SIM_LOADING, OUTCOME_LOADING, OUTCOME_LOADING},
    {SIM_CUT, OUTCOME_TRUNCATED, OUTCOME_TRUNCATED},
    {SIM_RESET, OUTCOME_TRUNCATED, OUTCOME_TRUNCATED},
    {SIM_STALL, OUTCOME_DEADLINE, OUTCOME_STALLED},
    {SIM_NO_DONE, OUTCOME_OK, OUTCOME_TRUNCATED}, /* a plain answer has no end mark */
    {SIM_MALFORMED, OUTCOME_MALFORMED, OUTCOME_MALFORMED},
    {SIM_ERROR, OUTCOME_SERVER_ERROR, OUTCOME_SERVER_ERROR},
    {SIM_RESOURCE, OUTCOME_SERVER_BUSY, OUTCOME_SERVER_BUSY},
    {SIM_EMPTY, OUTCOME_EMPTY, OUTCOME_EMPTY},
    {SIM_TOO_LONG, OUTCOME_TRUNCATED, OUTCOME_OK}, /* the end mark has come: what is behind it is nobody's */
    {SIM_TOO_SHORT, OUTCOME_MALFORMED, OUTCOME_MALFORMED},
    {SIM_BYTEWISE, OUTCOME_OK, OUTCOME_OK},
};

/* Certificates for the rows of phase TLS. */
struct identity {
    struct tls_config *tls, *wrong;
    char file[64];
};

static void make_identity(struct identity *id)
{
    int fd;

    snprintf(id->file, sizeof id->file, "/tmp/tidegate-faults-XXXXXX");
    fd = mkstemp(id->file);
    CHECK(fd >= 0 && close(fd) == 0);
    id->tls = tls_config_self_made("10.0.0.1");
    id->wrong = tls_config_self_made("wrong.invalid");
    CHECK(id->tls != NULL && id->wrong != NULL && tls_config_save(id->tls, id->file));
}

static void drop_identity(struct identity *id)
{
    tls_config_free(&id->tls);
    tls_config_free(&id->wrong);
    unlink(id->file);
}

/* One try of a row. */
struct trial {
    const struct row *row;
    bool stream;
    int after;   /* tokens before the fault shows, where it may stand anywhere */
    bool beside; /* a second endpoint is there, and healthy */
    const struct identity *id;
};

/* Faults that may stand anywhere are asked for by the model's name, with the place. */
static bool has_place(const struct trial *t)
{
    return t->row->fault != SIM_NONE && sim_fault_row(t->row->fault)->value == SIM_VALUE_K;
}

static struct caller *ask(const struct trial *t, struct world *w)
{
    char model[64];

    snprintf(model, sizeof model, "any~%s=%d", sim_fault_row(t->row->fault)->label, t->after);
    return story_ask(w, story_body(has_place(t) ? model : "any", t->stream, PROMPT, NULL));
}

static bool is_tls(const struct trial *t)
{
    return t->row->fault != SIM_NONE && sim_fault_row(t->row->fault)->phase == SIM_PHASE_TLS;
}

static struct world *begin(const struct trial *t)
{
    static char yaml[1024];
    enum sim_fault fault = t->row->fault;
    bool tls = is_tls(t);
    const struct identity *id = t->id;
    struct story s;

    snprintf(yaml, sizeof yaml,
             "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
             "endpoints:\n  - {name: one, provider: %s, url: '%s', key: none%s%s}\n"
             "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n"
             "models: [{name: '*', tiers: [[{endpoint: one}]%s]}]\n",
             fault == SIM_LOADING ? "llama" : "openai", tls ? "https://10.0.0.1:80/v1" : "http://10.0.0.1/v1",
             tls ? ", ca_file: " : "", tls ? id->file : "",
             t->beside ? ", [{endpoint: two, model: any}]" : "");
    story_init(&s, yaml);
    s.more = "timeouts: {connect: 2s, transport: 12s, progress: 6s, deadline: 30s, hold: 60s}\n";
    s.one.fault_p[fault] = fault != SIM_NONE && !has_place(t);
    if (tls) {
        s.ways.tls = id->tls;
        s.ways.wrong = id->wrong;
    }
    return story_begin(&s);
}

static int64_t calls_with(const struct world *w, enum outcome o)
{
    return world_metric(w, METRIC_CALLS, stats_endpoint_outcome(0, o));
}

static bool has_one_outcome(const struct world *w, enum outcome want)
{
    int64_t all = 0;

    for (int o = 0; o < OUTCOME_N; o++) {
        all += calls_with(w, (enum outcome)o);
        if (calls_with(w, (enum outcome)o) > 0 && o != (int)want)
            printf("# counted as %s\n", outcome_row((enum outcome)o)->label);
    }
    return CHECK_INT(all, 1) && CHECK_INT(calls_with(w, want), 1);
}

/* The provider's own words and status. */
static bool is_passed_on(const struct caller *c, enum sim_fault fault)
{
    static const struct {
        enum sim_fault fault;
        int status;
        const char *code;
    } WORDS[] = {{SIM_400, 400, "invalid_value"},
                 {SIM_404, 404, "model_not_found"},
                 {SIM_422, 422, "invalid_parameter"}};

    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (WORDS[i].fault == fault)
            return CHECK_INT(c->status, WORDS[i].status) && CHECK_STR(story_error_code(c), WORDS[i].code);
    }
    return CHECK(!"a fault whose words are known");
}

static bool is_told(const struct caller *c, enum sim_fault fault, enum outcome want, bool stream)
{
    const struct err_row *error = err_row(outcome_row(want)->err);
    struct slice whole = story_text(PROMPT, story_length(PROMPT)), got = buf_slice(&c->text);

    if (want == OUTCOME_OK)
        return CHECK(c->status == 200 && c->complete && c->done == stream && !c->error_event &&
                     slice_eq(got, whole));
    if (!CHECK(!c->done && (got.n < whole.n || stream)))
        return false;
    if (want == OUTCOME_CLIENT_ERROR)
        return CHECK(c->complete) && is_passed_on(c, fault);
    if (c->status == 200) /* it had begun: the last event says so, and the connection breaks off */
        return CHECK_STR(story_error_code(c), error->code) &&
               CHECK(stream && c->error_event && !c->complete && slice_starts(whole, got));
    return CHECK_STR(story_error_code(c), error->code) &&
           CHECK(c->complete && c->status == error->status && got.n == 0);
}

static void try(const struct trial *t, enum outcome want)
{
    struct world *w = begin(t);
    struct caller *c = ask(t, w);
    bool fine;

    CHECK(story_wait(w, c, 100 * STORY_S));
    world_run(w, STORY_S);
    fine = has_one_outcome(w, want);
    if (!is_told(c, t->row->fault, want, t->stream) || !fine)
        printf("# %s, %s, %d tokens\n", sim_fault_row(t->row->fault)->label, t->stream ? "stream" : "plain",
               t->after);
    caller_free(&c);
    story_end(&w);
}

/* A row says what a fault is in the middle of an answer. Silence behind the head alone is another one's. */
static enum outcome expected(const struct trial *t)
{
    if (t->stream && t->row->fault == SIM_STALL && t->after == 0)
        return OUTCOME_TRANSPORT_TIMEOUT;
    return t->stream ? t->row->stream : t->row->plain;
}

TEST(every_fault_has_one_right_outcome)
{
    struct identity id;

    make_identity(&id);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        for (int stream = 0; stream < 2; stream++) {
            struct trial t = {&ROWS[i], stream, 5, false, &id};
            try(&t, expected(&t));
        }
    }
    drop_identity(&id);
}

TEST(faults_that_may_stand_anywhere_are_told_right_at_the_beginning_and_at_the_end)
{
    int last = (int)story_length(PROMPT), tried_n = 0;

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        for (int k = 0; k < 6; k++) {
            struct trial t = {&ROWS[i], k % 2 == 1, k / 2 == 2 ? last : k / 2, false, NULL};

            if (!has_place(&t))
                continue;
            try(&t, expected(&t));
            tried_n++;
        }
    }
    CHECK_INT(tried_n, 6 * 6);
}

/* -- with a healthy endpoint beside ---------------------------------------------------------------------- */

/* Whether the answer has begun when the fault shows: then nobody else can give it. */
static bool has_begun(const struct trial *t)
{
    return t->stream && (has_place(t) ? t->after > 0 : t->row->fault == SIM_NO_DONE);
}

static void try_beside(const struct trial *t, enum outcome first)
{
    const struct outcome_row *row = outcome_row(first);
    struct world *w = begin(t);
    struct caller *c = ask(t, w);
    bool elsewhere = row->retry != OUTCOME_NEVER && !has_begun(t), fine;

    CHECK(story_wait(w, c, 100 * STORY_S));
    world_run(w, STORY_S);
    fine = CHECK_INT(calls_with(w, first), 1);
    fine = CHECK_INT(world_metric(w, METRIC_CALLS, stats_endpoint_outcome(1, OUTCOME_OK)), elsewhere) && fine;
    fine = CHECK_INT((long long)sim_stats(w->sims[1])->requests_n, elsewhere) && fine;
    fine = is_told(c, t->row->fault, elsewhere ? OUTCOME_OK : first, t->stream) && fine;
    fine = (!elsewhere || CHECK_STR(c->endpoint, "two")) && fine;
    if (!fine)
        printf("# %s beside, %s, %d tokens\n", sim_fault_row(t->row->fault)->label,
               t->stream ? "stream" : "plain", t->after);
    caller_free(&c);
    story_end(&w);
}

TEST(what_has_not_begun_is_had_elsewhere_and_nothing_else_is)
{
    struct identity id;

    make_identity(&id);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        for (int k = 0; k < 4; k++) {
            struct trial t = {&ROWS[i], k % 2 == 1, k / 2 * 5, true, &id};
            try_beside(&t, expected(&t));
        }
    }
    drop_identity(&id);
}

TEST(no_fault_is_forgotten)
{
    CHECK_INT((long long)COUNT_OF(ROWS), SIM_FAULT_N);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        CHECK_INT(ROWS[i].fault, (long long)i);
}
