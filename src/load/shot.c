/* SPDX-License-Identifier: MIT */
/* One request.
 *
 *     WAITING --room--> CALLING --answered, or failed for good--> over
 *                        |   ^
 *            may retry --+   +-- room again, or WAITING --- BACKOFF
 *
 * All clocks but the gap's start at the intended time and run on while the request waits for a connection or
 * for its next attempt. One timer watches the nearest of them; it is lazy: a token moves no timer, and a
 * timer that fires looks at what has really happened. */
#include "load/shot.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "load/retry.h"

#define BODY_MAX_BYTES ((size_t)TRACE_TOKENS_MAX * PROMPT_TOKEN_BYTES + 128 * 1024)
#define HEAD_MAX_BYTES (64 * 1024)

/* -- counting -------------------------------------------------------------------------------------------- */

/* The groups that a request counts in. */
static size_t groups(const struct shot *s, struct tally_group *out[2])
{
    struct tally *t = s->load->tally;

    out[0] = &t->all;
    if (s->arrival.class_no == SOURCE_NO_CLASS)
        return 1;
    out[1] = &t->of_class[s->arrival.class_no];
    return 2;
}

static void count_sent(struct shot *s)
{
    struct tally_group *g[2];
    size_t n = groups(s, g);

    for (size_t i = 0; i < n; i++) {
        g[i]->attempts_n++;
        if (s->attempts_n > 1)
            continue;
        g[i]->sent_n++;
        tally_add(&g[i]->late, s->load->loop->now_us - s->intended_us);
    }
}

static void count_token(struct shot *s, int64_t gap_us)
{
    struct tally_group *g[2];
    size_t n = groups(s, g);

    for (size_t i = 0; i < n; i++)
        tally_add(gap_us < 0 ? &g[i]->first : &g[i]->gap, gap_us < 0 ? s->first_us - s->intended_us : gap_us);
    if (gap_us < 0)
        hist_add(&s->load->tally->recent_first, s->first_us - s->intended_us);
}

static void count_end(struct shot *s, enum ending e, const char *code)
{
    struct tally_group *g[2];
    size_t n = groups(s, g);

    for (size_t i = 0; i < n; i++) {
        g[i]->ended_n[e]++;
        g[i]->held_n += s->held;
        if (s->judging) {
            g[i]->tokens_n += s->judge.tokens_n;
            g[i]->usage_tokens += s->judge.usage_tokens;
            g[i]->bytes += s->judge.bytes;
        }
        if (e == END_FULL || e == END_DEGRADED)
            tally_add(&g[i]->total, s->load->loop->now_us - s->intended_us);
        if (e == END_FAILED || e == END_REFUSED)
            tally_reason(g[i], code, s->judging ? s->judge.status : 0);
    }
}

/* -- the end --------------------------------------------------------------------------------------------- */

static void end_attempt(struct shot *s)
{
    call_cancel(&s->call);
    if (s->state == SHOT_CALLING)
        s->load->calling_n--;
    if (s->state == SHOT_WAITING)
        s->load->waiting_n--;
    list_remove(&s->node);
}

static void free_shot(struct afterwards *a)
{
    struct shot *s = CONTAINER_OF(a, struct shot, afterwards);

    if (s->judging)
        judge_fini(&s->judge);
    buf_fini(&s->body);
    mem_free(s);
}

static void tell_end(const struct shot *s, enum ending e)
{
    const struct load *l = s->load;
    struct load_ended ended = {&s->arrival, e, s->intended_us, s->first_us, l->loop->now_us, s->attempts_n};

    if (l->opts.on_ended != NULL)
        l->opts.on_ended(l->opts.ud, &ended);
}

static void finish(struct shot *s, enum ending e, const char *code)
{
    struct load *l = s->load;

    end_attempt(s);
    timer_stop(&l->loop->wheel, &s->timer);
    count_end(s, e, code);
    tell_end(s, e);
    l->shots_n--;
    loop_defer(l->loop, &s->afterwards, free_shot);
    load_look(l);
}

void shot_cancel(struct shot *s)
{
    finish(s, END_CANCELLED, "");
}

/* -- clocks ---------------------------------------------------------------------------------------------- */

static bool has_left(const struct shot *s, int64_t now_us)
{
    return s->arrival.leave_us > 0 && now_us >= clock_add(s->intended_us, s->arrival.leave_us);
}

/* The bound that has been passed, as a code; NULL: none. */
static const char *passed(const struct shot *s, int64_t now_us)
{
    const struct load_opts *o = &s->load->opts;
    int64_t waited_us = now_us - s->intended_us;

    if (waited_us >= o->total_us)
        return s->attempts_n == 0 ? "timeout_unsent" : "timeout_total";
    if (s->arrival.stream && s->first_us == 0 && waited_us >= o->first_us)
        return s->attempts_n == 0 ? "timeout_unsent" : "timeout_first_token";
    if (s->first_us != 0 && now_us - s->last_us >= o->gap_us)
        return "timeout_gap";
    return NULL;
}

