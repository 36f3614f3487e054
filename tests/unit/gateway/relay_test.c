/* SPDX-License-Identifier: MIT */
/* The relay: golden streams of several providers, whole and in every two pieces, small ones in every three,
 * with and without usage; streams made by dice; bounds. */
#include "gateway/relay.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "support/golden.h"
#include "tap.h"

#define EVENT_MAX 1024
#define PAIRS_MAX 130 /* inputs up to this size are also cut at every two places */
#define OUT_MAX (1 << 24)

/* -- a relay under test --------------------------------------------------------------------------------- */

struct bench {
    struct relay relay;
    struct relay_opts opts;
    struct arena scratch;
    struct buf shown; /* slices that came in this turn: they must live until its end */
    struct buf out;   /* what the client gets */
    struct buf log;
    size_t firsts_n, dones_n, wrong_n; /* wrong: calls that come too early or too late */
    bool payload;
    enum outcome outcome;
};

static void on_first(void *ud)
{
    struct bench *b = ud;

    b->wrong_n += b->out.n > 0 || b->shown.n > 0 || b->firsts_n > 0;
    b->firsts_n++;
}

static void on_event(void *ud, struct slice event)
{
    struct bench *b = ud;

    b->wrong_n += b->firsts_n == 0 || b->dones_n > 0 || event.n == 0;
    b->wrong_n += buf_add(&b->shown, (struct slice){(const char *)&event, sizeof event}) != ERR_OK;
}

static void on_done(void *ud)
{
    struct bench *b = ud;

    b->wrong_n += b->firsts_n == 0 || b->dones_n > 0;
    b->dones_n++;
}

static const struct relay_sink SINK = {on_first, on_event, on_done};

static void bench_init(struct bench *b, enum dialect_id dialect)
{
    memset(b, 0, sizeof *b);
    b->opts = (struct relay_opts){.answer = {surface_get(SURFACE_CHAT), dialect_get(dialect)},
                                  .event_max = EVENT_MAX,
                                  .json = json_pool_new(16384),
                                  .scratch = &b->scratch};
    buf_init(&b->shown, OUT_MAX, NULL);
    buf_init(&b->out, OUT_MAX, NULL);
    buf_init(&b->log, OUT_MAX, NULL);
}

static void bench_fini(struct bench *b)
{
    buf_fini(&b->shown);
    buf_fini(&b->out);
    buf_fini(&b->log);
    json_pool_free(&b->opts.json);
}

static void bench_begin(struct bench *b, bool include_usage)
{
    b->opts.include_usage = include_usage;
    b->out.n = b->log.n = 0;
    b->firsts_n = b->dones_n = b->wrong_n = 0;
    b->payload = false;
    b->outcome = OUTCOME_OK;
    relay_init(&b->relay, &b->opts, &SINK, b);
}

/* A turn with one read. What is shown is sent at the turn's end; whatever the relay keeps for longer must not
 * be in the scratch memory. */
static void bench_feed(struct bench *b, struct slice bytes)
{
    bool payload = false;

    arena_init(&b->scratch, NULL, 0, 4096);
    b->outcome = relay_feed(&b->relay, bytes, &payload);
    b->payload |= payload;
    for (size_t at = 0; at < b->shown.n; at += sizeof(struct slice)) {
        struct slice event;

        memcpy(&event, b->shown.p + at, sizeof event);
        b->wrong_n += buf_add(&b->out, event) != ERR_OK;
    }
    b->shown.n = 0;
    arena_fini(&b->scratch);
}

/* -- the log -------------------------------------------------------------------------------------------- */

static void log_escaped(struct buf *log, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\n' || c == '\r')
            (void)!buf_printf(log, "\\%c", c == '\n' ? 'n' : 'r');
        else
            (void)!buf_printf(log, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
    }
}

/* What came out, an event a line, and how it ended. */
static void bench_end(struct bench *b)
{
    struct slice rest = buf_slice(&b->out);
    const struct relay *r = &b->relay;

    if (b->outcome == OUTCOME_OK)
        b->outcome = relay_end(&b->relay);
    while (rest.n > 0) {
        ptrdiff_t at = slice_find(rest, SLICE("\n\n"));
        size_t n = at < 0 ? rest.n : (size_t)at + 2;

        log_escaped(&b->log, (struct slice){rest.p, n});
        (void)!buf_add(&b->log, SLICE("\n"));
        rest = slice_from(rest, n);
    }
    (void)!buf_printf(&b->log, "%s%s%s", outcome_row(b->outcome)->label, b->dones_n > 0 ? " done" : "",
                      b->payload ? " payload" : "");
    if (r->usage.known)
        (void)!buf_printf(&b->log, " usage=%lld+%lld", (long long)r->usage.prompt_tokens,
                          (long long)r->usage.completion_tokens);
    if (r->failure_status != 0)
        (void)!buf_printf(&b->log, " status=%d", r->failure_status);
    if (r->detail[0] != '\0')
        (void)!buf_printf(&b->log, " words=[%s]", r->detail);
    if (b->wrong_n > 0)
        (void)!buf_printf(&b->log, " WRONG ORDER");
    (void)!buf_add(&b->log, SLICE("\n"));
    relay_fini(&b->relay);
}

