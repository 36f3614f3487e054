/* SPDX-License-Identifier: MIT */
/* Many clients in a virtual world. A visitor that pauses reads on three seconds later. */
#include "support/crowd.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sim/text.h"

#define PROMPT_MAX 65536
#define PAUSE_US (3 * CLOCK_SECOND_US)

struct visitor {
    struct crowd *crowd;
    struct caller *caller;
    struct arrival what;
    struct buf body;
    uint64_t hash;
    size_t tokens;
    struct timer go_on;
};

struct crowd {
    struct world *w;
    const struct arrival *arrivals;
    size_t n, next;
    int64_t began_us;
    struct timer timer;
    struct rng dice;
    struct tally tally;
    bool all_ended;
};

/* -- judging --------------------------------------------------------------------------------------------- */

/* Whether the text is the beginning of what the simulator says; *whole: all of it. */
static bool text_fits(const struct visitor *v, struct slice text, bool *whole)
{
    char token[SIM_TOKEN_MAX];
    size_t at = 0;

    for (size_t i = 0; i < v->tokens && at < text.n; i++) {
        size_t n = sim_text_token(v->hash, i, token);

        if (n > text.n - at || memcmp(text.p + at, token, n) != 0)
            return false;
        at += n;
        *whole = i + 1 == v->tokens && at == text.n;
    }
    return at == text.n;
}

static void judge(struct visitor *v, struct caller *c)
{
    struct tally *t = &v->crowd->tally;
    bool whole = false, fits = text_fits(v, buf_slice(&c->text), &whole);

    if (c->left)
        t->left_n++;
    else if (c->status == 200 && c->complete && fits && whole && c->done == v->what.stream && !c->error_event)
        t->whole_n++;
    else if (c->status >= 400 && c->complete && story_error_code(c)[0] != '\0')
        t->error_n++;
    else if (c->status == 200 && !c->complete && c->error_event && !c->done && fits)
        t->in_band_n++;
    else if (t->wrong_n++ == 0)
        snprintf(
            t->first_wrong, sizeof t->first_wrong,
            "model %s stream %d status %d complete %d done %d error %d fits %d whole %d why %d bytes %zu",
            v->what.model, v->what.stream, c->status, c->complete, c->done, c->error_event, fits, whole,
            (int)c->why, c->body.n);
}

static void on_end(void *ud, struct caller *c)
{
    struct visitor *v = ud;
    struct crowd *crowd = v->crowd;

    judge(v, c);
    timer_stop(&crowd->w->client_loop->wheel, &v->go_on);
    caller_free(&c);
    buf_fini(&v->body);
    mem_free(v);
    crowd->tally.open_n--;
    crowd->tally.ended_n++;
    crowd->all_ended = crowd->tally.ended_n == crowd->n;
}

/* -- arriving -------------------------------------------------------------------------------------------- */

static void on_go_on(struct timer *t)
{
    caller_go_on(CONTAINER_OF(t, struct visitor, go_on)->caller);
}

static void make_body(struct visitor *v, struct rng *dice)
{
    static char prompt[PROMPT_MAX];
    size_t n = (size_t)v->what.prompt_bytes < sizeof prompt ? (size_t)v->what.prompt_bytes : sizeof prompt;
    enum err e;

    for (size_t i = 0; i < n; i++)
        prompt[i] = (char)('a' + rng_below(dice, 26));
    v->hash = sim_text_hash((struct slice){prompt, n}, 0);
    v->tokens = v->what.tokens > 0 ? (size_t)v->what.tokens : sim_text_length(v->hash, 20);
    e = buf_printf(&v->body, "{\"model\":\"%s", v->what.model);
    if (e == ERR_OK && v->what.tokens > 0)
        e = buf_printf(&v->body, "~tokens=%d", v->what.tokens);
    if (e == ERR_OK)
        e = buf_printf(&v->body, "\",\"stream\":%s,", v->what.stream ? "true" : "false");
    if (e == ERR_OK)
        e = buf_add(&v->body, SLICE("\"messages\":[{\"role\":\"user\",\"content\":\""));
    if (e == ERR_OK)
        e = buf_add(&v->body, (struct slice){prompt, n});
    if (e == ERR_OK)
        e = buf_add(&v->body, SLICE("\"}]}"));
    ASSERT(e == ERR_OK);
}

static void arrive(struct crowd *c, const struct arrival *a)
{
    static const struct header KEY = {{"Authorization", 13}, {"Bearer key-for-tests", 20}};
    struct visitor *v = MEM_NEW(struct visitor);
    struct caller_ask ask = {.to = c->w->listen,
                             .path = "/v1/chat/completions",
                             .headers = &KEY,
                             .headers_n = 1,
                             .leave_after_us = a->leave_after_us,
                             .pause_at_bytes = a->pause_at_bytes};

    v->crowd = c;
    v->what = *a;
    buf_init(&v->body, 4 * PROMPT_MAX, NULL);
    timer_init(&v->go_on, on_go_on);
    make_body(v, &c->dice);
    ask.body = buf_slice(&v->body);
    if (a->pause_at_bytes > 0)
        timer_set(&c->w->client_loop->wheel, &v->go_on, c->w->client_loop->now_us + PAUSE_US);
    c->tally.open_n++;
    v->caller = caller_start(c->w->client_loop, &ask, on_end, v);
}

static void on_timer(struct timer *t)
{
    struct crowd *c = CONTAINER_OF(t, struct crowd, timer);
    int64_t now_us = c->w->client_loop->now_us;

    while (c->next < c->n && c->began_us + c->arrivals[c->next].at_us <= now_us)
        arrive(c, &c->arrivals[c->next++]);
    if (c->next < c->n)
        timer_set(&c->w->client_loop->wheel, t, c->began_us + c->arrivals[c->next].at_us);
}

struct crowd *crowd_new(struct world *w, const struct arrival *arrivals, size_t n, uint64_t seed)
{
    struct crowd *c = MEM_NEW(struct crowd);

    c->w = w;
    c->arrivals = arrivals;
    c->n = n;
    c->began_us = vnet_now_us(w->net);
    rng_seed(&c->dice, seed);
    timer_init(&c->timer, on_timer);
    timer_set(&w->client_loop->wheel, &c->timer, c->began_us);
    return c;
}

bool crowd_run(struct crowd *c, int64_t us)
{
    world_run_until(c->w, us, &c->all_ended);
    return c->all_ended;
}

const struct tally *crowd_tally(const struct crowd *c)
{
    return &c->tally;
}

void crowd_free(struct crowd **cp)
{
    struct crowd *c = *cp;

    *cp = NULL;
    timer_stop(&c->w->client_loop->wheel, &c->timer);
    mem_free(c);
}