static int64_t min_us(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void watch(struct shot *s)
{
    const struct load_opts *o = &s->load->opts;
    int64_t due = clock_add(s->intended_us, o->total_us);

    if (s->arrival.stream && s->first_us == 0)
        due = min_us(due, clock_add(s->intended_us, o->first_us));
    if (s->first_us != 0)
        due = min_us(due, clock_add(s->last_us, o->gap_us));
    if (s->arrival.leave_us > 0)
        due = min_us(due, clock_add(s->intended_us, s->arrival.leave_us));
    if (s->state == SHOT_BACKOFF)
        due = min_us(due, s->again_us);
    timer_set(&s->load->loop->wheel, &s->timer, due);
}

static void go_or_wait(struct shot *s);

static void on_timer(struct timer *t)
{
    struct shot *s = CONTAINER_OF(t, struct shot, timer);
    int64_t now_us = s->load->loop->now_us;
    const char *bound = passed(s, now_us);

    if (has_left(s, now_us)) {
        shot_cancel(s);
    } else if (bound != NULL) {
        finish(s, END_FAILED, bound);
    } else {
        if (s->state == SHOT_BACKOFF && now_us >= s->again_us)
            go_or_wait(s);
        watch(s);
    }
}

/* -- the response ---------------------------------------------------------------------------------------- */

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct shot *s = ud;

    return judge_head(&s->judge, rs, s->load->loop->wall_us);
}

/* Tokens that came in one piece came together: the gap is before the first of them. */
static void note_tokens(struct shot *s, uint64_t n)
{
    int64_t now_us = s->load->loop->now_us;
    bool early; /* the gap's bound may be nearer than what the timer waits for */

    if (n == 0)
        return;
    early = s->first_us == 0;
    if (early) {
        s->first_us = s->last_us = now_us;
        count_token(s, -1);
        n--;
    }
    for (; n > 0; n--) {
        count_token(s, now_us - s->last_us);
        s->last_us = now_us;
    }
    if (early)
        watch(s);
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct shot *s = ud;
    uint64_t before = s->judge.tokens_n;
    enum err e = judge_body(&s->judge, bytes);

    note_tokens(s, s->judge.tokens_n - before);
    return e;
}

static void back_off(struct shot *s, int64_t wait_us)
{
    struct load *l = s->load;

    end_attempt(s);
    s->state = SHOT_BACKOFF;
    s->again_us = clock_add(l->loop->now_us, wait_us);
    list_push_back(&l->others, &s->node);
    watch(s);
    load_look(l);
}

/* A request past its key's limits is no part of the answered rate. */
static bool is_over_own_limit(const struct shot *s)
{
    return s->load->opts.own_limits && s->judge.status == 429 &&
           strcmp(s->judge.code, "rate_limit_exceeded") == 0;
}

static void on_end(void *ud, enum err why, enum call_step step)
{
    struct shot *s = ud;
    enum ending e;
    int64_t wait_us = -1;

    s->call = NULL;
    e = judge_end(&s->judge, why, step != CALL_CONNECTING);
    if (s->load->opts.sdk && e >= END_FAILED)
        wait_us = retry_wait_us(&s->judge, why, s->attempts_n, &s->load->dice);
    if (wait_us >= 0)
        back_off(s, wait_us);
    else
        finish(s, is_over_own_limit(s) ? END_REFUSED : e, s->judge.code);
}

static const struct call_cb CALL_CB = {on_head, on_body, on_end};

/* -- sending --------------------------------------------------------------------------------------------- */

static bool make_body(struct shot *s)
{
    if (s->body.n > 0)
        return true;
    if (prompts_write(s->load->prompts, &s->arrival, &s->body) != ERR_OK)
        return false;
    s->piece = buf_slice(&s->body);
    return true;
}

static void begin_call(struct shot *s)
{
    struct load *l = s->load;
    unsigned class_no = s->arrival.class_no;
    bool fine = make_body(s);
    struct call_opts o = {
        .request =
            {
                .method = SLICE("POST"),
                .base_path = l->opts.target.base_path,
                .path = SLICE("/chat/completions"),
                .authority = l->opts.target.authority,
                .headers = l->headers[class_no][s->attempts_n],
                .headers_n = l->headers_n[class_no],
                .body = &s->piece,
                .body_n = 1,
                .body_bytes = s->piece.n,
            },
        .head_max = HEAD_MAX_BYTES,
    };

    ASSERT(fine); /* lengths were bounded when they were drawn */
    if (s->judging)
        judge_fini(&s->judge);
    judge_init(&s->judge, s->arrival.stream, l->json);
    s->judging = true;
    s->attempts_n++;
    s->state = SHOT_CALLING;
    l->calling_n++;
    list_push_back(&l->others, &s->node);
    count_sent(s);
    s->call = call_start(&l->pool, &o, &CALL_CB, s);
}

/* Sends it, or puts it behind those that wait. */
static void go_or_wait(struct shot *s)
{
    struct load *l = s->load;

    list_remove(&s->node);
    if (l->calling_n < l->opts.connections && list_empty(&l->waiting)) {
        begin_call(s);
        return;
    }
    s->state = SHOT_WAITING;
    s->held = true;
    l->waiting_n++;
    list_push_back(&l->waiting, &s->node);
}

void shot_go_on(struct shot *s)
{
    const char *bound = passed(s, s->load->loop->now_us);

    if (bound != NULL) { /* its timer would say so in this very turn */
        finish(s, END_FAILED, bound);
        return;
    }
    list_remove(&s->node);
    s->load->waiting_n--;
    begin_call(s);
}

void shot_arrive(struct load *l, const struct arrival *a, int64_t intended_us)
{
    struct shot *s = MEM_NEW(struct shot);
    struct tally_group *g[2];

    list_init(&s->node);
    s->load = l;
    s->arrival = *a;
    s->intended_us = intended_us;
    s->state = SHOT_BACKOFF; /* in no count */
    buf_init(&s->body, BODY_MAX_BYTES, NULL);
    timer_init(&s->timer, on_timer);
    l->shots_n++;
    for (size_t i = 0, n = groups(s, g); i < n; i++)
        g[i]->intended_n++;
    if (l->waiting_n >= l->opts.waiting_max) {
        finish(s, END_FAILED, "overrun");
        return;
    }
    go_or_wait(s);
    watch(s);
}
