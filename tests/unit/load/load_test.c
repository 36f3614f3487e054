/* SPDX-License-Identifier: MIT */
/* The open loop in virtual time: what a stalled or slow server cannot hide, exact to the millisecond. */
#include "load/load.h"

#include <math.h>

#include "base/assert.h"
#include "unit/load/load_kit.h"

#define ANSWER                                                                        \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n" \
    "{\"choices\":[{\"message\":{\"content\":\"a whole answer of it\"}}]}"

/* -- a server that stalls for a while ---------------------------------------------------------------------
 */

#define STALL_FROM SECOND
#define STALL_TO (1995 * MS) /* between two arrivals */

static struct {
    int64_t from_us, to_us;
    struct timer end;
    struct endpoint *of;
    size_t asked_n; /* while it stalled */
} stall;

static void on_stalled_data(struct peer *p)
{
    int64_t now_us = p->of->l->now_us;

    if (now_us < stall.from_us || now_us >= stall.to_us)
        peer_answer(p);
    else
        stall.asked_n += peer_has_request(p);
}

static void on_stall_end(struct timer *t)
{
    (void)t;
    for (struct peer *p = stall.of->peers; p != NULL; p = p->next) {
        if (p->s != NULL)
            peer_answer(p);
    }
}

static void begin_stall(struct range *r)
{
    stall.of = &r->sc.at;
    stall.asked_n = 0;
    stall.from_us = r->sc.l->now_us + SECOND + STALL_FROM; /* range_begin waits for a second first */
    stall.to_us = r->sc.l->now_us + SECOND + STALL_TO;
    r->sc.at.reply = ANSWER;
    r->sc.at.on_data = on_stalled_data;
    timer_init(&stall.end, on_stall_end);
    timer_set(&r->sc.at.l->wheel, &stall.end, stall.to_us);
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Request i is meant for i * 10 ms; in the stall it waits for its end. */
static void check_stall(struct range *r, size_t n)
{
    static const double SHARES[] = {0.1, 0.5, 0.7, 0.9, 0.99, 0.999};
    const struct tally_times *t = &range_all(r)->total;
    int64_t want[300], sum = 0;

    ASSERT(n == COUNT_OF(want));
    for (size_t i = 0; i < n; i++) {
        int64_t at = (int64_t)i * 10 * MS;

        want[i] = at >= STALL_FROM && at < STALL_TO ? STALL_TO - at : 0;
        sum += want[i];
    }
    qsort(want, n, sizeof want[0], by_value);
    CHECK_INT(t->hist.n, n);
    CHECK_INT(t->hist.sum, sum);
    CHECK_INT(t->max_us, want[n - 1]);
    for (size_t i = 0; i < COUNT_OF(SHARES); i++) {
        int64_t exact = want[(size_t)ceil(SHARES[i] * (double)n) - 1], got = tally_quantile(t, SHARES[i]);

        if (!CHECK(got >= exact && (got - exact) * 32 <= exact))
            printf("# share %g: got %lld, exact %lld\n", SHARES[i], (long long)got, (long long)exact);
    }
}

static void init_stalled(struct range *r, size_t connections)
{
    range_init(r, NULL);
    r->so.rate = 100;
    r->so.limit = 300;
    r->o.connections = connections;
    begin_stall(r);
    range_run(r, 10 * SECOND);
    CHECK_INT(r->done_us, r->began_us + 2990 * MS);
    CHECK_INT(range_all(r)->ended_n[END_FULL], 300);
}

TEST(arrivals_go_on_while_the_server_stalls)
{
    struct range r;

    init_stalled(&r, 1000);
    CHECK_INT(stall.asked_n, 100);
    CHECK_INT(range_all(&r)->held_n, 0);
    CHECK_INT(range_all(&r)->late.max_us, 0);
    check_stall(&r, 300);
    range_fini(&r);
}

/* With five connections only five requests meet the stall; a closed loop would report five slow answers. */
TEST(a_bound_on_connections_hides_nothing)
{
    struct range r;

    init_stalled(&r, 5);
    CHECK_INT(stall.asked_n, 5);
    CHECK_INT(range_all(&r)->held_n, 95);
    CHECK_INT(range_all(&r)->late.hist.n, 300);
    CHECK_INT(range_all(&r)->late.max_us, STALL_TO - STALL_FROM - 5 * 10 * MS);
    CHECK_INT(range_all(&r)->sent_n, 300);
    CHECK_INT(load_connects(r.load), 5);
    check_stall(&r, 300);
    range_fini(&r);
}

/* -- a server that is too slow for what it is asked ------------------------------------------------------ */

/* One slot of 100 ms, a request every 50 ms: the k-th waits for k others, less what they had a start. */
static void check_slow(size_t connections, bool stream)
{
    struct sim_opts so;
    struct range r;
    const struct tally_group *g;
    int64_t sum = 0;

    sim_opts_default(&so);
    so.slots = 1;
    so.ttft = (struct sim_time){100 * MS, 0};
    so.gap = (struct sim_time){0, 0};
    so.keepalive_us = 0;
    range_init(&r, &so);
    r.so.rate = 20;
    r.so.limit = 40;
    r.so.stream_share = stream ? 1 : 0;
    r.so.answer = (struct spread){1, 0};
    r.o.connections = connections;
    range_run(&r, 60 * SECOND);
    g = range_all(&r);
    for (int64_t k = 0; k < 40; k++)
        sum += 100 * MS + k * 50 * MS;
    CHECK_INT(g->ended_n[END_FULL], 40);
    CHECK_INT(g->total.hist.sum, sum);
    CHECK_INT(g->total.max_us, 100 * MS + 39 * 50 * MS);
    CHECK_INT(g->first.hist.n, stream ? 40 : 0);
    CHECK_INT(g->first.hist.sum, stream ? sum : 0);
    CHECK_INT(g->held_n, connections == 1 ? 39 : 0);
    CHECK_INT(sim_stats(r.sim)->requests_n, 40);
    CHECK_INT(sim_stats(r.sim)->answered_n, 40);
    range_fini(&r);
}

TEST(times_count_from_when_a_request_was_meant_to_be_sent)
{
    check_slow(1000, true);
    check_slow(1, true);
    check_slow(1000, false);
    check_slow(1, false);
}

/* Thirds of a second lie between two ticks of the timer; nobody is late for that. */
TEST(intended_times_lie_on_the_timers_ticks)
{
    struct range r;

    range_init(&r, NULL);
    r.sc.at.reply = ANSWER;
    r.so.rate = 3;
    r.so.limit = 30;
    range_run(&r, 60 * SECOND);
    CHECK_INT(range_all(&r)->ended_n[END_FULL], 30);
    CHECK_INT(range_all(&r)->late.max_us, 0);
    CHECK_INT(range_all(&r)->total.max_us, 0);
    CHECK_INT(r.done_us, r.began_us + 9667 * MS);
    range_fini(&r);
}

TEST(gaps_are_those_between_tokens)
{
    struct sim_opts so;
    struct range r;
    const struct tally_group *g;

    sim_opts_default(&so);
    so.ttft = (struct sim_time){30 * MS, 0};
    so.gap = (struct sim_time){7 * MS, 0};
    range_init(&r, &so);
    r.so.stream_share = 1;
    r.o.prompts.model = SLICE("any~tokens={answer}");
    r.so.answer = (struct spread){20, 0};
    range_run(&r, 60 * SECOND);
    g = range_all(&r);
    CHECK_INT(g->first.hist.n, 10);
    CHECK_INT(g->first.max_us, 30 * MS);
    CHECK_INT(g->first.hist.sum, 10 * 30 * MS);
    CHECK_INT(g->gap.hist.n, 10 * 19);
    CHECK_INT(g->gap.max_us, 7 * MS);
    CHECK_INT(g->gap.hist.sum, 10 * 19 * 7 * MS);
    CHECK_INT(g->total.hist.sum, 10 * (30 + 19 * 7) * MS);
    CHECK_INT(g->tokens_n, 200);
    CHECK_INT(sim_stats(r.sim)->tokens_n, 200);
    range_fini(&r);
}

/* -- clocks ---------------------------------------------------------------------------------------------- */

struct clock_case {
    const char *model, *code;
    int status;
    bool stream;
    int64_t first_us, gap_us, total_us, ends_us; /* after the intended time */
};

static const struct clock_case CLOCKS[] = {
    {"any~hang", "timeout_total", 0, true, 600 * SECOND, SECOND, 3 * SECOND, 3 * SECOND},
    {"any~hang", "timeout_first_token", 0, true, 2 * SECOND, SECOND, 3 * SECOND, 2 * SECOND},
    {"any~hang", "timeout_total", 0, false, SECOND, SECOND, 3 * SECOND, 3 * SECOND},
    {"any~queue=9s", "timeout_first_token", 200, true, 2 * SECOND, SECOND, 30 * SECOND, 2 * SECOND},
    {"any~ttft=100ms,gap=50ms,stall=5", "timeout_gap", 200, true, 2 * SECOND, SECOND, 30 * SECOND,
     100 * MS + 4 * 50 * MS + SECOND},
    {"any~ttft=100ms,gap=900ms,tokens=20", "timeout_total", 200, true, 2 * SECOND, SECOND, 5 * SECOND,
     5 * SECOND},
};

TEST(every_wait_has_a_bound)
{
    for (size_t i = 0; i < COUNT_OF(CLOCKS); i++) {
        const struct clock_case *c = &CLOCKS[i];
        struct sim_opts so;
        struct range r;

        sim_opts_default(&so);
        range_init(&r, &so);
        r.o.prompts.model = slice_of(c->model);
        r.o.first_us = c->first_us;
        r.o.gap_us = c->gap_us;
        r.o.total_us = c->total_us;
        r.so.stream_share = c->stream;
        r.so.limit = 1;
        range_run(&r, 60 * SECOND);
        if (!CHECK_INT(range_reason(&r, c->code, c->status), 1))
            printf("# case %zu\n", i);
        CHECK_INT(r.done_us, r.began_us + c->ends_us);
        CHECK_INT(range_all(&r)->ended_n[END_FAILED], 1);
        CHECK_INT(range_all(&r)->total.hist.n, 0);
        CHECK(tally_answered_rate(range_all(&r)) == 0);
        range_fini(&r);
    }
}

TEST(what_was_never_sent_fails_as_such)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~hang");
    r.so.rate = 100000; /* all of them in one millisecond, but the first */
    r.o.total_us = SECOND;
    r.o.connections = 2;
    range_begin(&r);
    scene_run(&r.sc, 500 * MS);
    CHECK_INT(load_in_flight(r.load), 2);
    CHECK_INT(load_waiting(r.load), 8);
    scene_run(&r.sc, 60 * SECOND);
    CHECK_INT(range_reason(&r, "timeout_total", 0),
              3); /* the first made room for one, a millisecond before */
    CHECK_INT(range_reason(&r, "timeout_unsent", 0), 7);
    CHECK_INT(range_all(&r)->sent_n, 3);
    CHECK_INT(sim_stats(r.sim)->requests_n, 3);
    range_fini(&r);
}

