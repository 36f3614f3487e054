/* SPDX-License-Identifier: MIT */
/* Three clocks and a deadline: the earliest of them, and which one has run out. */
#include "policy/clocks.h"

#include "base/assert.h"
#include "base/clock.h"

/* A client's timer started before our own, by the time its request took to reach us. */
#define MARGIN_SHARE 50 /* one fiftieth: 2 % */
#define MARGIN_MIN_US (100 * CLOCK_MS_US)
#define PATIENCE_MIN_US (50 * CLOCK_MS_US)
#define PATIENCE_MAX_S 1e9 /* more than thirty years is no patience but a broken header */

static int64_t earlier(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* The end of the whole, whatever comes from the endpoint. */
static int64_t end_at(const struct clocks *c)
{
    return c->streaming && c->last_payload_us > 0 ? c->stream_max_at_us : c->deadline_at_us;
}

static int64_t transport_at(const struct clocks *c)
{
    return c->streaming ? clock_add(c->last_byte_us, c->transport_us) : CLOCK_NEVER_US;
}

static int64_t progress_at(const struct clocks *c)
{
    return c->streaming && c->last_payload_us > 0 ? clock_add(c->last_payload_us, c->progress_us)
                                                  : CLOCK_NEVER_US;
}

int64_t clocks_due(const struct clocks *c)
{
    return earlier(end_at(c), earlier(transport_at(c), progress_at(c)));
}

int64_t clocks_due_paused(const struct clocks *c)
{
    return end_at(c);
}

void clocks_resume(struct clocks *c, int64_t now_us)
{
    c->last_byte_us = now_us;
    if (c->last_payload_us > 0)
        c->last_payload_us = now_us;
}

/* When the loop was late and several clocks have passed, the one that ran out first is the cause; at the same
 * point the deadline goes first, since it blames nobody. */
enum outcome clocks_check(const struct clocks *c, int64_t now_us, bool paused)
{
    int64_t due_us = paused ? clocks_due_paused(c) : clocks_due(c);

    if (now_us < due_us)
        return OUTCOME_OK;
    if (due_us == end_at(c))
        return OUTCOME_DEADLINE;
    return due_us == transport_at(c) ? OUTCOME_TRANSPORT_TIMEOUT : OUTCOME_STALLED;
}

/* How long we may take so that our answer comes before a client with this read timeout gives up. The
 * comparison is written so that NaN fails it. */
static int64_t patience_us(double timeout_s)
{
    if (!(timeout_s > 0 && timeout_s <= PATIENCE_MAX_S))
        return CLOCK_NEVER_US;

    int64_t whole_us = (int64_t)(timeout_s * (double)CLOCK_SECOND_US);
    int64_t margin_us = whole_us / MARGIN_SHARE;
    int64_t left_us = whole_us - (margin_us > MARGIN_MIN_US ? margin_us : MARGIN_MIN_US);
    return left_us > PATIENCE_MIN_US ? left_us : PATIENCE_MIN_US;
}

int64_t clocks_deadline(int64_t now_us, int64_t model_us, int64_t header_ms, double client_timeout_s)
{
    ASSERT(now_us >= 0 && model_us > 0);
    int64_t span_us = earlier(model_us, patience_us(client_timeout_s));

    /* Divided rather than multiplied: the header's number is the client's and may be anything. */
    if (header_ms > 0 && header_ms <= span_us / CLOCK_MS_US)
        span_us = header_ms * CLOCK_MS_US;
    return clock_add(now_us, span_us);
}
