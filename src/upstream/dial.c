/* SPDX-License-Identifier: MIT */
/* Names and the race of addresses.
 *
 * Order: families alternate, beginning with the one of the resolver's first address (which sorts as RFC 6724
 * has it), or with the one that lately won against it, so that a broken IPv6 costs its 250 ms only now and
 * then. Inside a family every dial begins one address further: round robin over equal addresses. */
#include "upstream/dial.h"

#include <string.h>

#include "base/clock.h"

#define FOUND_MAX 16
#define FAMILY_KEEP_US (600 * CLOCK_SECOND_US) /* RFC 8305 section 9.1: 10 minutes */

static int family_of(const struct addr *a)
{
    return a->ss.ss_family;
}

/* -- the order ------------------------------------------------------------------------------------------- */

/* The k-th address of a family, counted from where this dial begins; NULL: there are fewer. */
static const struct addr *pick(const struct addr *found, size_t n, int family, size_t k, unsigned turn)
{
    size_t total = 0, want;

    for (size_t i = 0; i < n; i++)
        total += family_of(&found[i]) == family;
    if (k >= total)
        return NULL;
    want = (turn + k) % total;
    for (size_t i = 0; i < n; i++) {
        if (family_of(&found[i]) == family && want-- == 0)
            return &found[i];
    }
    return NULL;
}

static void keep_in_order(struct dial *d, const struct addr *found, size_t n)
{
    int first = family_of(&found[0]), second = first;
    unsigned turn = d->host->turn++;

    for (size_t i = 0; i < n && second == first; i++)
        second = family_of(&found[i]);
    if (second == d->host->family && second != first && d->loop->now_us < d->host->family_until_us) {
        second = first;
        first = d->host->family;
    }
    for (size_t k = 0; k < n && d->addrs_n < DIAL_ADDRS_MAX; k++) {
        const struct addr *a = pick(found, n, first, k, turn);
        const struct addr *b = second != first ? pick(found, n, second, k, turn) : NULL;

        if (a != NULL)
            d->addrs[d->addrs_n++] = *a;
        if (b != NULL && d->addrs_n < DIAL_ADDRS_MAX)
            d->addrs[d->addrs_n++] = *b;
    }
}

/* A family that wins against the preferred one is preferred for a while. */
static void learn_family(struct dial *d, const struct addr *winner)
{
    if (family_of(winner) == family_of(&d->addrs[0]))
        return;
    d->host->family = family_of(winner);
    d->host->family_until_us = clock_add(d->loop->now_us, FAMILY_KEEP_US);
}

/* -- the race -------------------------------------------------------------------------------------------- */

static void start_next(struct dial *d);

static void close_losers(struct dial *d)
{
    for (size_t i = 0; i < d->addrs_n; i++) {
        if (d->attempts[i].stream == NULL)
            continue;
        stream_close(&d->attempts[i].stream);
        d->attempts[i].tried = false;
        d->open_n--;
    }
}

static void on_open(void *ud)
{
    struct dial_attempt *a = ud;
    struct dial *d = a->dial;
    struct stream *s = a->stream;

    a->stream = NULL;
    d->open_n--;
    timer_stop(&d->loop->wheel, &d->stagger);
    close_losers(d);
    learn_family(d, &d->addrs[a - d->attempts]);
    d->cb(d->ud, ERR_OK, s);
}

static void on_close(void *ud, enum err why)
{
    struct dial_attempt *a = ud;
    struct dial *d = a->dial;

    d->last = why == ERR_EOF || why == ERR_SYSTEM ? ERR_REFUSED : why;
    stream_close(&a->stream);
    d->open_n--;
    start_next(d);
}

static const struct stream_cb OPENING_CB = {on_open, NULL, NULL, on_close};

static void begin(struct dial *d, size_t i)
{
    struct loop *l = d->loop;
    struct stream *s = l->ops->connect(l, &d->addrs[i], l->pending_max);

    d->attempts[i] = (struct dial_attempt){d, s, true};
    d->open_n++;
    d->host->attempts_n++;
    stream_set_cb(s, &OPENING_CB, &d->attempts[i]);
}

static void start_next(struct dial *d)
{
    size_t i = 0;

    timer_stop(&d->loop->wheel, &d->stagger);
    while (i < d->addrs_n && d->attempts[i].tried)
        i++;
    if (i < d->addrs_n)
        begin(d, i);
    else if (d->open_n == 0)
        d->cb(d->ud, d->last, NULL);
    if (i < d->addrs_n && dial_left(d) > 0)
        timer_set(&d->loop->wheel, &d->stagger, d->loop->now_us + DIAL_STAGGER_US);
}

static void on_stagger(struct timer *t)
{
    start_next(CONTAINER_OF(t, struct dial, stagger));
}

/* -- the name -------------------------------------------------------------------------------------------- */

static void on_addresses(void *ud, enum err e, const struct addr *found, size_t n)
{
    struct dial *d = ud;

    d->lookup = NULL;
    if (e != ERR_OK || n == 0) {
        d->cb(d->ud, e == ERR_EXHAUSTED ? e : ERR_DNS, NULL);
        return;
    }
    keep_in_order(d, found, n < FOUND_MAX ? n : FOUND_MAX);
    start_next(d);
}

void dial_start(struct dial *d, struct loop *l, struct dial_host *host, dial_cb cb, void *ud)
{
    memset(d, 0, sizeof *d);
    d->loop = l;
    d->host = host;
    d->cb = cb;
    d->ud = ud;
    d->last = ERR_REFUSED;
    timer_init(&d->stagger, on_stagger);
    if (host->at != NULL)
        d->addrs[d->addrs_n++] = *host->at;
    else if (addr_of_ip(slice_of(host->name), host->port, &d->addrs[0]))
        d->addrs_n = 1;
    if (d->addrs_n > 0)
        start_next(d);
    else
        d->lookup = l->ops->resolve(l, host->name, host->port, on_addresses, d);
}

size_t dial_left(const struct dial *d)
{
    size_t n = 0;

    for (size_t i = 0; i < d->addrs_n; i++)
        n += !d->attempts[i].tried;
    return n;
}

bool dial_again(struct dial *d)
{
    if (dial_left(d) == 0)
        return false;
    start_next(d);
    return true;
}

void dial_end(struct dial *d)
{
    if (d->loop == NULL)
        return;
    timer_stop(&d->loop->wheel, &d->stagger);
    if (d->lookup != NULL)
        d->loop->ops->lookup_cancel(&d->lookup);
    close_losers(d);
}