TEST(those_that_wait_are_bounded)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~hang");
    r.o.connections = 2;
    r.o.waiting_max = 5;
    r.so.limit = 100;
    range_begin(&r);
    scene_run(&r.sc, 20 * SECOND);
    CHECK_INT(range_reason(&r, "overrun", 0), 93);
    CHECK_INT(load_waiting(r.load), 5);
    CHECK_INT(load_in_flight(r.load), 2);
    load_stop(r.load);
    CHECK_INT(range_all(&r)->ended_n[END_CANCELLED], 7);
    range_fini(&r);
}

/* -- ends ------------------------------------------------------------------------------------------------ */

TEST(stopping_cancels_what_is_under_way)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~hang");
    r.so.limit = 1000;
    r.o.connections = 5;
    range_begin(&r);
    scene_run(&r.sc, 1950 * MS);
    CHECK_INT(range_all(&r)->intended_n, 20);
    CHECK_INT(load_in_flight(r.load), 5);
    CHECK_INT(load_waiting(r.load), 15);
    load_stop(r.load);
    CHECK_INT(r.done_us, 0);
    scene_run(&r.sc, SECOND);
    CHECK(r.done_us != 0);
    CHECK_INT(range_all(&r)->ended_n[END_CANCELLED], 20);
    CHECK_INT(range_all(&r)->intended_n, 20);
    CHECK(tally_answered_rate(range_all(&r)) < 0);
    CHECK_INT(sim_stats(r.sim)->cancelled_n, 5);
    range_fini(&r);
}