/* -- golden streams ------------------------------------------------------------------------------------- */

struct replay {
    const struct golden_case *c;
    struct bench *bench;
    char *room; /* as large as the input and ends with its page; every piece is fed from its end, over the
                   one before it */
    bool include_usage;
    bool pairs; /* cut at every two places as well */
    struct slice want;
};

static bool replay(const struct replay *p, const size_t *cuts, size_t cuts_n)
{
    struct bench *b = p->bench;
    char *end = p->room + p->c->in_n;
    size_t at = 0;
    bool same;

    bench_begin(b, p->include_usage);
    for (size_t i = 0; i <= cuts_n; i++) {
        size_t to = i < cuts_n ? cuts[i] : p->c->in_n;

        memcpy(end - (to - at), p->c->in + at, to - at);
        bench_feed(b, (struct slice){end - (to - at), to - at});
        at = to;
    }
    bench_end(b);
    same = slice_eq(buf_slice(&b->log), p->want);
    if (!same) {
        printf("# %s, usage %d, first cut %zu of %zu\n", p->c->name, p->include_usage,
               cuts_n > 0 ? cuts[0] : 0, cuts_n);
        CHECK_MEM(b->log.p, b->log.n, p->want.p, p->want.n);
    }
    return same;
}

static bool replay_everywhere(const struct replay *p)
{
    size_t n = p->c->in_n, *all = mem_alloc((n + 1) * sizeof *all);
    bool same = replay(p, NULL, 0);

    for (size_t i = 0; same && i <= n; i++) {
        same = replay(p, &i, 1);
        for (size_t j = i; same && p->pairs && j <= n; j++)
            same = replay(p, (size_t[]){i, j}, 2);
        all[i] = i;
    }
    same = same && replay(p, all, n);
    mem_free(all);
    return same;
}

/* The log's part for clients that asked for usage begins with this line; without it nothing differs. */
#define ASKED "-- usage asked for\n"

static void check_golden(const char *file, enum surface_id surface, enum dialect_id dialect)
{
    struct golden g;
    struct bench b;

    bench_init(&b, dialect);
    b.opts.answer.surface = surface_get(surface);
    golden_load(&g, file);
    for (size_t i = 0; i < g.n; i++) {
        struct replay p = {.c = &g.cases[i], .bench = &b, .want = slice_of(g.cases[i].log)};
        ptrdiff_t asked = slice_find(p.want, SLICE(ASKED));
        struct slice second = asked < 0 ? p.want : slice_from(p.want, (size_t)asked + sizeof ASKED - 1);

        p.room = tap_guard(p.c->in, p.c->in_n);
        if (asked >= 0)
            p.want.n = (size_t)asked;
        p.pairs = p.c->in_n <= PAIRS_MAX;
        CHECK(replay_everywhere(&p));
        p.pairs &= asked >= 0;
        p.include_usage = true;
        p.want = second;
        CHECK(replay_everywhere(&p));
        tap_guard_free(p.room, p.c->in_n);
    }
    golden_free(&g);
    bench_fini(&b);
}

TEST(openai_streams_at_every_cut)
{
    check_golden("relay/openai.md", SURFACE_CHAT, DIALECT_OPENAI);
}

TEST(deepseek_streams_at_every_cut)
{
    check_golden("relay/deepseek.md", SURFACE_CHAT, DIALECT_DEEPSEEK);
}

TEST(streams_in_unusual_form_at_every_cut)
{
    check_golden("relay/forms.md", SURFACE_CHAT, DIALECT_OPENAI);
}

TEST(streams_that_fail_at_every_cut)
{
    check_golden("relay/failures.md", SURFACE_CHAT, DIALECT_OPENAI);
}

TEST(streams_of_text_completions_at_every_cut)
{
    check_golden("relay/completions.md", SURFACE_COMPLETIONS, DIALECT_DEEPSEEK);
}

TEST(streams_of_responses_at_every_cut)
{
    check_golden("relay/responses.md", SURFACE_RESPONSES, DIALECT_DEEPSEEK);
}

