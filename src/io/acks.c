/* SPDX-License-Identifier: MIT */
/* Acknowledging later, as long as nobody waits for it. */
#include "io/acks.h"

#define SOON_US INT64_C(35000)  /* Linux waits 40 ms (TCP_ATO_MIN) */
#define LATE_US INT64_C(250000) /* and at most 200 (TCP_DELACK_MAX): a longer pause is the endpoint's own */
#define SMALL_BYTES 536 /* more than that may be acknowledged at once all the same (TCP_MSS_DEFAULT) */
#define CALM_N 3
#define CALM_MORE_MAX 128
#define WORTH_N 8                 /* reads that must follow for the asking to have paid */
#define GIVE_UP_N 2               /* doubts of a connection in a row */
#define MOMENT_US INT64_C(100000) /* doubts within this are one: all streams pause when somebody stalls */
#define REST_N 4                  /* moments of doubt of an endpoint in a row */

static void trust(struct acks *a, struct acks_record *r)
{
    a->doubts_n = 0;
    if (r->doubts > 0)
        r->doubts = 0;
}

static void doubt(struct acks *a, struct acks_record *r, int64_t now_us)
{
    a->doubts_n++;
    if (r->doubts > 0 && now_us - r->doubt_us < MOMENT_US)
        return;
    r->doubt_us = now_us;
    if (++r->doubts < REST_N)
        return;
    r->doubts = 0;
    r->prompt_until_us = now_us + ACKS_REST_US;
}

/* The kernel's timer has ended the delaying. A stream whose pauses are about as long as that timer would have
 * it ask again and again, so asking becomes rarer when it did not pay. */
static void lapse(struct acks *a)
{
    if (a->delayed_n > WORTH_N)
        a->calm_more = 0;
    else if (a->delayed_n > 0)
        a->calm_more = a->calm_more < CALM_MORE_MAX / 2 ? (uint8_t)(2 * a->calm_more + 1) : CALM_MORE_MAX;
    a->delayed_n = a->calm_n = 0;
}

static bool may_ask(const struct acks *a, const struct acks_record *r, int64_t now_us)
{
    return a->calm_n >= CALM_N + a->calm_more && a->doubts_n < GIVE_UP_N && !r->off &&
           now_us >= r->prompt_until_us;
}

bool acks_read(struct acks *a, struct acks_record *r, size_t n, int64_t now_us)
{
    int64_t gap_us = now_us - a->read_us;
    bool soon = gap_us < SOON_US;

    a->read_us = now_us;
    if (a->delayed_n == 1) { /* everything before it was acknowledged: its coming says nothing */
        a->delayed_n += n <= SMALL_BYTES;
        return false;
    }
    if (a->delayed_n > 1 && soon)
        trust(a, r);
    else if (a->delayed_n == 2 && gap_us < LATE_US)
        doubt(a, r, now_us);
    if (!soon) {
        lapse(a);
        return false;
    }
    if (a->delayed_n > 0) {
        a->delayed_n += a->delayed_n <= WORTH_N;
        return false;
    }
    a->calm_n += a->calm_n < UINT8_MAX;
    if (!may_ask(a, r, now_us))
        return false;
    a->delayed_n = 1;
    r->asked_n++;
    return true;
}

void acks_sent(struct acks *a)
{
    a->calm_n = a->delayed_n = 0;
}