TEST(clients_leave_when_they_were_told_to)
{
    struct sim_opts so;
    struct range r;

    sim_opts_default(&so);
    range_init(&r, &so);
    r.o.prompts.model = SLICE("any~ttft=100ms,gap=100ms,tokens=50");
    r.so.stream_share = 1;
    r.so.leave_share = 0.5;
    r.so.leave_us = SECOND;
    r.so.limit = 100;
    range_run(&r, 60 * SECOND);
    CHECK(range_all(&r)->ended_n[END_CANCELLED] > 30 && range_all(&r)->ended_n[END_CANCELLED] < 70);
    CHECK_INT(range_all(&r)->ended_n[END_FULL] + range_all(&r)->ended_n[END_CANCELLED], 100);
    CHECK_INT(sim_stats(r.sim)->cancelled_n, range_all(&r)->ended_n[END_CANCELLED]);
    CHECK(tally_answered_rate(range_all(&r)) == 1);
    range_fini(&r);
}

TEST(an_empty_schedule_is_over_at_once)
{
    struct range r;

    range_init(&r, NULL);
    r.so.limit = 0;
    range_run(&r, SECOND);
    CHECK(r.done_us != 0);
    range_fini(&r);
}

TEST(a_server_that_is_not_there)
{
    struct range r;

    range_init(&r, NULL);
    r.o.target.port = 81;
    range_run(&r, 10 * SECOND);
    CHECK_INT(range_reason(&r, "refused", 0), 10);
    CHECK_INT(range_all(&r)->sent_n, 10);
    range_fini(&r);
}