TEST(streams_of_messages_at_every_cut)
{
    check_golden("relay/messages.md", SURFACE_MESSAGES, DIALECT_DEEPSEEK);
}

/* -- streams made by dice ------------------------------------------------------------------------------- */

static void add_line_end(struct buf *in, int style, struct rng *dice)
{
    static const struct slice ENDS[] = {{"\n", 1}, {"\r\n", 2}, {"\r", 1}};

    (void)!buf_add(in, ENDS[style < 3 ? (size_t)style : rng_below(dice, 3)]);
}

static void add_line(struct buf *in, const char *text, int style, struct rng *dice)
{
    (void)!buf_add(in, slice_of(text));
    add_line_end(in, style, dice);
}

/* A stream of some events; most are in order, some are not. */
static void make_stream(struct buf *in, struct rng *dice)
{
    static const char *const LINES[] = {
        "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}",
        "data: {\"choices\":[{\"delta\":{\"content\":\"tide\"}}],\"usage\":null}",
        "data:{\"choices\":[{\"delta\":{\"content\":\"\\u6f6e\"}}]}",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":1}}",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}",
        ": keep-alive",
        "event: message",
        "id: 7",
        "retry: 3",
        "data: {\"choices\":[\ndata: {\"delta\":{\"content\":\"two lines\"}}]}",
        "data: [DONE]",
        "data: {\"error\":{\"message\":\"no\",\"code\":503}}",
        "data: {broken",
    };
    int style = (int)rng_below(dice, 4);
    size_t events_n = 1 + rng_below(dice, 8);

    if (rng_below(dice, 4) == 0)
        (void)!buf_add(in, SLICE("\xEF\xBB\xBF"));
    for (size_t i = 0; i < events_n; i++) {
        size_t kinds_n = i > 3 ? COUNT_OF(LINES) : COUNT_OF(LINES) - 3; /* an end is not the first thing */

        if (rng_below(dice, 4) == 0)
            add_line(in, LINES[6 + rng_below(dice, 4)], style, dice);
        add_line(in, LINES[rng_below(dice, kinds_n)], style, dice);
        if (rng_below(dice, 6) == 0)
            add_line(in, LINES[6 + rng_below(dice, 4)], style, dice);
        add_line_end(in, style, dice);
    }
}

static void feed_pieces(struct bench *b, struct slice in, size_t piece_max, struct rng *dice)
{
    while (in.n > 0) {
        size_t n = 1 + rng_below(dice, piece_max);
        char *copy;

        n = n < in.n ? n : in.n;
        copy = mem_alloc(n); /* AddressSanitizer sees a byte too far, and a use after the turn */
        memcpy(copy, in.p, n);
        bench_feed(b, (struct slice){copy, n});
        mem_free(copy);
        in = slice_from(in, n);
    }
    bench_end(b);
}

TEST(what_comes_out_never_depends_on_how_the_bytes_are_cut)
{
    struct bench b;
    struct buf in, want;
    struct rng dice;
    size_t done_n = 0, failed_n = 0;

    bench_init(&b, DIALECT_OPENAI);
    buf_init(&in, OUT_MAX, NULL);
    buf_init(&want, OUT_MAX, NULL);
    rng_seed(&dice, 20261122);
    for (int i = 0; i < 3000; i++) {
        bool asked = i % 2, same = true;

        in.n = want.n = 0;
        make_stream(&in, &dice);
        bench_begin(&b, asked);
        feed_pieces(&b, buf_slice(&in), OUT_MAX, &dice);
        (void)!buf_add(&want, buf_slice(&b.log));
        done_n += b.dones_n;
        failed_n += b.outcome != OUTCOME_OK;
        for (size_t piece = 1; same && piece <= 64; piece *= 2) {
            bench_begin(&b, asked);
            feed_pieces(&b, buf_slice(&in), piece, &dice);
            same = slice_eq(buf_slice(&b.log), buf_slice(&want));
        }
        if (!CHECK(same)) {
            tap_print_bytes("stream", in.p, in.n);
            CHECK_MEM(b.log.p, b.log.n, want.p, want.n);
            break;
        }
    }
    CHECK(done_n > 50 && failed_n > 500); /* the dice do find both kinds */
    buf_fini(&in);
    buf_fini(&want);
    bench_fini(&b);
}

/* -- bounds --------------------------------------------------------------------------------------------- */

#define TOKEN "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
#define ROLE "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
#define STOP "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

