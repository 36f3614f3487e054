/* SPDX-License-Identifier: MIT */
/* Arrivals from ServeGen's traces: each client is a process of its own, and the earliest of all comes next.
 *
 * Inside a window the trace tells how many requests there were (rate times length) and how their gaps are
 * distributed. So many gaps and one more are drawn and stretched to the window: the number is the trace's,
 * and the burstiness too. A fraction of a request is decided by a coin. */
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "load/source_private.h"

#define WINDOW_REQUESTS_MAX 10000000
#define CLIENT_SALT UINT64_C(0x9e3779b97f4a7c15)

struct windows_client {
    const struct trace *trace;
    struct rng dice;
    size_t window; /* the next to be drawn */
    double *at_us; /* of the window that was drawn last, in us of the trace */
    size_t n, next;
    double scale;
};

static double draw_gap(struct windows_client *c, const struct trace_window *w)
{
    return w->gaps == GAPS_GAMMA ? amount_gamma(w->shape, &c->dice) : amount_weibull(w->shape, &c->dice);
}

static double expected_n(const struct trace_window *w, double scale)
{
    return w->rate * scale * (double)(w->to_us - w->from_us) / (double)CLOCK_SECOND_US;
}

static void draw_window(struct windows_client *c, const struct trace_window *w)
{
    double expected = expected_n(w, c->scale), sum = 0, length = (double)(w->to_us - w->from_us);

    c->next = 0;
    c->n = (size_t)expected + (rng_unit(&c->dice) < expected - floor(expected));
    if (c->n == 0)
        return;
    c->at_us = mem_realloc(c->at_us, c->n * sizeof *c->at_us);
    for (size_t i = 0; i < c->n; i++) {
        sum += draw_gap(c, w);
        c->at_us[i] = sum;
    }
    sum += draw_gap(c, w);
    for (size_t i = 0; i < c->n; i++)
        c->at_us[i] = (double)w->from_us + (sum > 0 ? c->at_us[i] / sum : 0) * length;
}

/* When this client's next request comes; false when none does any more. */
static bool peek(struct windows_client *c, int64_t from_us, double *at_us)
{
    for (;;) {
        while (c->next < c->n && c->at_us[c->next] < (double)from_us)
            c->next++;
        if (c->next < c->n)
            break;
        if (c->window == c->trace->windows_n)
            return false;
        draw_window(c, &c->trace->windows[c->window++]);
    }
    *at_us = c->at_us[c->next];
    return true;
}

bool windows_next(struct source *s, struct arrival *out)
{
    struct windows_client *first = NULL;
    double first_us = 0, at_us;

    for (size_t i = 0; i < s->windows.clients_n; i++) {
        struct windows_client *c = &s->windows.clients[i];

        if (!peek(c, s->opts.from_us, &at_us) || (first != NULL && at_us >= first_us))
            continue;
        first = c;
        first_us = at_us;
    }
    if (first == NULL)
        return false;
    first->next++;
    out->at_us = (int64_t)((first_us - (double)s->opts.from_us) / s->opts.speed);
    return true;
}

bool windows_init(struct source *s)
{
    const struct source_opts *o = &s->opts;

    s->windows.clients = mem_zalloc(o->traces_n * sizeof *s->windows.clients);
    s->windows.clients_n = o->traces_n;
    for (size_t i = 0; i < o->traces_n; i++) {
        struct windows_client *c = &s->windows.clients[i];

        c->trace = o->traces[i];
        c->scale = o->scale;
        rng_seed(&c->dice, o->seed + (i + 1) * CLIENT_SALT);
        for (size_t w = 0; w < c->trace->windows_n; w++) {
            if (expected_n(&c->trace->windows[w], o->scale) > WINDOW_REQUESTS_MAX)
                return false;
        }
    }
    return true;
}

void windows_fini(struct source *s)
{
    for (size_t i = 0; i < s->windows.clients_n; i++)
        mem_free(s->windows.clients[i].at_us);
    mem_free(s->windows.clients);
}
