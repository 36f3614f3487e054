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

static struct world *begin(enum sim_fault fault, bool tls, const struct identity *id, const char *provider)
{
    static char yaml[1024];
    struct story s;

    snprintf(yaml, sizeof yaml,
             "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
             "endpoints: [{name: one, provider: %s, url: '%s', key: none%s%s}]\n"
             "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n",
             provider, tls ? "https://10.0.0.1:80/v1" : "http://10.0.0.1/v1", tls ? ", ca_file: " : "",
             tls ? id->file : "");
    story_init(&s, yaml);
    s.more = "timeouts: {connect: 2s, transport: 12s, progress: 6s, deadline: 30s, hold: 60s}\n";
    s.one.fault_p[fault] = fault != SIM_NONE;
    s.one.fault_after = 5;
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

static void try(const struct row *r, bool stream, const struct identity *id)
{
    bool tls = r->fault != SIM_NONE && sim_fault_row(r->fault)->phase == SIM_PHASE_TLS, fine;
    const char *provider = r->fault == SIM_LOADING ? "llama" : "openai";
    enum outcome want = stream ? r->stream : r->plain;
    struct world *w = begin(r->fault, tls, id, provider);
    struct caller *c = story_ask(w, story_body("any", stream, PROMPT, NULL));

    CHECK(story_wait(w, c, 100 * STORY_S));
    world_run(w, STORY_S);
    fine = has_one_outcome(w, want);
    if (!is_told(c, r->fault, want, stream) || !fine)
        printf("# %s, %s\n", sim_fault_row(r->fault)->label, stream ? "stream" : "plain");
    caller_free(&c);
    story_end(&w);
}

TEST(every_fault_has_one_right_outcome)
{
    struct identity id;

    make_identity(&id);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        for (int stream = 0; stream < 2; stream++)
            try(&ROWS[i], stream, &id);
    }
    drop_identity(&id);
}

TEST(no_fault_is_forgotten)
{
    CHECK_INT((long long)COUNT_OF(ROWS), SIM_FAULT_N);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        CHECK_INT(ROWS[i].fault, (long long)i);
}
