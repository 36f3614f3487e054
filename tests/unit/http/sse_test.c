/* SPDX-License-Identifier: MIT */
/* Server-sent events: golden inputs at every cut, and the bounds. */
#include "http/sse.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "support/golden.h"
#include "tap.h"

#define MAX_BYTES 4096

/* -- logging -----------------------------------------------------------------------------------------------
 */

static void log_slice(struct buf *log, const char *name, struct slice s)
{
    if (s.p == NULL)
        return;
    (void)buf_printf(log, " %s=[", name);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '\n' || c == '\r')
            (void)buf_printf(log, "\\%c", c == '\n' ? 'n' : 'r');
        else
            (void)buf_printf(log, c < 32 || c > 126 ? "\\x%02x" : "%c", c);
    }
    (void)buf_printf(log, "]");
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    struct buf *log = ud;
    struct slice raw = ev->raw;

    if (raw.n > 1 && raw.p[raw.n - 1] == '\n' && raw.p[raw.n - 2] == '\r')
        raw.n--;
    (void)buf_printf(log, "event%s", ev->plain ? " plain" : "");
    log_slice(log, "data", ev->data);
    log_slice(log, "event", ev->event);
    log_slice(log, "id", ev->id);
    log_slice(log, "raw", raw);
    return buf_add(log, SLICE("\n"));
}

/* Feeds a guarded copy, so that a byte read too far ends the program. */
static enum err feed(struct sse *s, const char *p, size_t n, struct buf *log)
{
    char *copy = tap_guard(p, n);
    enum err e = sse_feed(s, (struct slice){copy, n}, on_event, log);

    tap_guard_free(copy, n);
    return e;
}

/* Feeds the input in pieces that end at the cuts, and says whether the log is the expected one. */
static bool replay(const struct golden_case *c, const size_t *cuts, size_t cuts_n)
{
    struct sse s;
    struct buf log;
    size_t at = 0;
    bool same;

    sse_init(&s, MAX_BYTES, NULL);
    buf_init(&log, 1 << 20, NULL);
    for (size_t i = 0; i <= cuts_n; i++) {
        size_t end = i < cuts_n ? cuts[i] : c->in_n;

        if (feed(&s, c->in + at, end - at, &log) != ERR_OK)
            (void)buf_printf(&log, "error\n");
        at = end;
    }
    (void)buf_printf(&log, "comments %llu unfinished %zu\n", (unsigned long long)s.comment_bytes,
                     sse_unfinished(&s));
    same = slice_eq(buf_slice(&log), slice_of(c->log));
    if (!same) {
        printf("# %s (first cut %zu of %zu)\n", c->name, cuts_n > 0 ? cuts[0] : 0, cuts_n);
        CHECK_MEM(log.p, log.n, c->log, strlen(c->log));
    }
    buf_fini(&log);
    sse_fini(&s);
    return same;
}

static bool replay_everywhere(const struct golden_case *c)
{
    size_t all[MAX_BYTES];
    bool same = replay(c, NULL, 0);

    for (size_t i = 0; same && i <= c->in_n; i++) {
        same = replay(c, &i, 1);
        for (size_t j = i; same && j <= c->in_n; j++)
            same = replay(c, (size_t[]){i, j}, 2);
    }
    for (size_t i = 0; i < c->in_n; i++)
        all[i] = i;
    return same && replay(c, all, c->in_n);
}

TEST(golden_events_at_every_cut)
{
    struct golden g;

    golden_load(&g, "sse/events.md");
    for (size_t i = 0; i < g.n; i++)
        CHECK(replay_everywhere(&g.cases[i]));
    golden_free(&g);
}

/* -- bounds ------------------------------------------------------------------------------------------------
 */

static enum err count(void *ud, const struct sse_event *ev)
{
    size_t *n = ud;

    *n += ev->data.n;
    return ERR_OK;
}

/* An event of n bytes: "data: ", letters, two LF. */
static char *event_of(size_t n)
{
    char *p = mem_alloc(n);

    memset(p, 'x', n);
    memcpy(p, "data: ", 6);
    memcpy(p + n - 2, "\n\n", 2);
    return p;
}

TEST(an_event_of_the_largest_size_passes_however_it_is_cut)
{
    char *p = event_of(1000);

    for (size_t cut = 0; cut <= 1000; cut++) {
        struct sse s;
        size_t n = 0;

        sse_init(&s, 1000, NULL);
        CHECK_INT(sse_feed(&s, (struct slice){p, cut}, count, &n), ERR_OK);
        CHECK_INT(sse_feed(&s, (struct slice){p + cut, 1000 - cut}, count, &n), ERR_OK);
        CHECK_INT(n, 992);
        sse_fini(&s);
    }
    mem_free(p);
}

TEST(a_larger_event_is_refused_however_it_is_cut)
{
    char *p = event_of(1001);

    for (size_t cut = 0; cut <= 1001; cut++) {
        struct sse s;
        size_t n = 0;
        enum err e;

        sse_init(&s, 1000, NULL);
        e = sse_feed(&s, (struct slice){p, cut}, count, &n);
        if (e == ERR_OK)
            e = sse_feed(&s, (struct slice){p + cut, 1001 - cut}, count, &n);
        CHECK_INT(e, ERR_TOO_LARGE);
        CHECK_INT(n, 0);
        sse_fini(&s);
    }
    mem_free(p);
}

/* A comment of n bytes with its line end, cut once: what sse_feed says. */
static enum err feed_comment(size_t n, size_t cut)
{
    struct sse s;
    char *p = mem_alloc(n);
    size_t got = 0;
    enum err e;