/* -- faults, and what the simulator counted -------------------------------------------------------------- */

struct fault_case {
    const char *model, *code;
    int status;
    bool stream;
    enum ending ending;
};

static const struct fault_case FAULTS[] = {
    {"any~tokens=5", "", 200, true, END_FULL},
    {"any~tokens=5", "", 200, false, END_FULL},
    {"any~503", "overloaded", 503, true, END_FAILED},
    {"any~500", "internal_error", 500, false, END_FAILED},
    {"any~429", "rate_limit_exceeded", 429, true, END_FAILED},
    {"any~cut=3", "truncated", 200, true, END_FAILED},
    {"any~cut=3", "truncated", 200, false, END_FAILED},
    {"any~nodone", "no_done", 200, true, END_FAILED},
    {"any~nodone", "", 200, false, END_FULL},
    {"any~malformed=3", "malformed", 200, true, END_FAILED},
    {"any~malformed=3", "malformed", 200, false, END_FAILED},
    {"any~empty", "empty", 200, true, END_FAILED},
    {"any~empty", "empty", 200, false, END_FAILED},
    {"any~nonsense", "", 400, true, END_REFUSED},
};

TEST(every_fault_is_told_from_every_other)
{
    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        const struct fault_case *c = &FAULTS[i];
        struct sim_opts so;
        struct range r;
        const struct tally_group *g;

        sim_opts_default(&so);
        range_init(&r, &so);
        r.o.prompts.model = slice_of(c->model);
        r.so.stream_share = c->stream;
        range_run(&r, 60 * SECOND);
        g = range_all(&r);
        if (!CHECK_INT(g->ended_n[c->ending], 10) ||
            (c->code[0] != '\0' && !CHECK_INT(range_reason(&r, c->code, c->status), 10)))
            printf("# case %zu: %s %d\n", i, g->reasons[0].code, g->reasons[0].status);
        CHECK_INT(g->reasons_n, c->ending == END_FULL ? 0 : 1);
        CHECK_INT(sim_stats(r.sim)->requests_n, 10);
        CHECK_INT(g->attempts_n, 10);
        range_fini(&r);
    }
}