TEST(a_whole_event_in_the_bytes_leaves_as_a_slice_of_them_without_a_copy)
{
    struct bench b;
    uint64_t before;

    bench_init(&b, DIALECT_OPENAI);
    bench_begin(&b, false);
    bench_feed(&b, SLICE(ROLE TOKEN));
    before = mem_alloc_n();
    for (int i = 0; i < 100; i++)
        CHECK_INT(relay_feed(&b.relay, SLICE(TOKEN), NULL), OUTCOME_OK);
    CHECK(mem_alloc_n() - before < 10); /* the test's own buffer grows */
    CHECK_INT(b.relay.events_n, 102);
    bench_end(&b);
    bench_fini(&b);
}

TEST(keepalives_are_counted_and_are_no_payload)
{
    struct bench b;

    bench_init(&b, DIALECT_DEEPSEEK);
    bench_begin(&b, false);
    for (int i = 0; i < 600; i++)
        bench_feed(&b, SLICE(": keep-alive\n\n"));
    CHECK(!b.payload && !b.relay.payload);
    CHECK_INT(b.firsts_n, 0);
    CHECK_INT(relay_keepalive_bytes(&b.relay), 600 * 14);
    bench_feed(&b, SLICE(ROLE));
    CHECK(b.payload);         /* the endpoint works */
    CHECK_INT(b.firsts_n, 0); /* but has said nothing yet */
    bench_feed(&b, SLICE(TOKEN STOP DONE));
    CHECK_INT(b.firsts_n, 1);
    bench_end(&b);
    CHECK_INT(b.outcome, OUTCOME_OK);
    CHECK_MEM(b.out.p, b.out.n, ROLE TOKEN STOP DONE, sizeof ROLE TOKEN STOP DONE - 1);
    bench_fini(&b);
}

TEST(an_answer_that_says_nothing_for_long_begins_all_the_same)
{
    struct bench b;
    size_t fed_n = 0;

    bench_init(&b, DIALECT_OPENAI);
    bench_begin(&b, false);
    for (; b.firsts_n == 0 && fed_n < 200000; fed_n += sizeof ROLE - 1)
        bench_feed(&b, SLICE(ROLE));
    CHECK(fed_n > 64 * 1024 && fed_n < 66 * 1024);
    CHECK_INT(b.out.n, fed_n); /* and nothing of it is lost */
    bench_end(&b);
    CHECK_INT(b.outcome, OUTCOME_TRUNCATED);
    bench_fini(&b);
}

TEST(an_event_past_the_bound_is_oversize_and_one_at_the_bound_is_not)
{
    for (int over = 0; over < 2; over++) {
        char event[EVENT_MAX + 2];
        struct bench b;
        int n = snprintf(event, sizeof event, "data: {\"choices\":[{\"delta\":{\"content\":\"%0*d\"}}]}\n\n",
                         EVENT_MAX + over - 46, 0);

        CHECK_INT(n, EVENT_MAX + over);
        bench_init(&b, DIALECT_OPENAI);
        for (size_t cut = 1; cut < (size_t)n; cut += 100) {
            bench_begin(&b, false);
            bench_feed(&b, SLICE(TOKEN));
            bench_feed(&b, (struct slice){event, cut});
            bench_feed(&b, (struct slice){event + cut, (size_t)n - cut});
            CHECK_INT(b.outcome, over ? OUTCOME_OVERSIZE : OUTCOME_OK);
            CHECK_INT(b.out.n, sizeof TOKEN - 1 + (over ? 0 : (size_t)n));
            bench_end(&b);
        }
        bench_fini(&b);
    }
}

TEST(a_used_up_memory_budget_is_not_the_endpoints_fault)
{
    static const char *const STREAMS[] = {ROLE, "data: half an ev"};

    for (size_t i = 0; i < COUNT_OF(STREAMS); i++) {
        struct budget budget;
        struct bench b;

        budget_init(&budget, 100);
        bench_init(&b, DIALECT_OPENAI);
        b.opts.budget = &budget;
        bench_begin(&b, false);
        bench_feed(&b, slice_of(STREAMS[i]));
        CHECK_INT(b.outcome, OUTCOME_MEMORY);
        bench_end(&b);
        CHECK_INT(budget_used(&budget), 0);
        bench_fini(&b);
    }
}

TEST(what_is_held_back_is_charged_and_given_back)
{
    struct budget budget;
    struct bench b;

    budget_init(&budget, 1 << 20);
    bench_init(&b, DIALECT_OPENAI);
    b.opts.budget = &budget;
    bench_begin(&b, false);
    bench_feed(&b, SLICE(ROLE));
    CHECK(budget_used(&budget) > 0);
    bench_feed(&b, SLICE(TOKEN));
    CHECK_INT(budget_used(&budget), 0); /* an answer that flows holds nothing */
    bench_feed(&b, SLICE(STOP DONE));
    bench_end(&b);
    CHECK_INT(b.outcome, OUTCOME_OK);
    bench_fini(&b);
}