    memset(p, ':', n);
    p[n - 1] = '\n';
    sse_init(&s, 1000, NULL);
    e = sse_feed(&s, (struct slice){p, cut}, count, &got);
    if (e == ERR_OK)
        e = sse_feed(&s, (struct slice){p + cut, n - cut}, count, &got);
    sse_fini(&s);
    mem_free(p);
    return e;
}

TEST(a_comment_is_bounded_as_an_event_is_however_it_is_cut)
{
    size_t refused_n = 0, passed_n = 0;

    for (size_t cut = 0; cut <= 1000; cut++) {
        passed_n += feed_comment(1000, cut) == ERR_OK;
        refused_n += feed_comment(1001, cut) == ERR_TOO_LARGE;
    }
    CHECK_INT(passed_n, 1001);
    CHECK_INT(refused_n, 1001);
    CHECK_INT(feed_comment(1001, 1001), ERR_TOO_LARGE);
}

TEST(an_event_that_never_ends_is_refused)
{
    struct sse s;
    size_t n = 0, fed = 0;
    enum err e = ERR_OK;

    sse_init(&s, 10000, NULL);
    for (; e == ERR_OK && fed < 20000; fed++)
        e = sse_feed(&s, SLICE("x"), count, &n);
    CHECK_INT(e, ERR_TOO_LARGE);
    CHECK_INT(fed, 10001);
    sse_fini(&s);
}

TEST(a_large_event_in_single_bytes_costs_few_allocations_and_one_look_per_byte)
{
    const size_t n = 1 << 20;
    struct sse s;
    char *p = event_of(n);
    size_t got = 0;
    uint64_t before;

    sse_init(&s, n, NULL);
    before = mem_alloc_n();
    for (size_t i = 0; i < n; i++)
        CHECK(sse_feed(&s, (struct slice){p + i, 1}, count, &got) == ERR_OK);
    CHECK_INT(got, n - 8);
    CHECK(mem_alloc_n() - before <= 16);
    sse_fini(&s);
    mem_free(p);
}

TEST(many_lines_ended_by_cr_in_one_feed_are_searched_once)
{
    /* Half a million lines: a search that looks for LF in all the rest for each of them would take hours. */
    const size_t n = 1 << 20;
    struct sse s;
    char *p = mem_alloc(n);
    size_t got = 0;

    for (size_t i = 0; i < n; i += 2)
        memcpy(p + i, "x\r", 2);
    sse_init(&s, n, NULL);
    CHECK_INT(sse_feed(&s, (struct slice){p, n}, count, &got), ERR_OK);
    CHECK_INT(sse_unfinished(&s), n);
    sse_fini(&s);
    mem_free(p);
}

TEST(hours_of_keepalives_hold_no_memory)
{
    struct budget budget;
    struct sse s;
    size_t got = 0;

    budget_init(&budget, 1 << 20);
    sse_init(&s, 4096, &budget);
    for (int i = 0; i < 100000; i++)
        CHECK(sse_feed(&s, i % 2 ? SLICE(": keep-alive\n") : SLICE("\r\n"), count, &got) == ERR_OK);
    CHECK_INT(s.comment_bytes, 50000 * 15);
    CHECK_INT(budget_used(&budget), 0);
    sse_fini(&s);
}

TEST(an_event_whole_in_the_bytes_is_not_copied)
{
    struct sse s;
    size_t got = 0;
    uint64_t before = mem_alloc_n();

    sse_init(&s, 4096, NULL);
    CHECK_INT(sse_feed(&s, SLICE("data: a\n\ndata: b\r\n\r\nevent: x\ndata: c\n\n"), count, &got), ERR_OK);
    CHECK_INT(got, 3);
    CHECK_INT(mem_alloc_n() - before, 0);
    sse_fini(&s);
}

TEST(nothing_is_held_between_events_and_the_budget_gets_everything_back)
{
    struct budget budget;
    struct sse s;
    size_t got = 0;

    budget_init(&budget, 1 << 20);
    sse_init(&s, 4096, &budget);
    CHECK_INT(sse_feed(&s, SLICE("data: a\ndata: "), count, &got), ERR_OK);
    CHECK(budget_used(&budget) > 0);
    CHECK_INT(sse_feed(&s, SLICE("b\n\n"), count, &got), ERR_OK);
    CHECK_INT(got, 3);
    CHECK_INT(budget_used(&budget), 0);
    CHECK_INT(sse_feed(&s, SLICE("data: a\n"), count, &got), ERR_OK);
    sse_fini(&s);
    CHECK_INT(budget_used(&budget), 0);
}

TEST(a_budget_that_is_used_up_is_said)
{
    struct budget budget;
    struct sse s;
    size_t got = 0;

    budget_init(&budget, 100);
    sse_init(&s, 4096, &budget);
    CHECK_INT(sse_feed(&s, SLICE("data: half"), count, &got), ERR_MEMORY_BUDGET);
    sse_fini(&s);
}

static enum err stop_and_free(void *ud, const struct sse_event *ev)
{
    struct sse **s = ud;

    (void)ev;
    sse_fini(*s);
    mem_free(*s);
    return ERR_CANCELLED;
}

TEST(a_callback_that_stops_may_free_everything)
{
    struct sse *s = MEM_NEW(struct sse);

    sse_init(s, 4096, NULL);
    CHECK_INT(sse_feed(s, SLICE("data: a\n"), stop_and_free, &s), ERR_OK);
    CHECK_INT(sse_feed(s, SLICE("\ndata: b\n\n"), stop_and_free, &s), ERR_CANCELLED);
}