TEST(counts_are_the_simulators_own)
{
    struct sim_opts so;
    struct range r;
    const struct tally_group *g;
    const struct sim_stats *st;

    sim_opts_default(&so);
    so.fault_p[SIM_503] = 0.1;
    so.fault_p[SIM_CUT] = 0.1;
    so.fault_p[SIM_NO_DONE] = 0.05;
    so.fault_p[SIM_HANG] = 0.02;
    so.gap = (struct sim_time){5 * MS, 0.5};
    range_init(&r, &so);
    r.so.process = PROCESS_POISSON;
    r.so.rate = 200;
    r.so.limit = 3000;
    r.so.stream_share = 1;
    r.o.total_us = 20 * SECOND;
    range_run(&r, 100 * SECOND);
    g = range_all(&r);
    st = sim_stats(r.sim);
    CHECK_INT(g->attempts_n, st->requests_n);
    CHECK_INT(range_reason(&r, "overloaded", 503), st->refused_n);
    CHECK_INT(range_reason(&r, "truncated", 200), st->cut_n);
    CHECK_INT(range_reason(&r, "no_done", 200), st->faults_n[SIM_NO_DONE]);
    CHECK_INT(range_reason(&r, "timeout_total", 0), st->cancelled_n);
    CHECK_INT(g->ended_n[END_FULL], st->answered_n - st->faults_n[SIM_NO_DONE]);
    CHECK_INT(g->tokens_n, st->tokens_n);
    CHECK(load_connects(r.load) < 1000);
    range_fini(&r);
}

static struct {
    uint64_t n, attempts_n, of[END_N];
} told;

static void on_told(void *ud, const struct load_ended *e)
{
    const struct range *r = ud;

    told.n++;
    told.attempts_n += e->attempts_n;
    told.of[e->ending]++;
    CHECK_INT(e->intended_us, r->began_us + e->arrival->at_us);
    CHECK((e->first_us > 0) == (e->ending == END_FULL));
    CHECK(e->first_us == 0 || (e->first_us > e->intended_us && e->first_us <= e->ended_us));
}

TEST(every_request_tells_its_own_end)
{
    struct sim_opts so;
    struct range r;

    memset(&told, 0, sizeof told);
    sim_opts_default(&so);
    so.fault_p[SIM_503] = 0.6;
    range_init(&r, &so);
    r.so.limit = 200;
    r.so.stream_share = 1;
    r.o.sdk = true;
    r.o.on_ended = on_told;
    range_run(&r, 60 * SECOND);
    CHECK_INT(told.n, 200);
    CHECK_INT(told.attempts_n, range_all(&r)->attempts_n);
    CHECK(told.of[END_FULL] > 0 && told.of[END_FAILED] > 0);
    for (int e = 0; e < END_N; e++)
        CHECK_INT(told.of[e], range_all(&r)->ended_n[e]);
    range_fini(&r);
}
