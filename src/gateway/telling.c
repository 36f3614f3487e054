/* SPDX-License-Identifier: MIT */
#include "gateway/telling.h"

#include "base/clock.h"

#define TOLD_MAX_US (60 * CLOCK_SECOND_US) /* DESIGN 4.3 */

struct flight_end telling_of(const struct verdict *v, enum outcome o)
{
    const struct outcome_row *row = outcome_row(o);
    struct flight_end end = {row->err, 0, v->detail, v->param, v->code, v->retry_after_us};

    if (row->kind == KIND_CLIENT && end.detail.n == 0)
        end.detail =
            SLICE("The endpoint refused the request and gave no reason that could be read; a wrong url of "
                  "the endpoint looks like this.");
    if (row->kind == KIND_CLIENT)
        end.status = v->status;
    else
        end.param = end.code = SLICE_NONE; /* the endpoint's own code would contradict ours */
    if (row->kind == KIND_CREDENTIAL || row->kind == KIND_GONE)
        end.detail = SLICE_NONE; /* of our key, for the log alone; of what we could not take, half heard */
    if (end.retry_after_us > TOLD_MAX_US)
        end.retry_after_us = TOLD_MAX_US;
    return end;
}

struct flight_end telling_of_parked(const struct ticket *t, enum outcome last)
{
    return (struct flight_end){.err = outcome_row(last != OUTCOME_N ? last : t->parked_why)->err,
                               .retry_after_us = -1};
}

/* In whole seconds, rounded up: nobody knows it better. */
static long long seconds(int64_t us)
{
    return (us + CLOCK_SECOND_US - 1) / CLOCK_SECOND_US;
}

/* How long it would have had to wait, and what it may. */
static struct slice tell_wait(const struct ticket *t, const char *what, int64_t may_us, struct arena *arena)
{
    if (t->eta_us == CLOCK_NEVER_US)
        return arena_printf(arena, "Requests of a better class take every slot of this model at present.");
    return arena_printf(arena,
                        "About %zu requests are before this one, which takes some %lld s; it may wait for "
                        "%lld s (%s).",
                        t->place - 1, seconds(t->eta_us), seconds(may_us), what);
}

static struct slice tell_refusal(enum line_verdict v, const struct ticket *t,
                                 const struct config_options *opt, int64_t now_us, struct arena *arena)
{
    switch (v) {
    case LINE_FULL:
        return arena_printf(arena, "%lld requests wait for this model already (limits.line).",
                            (long long)opt->line_max);
    case LINE_FULL_BYTES:
        return arena_printf(arena,
                            "The requests that wait for this model already hold nearly %lld bytes "
                            "(limits.line_bytes).",
                            (long long)opt->line_bytes);
    case LINE_SLOW:
        return tell_wait(t, "limits.line_wait", opt->line_wait_us, arena);
    default:
        return tell_wait(t, "its deadline", t->deadline_us > now_us ? t->deadline_us - now_us : 0, arena);
    }
}

struct flight_end telling_of_line(enum line_verdict v, const struct ticket *t,
                                  const struct config_options *opt, int64_t now_us, struct arena *arena)
{
    bool full = v == LINE_FULL || v == LINE_FULL_BYTES;
    struct flight_end end = {.err = full ? ERR_QUEUE_FULL : ERR_WAIT_TOO_LONG, .retry_after_us = t->eta_us};

    end.detail = tell_refusal(v, t, opt, now_us, arena);
    if (end.retry_after_us > TOLD_MAX_US)
        end.retry_after_us = TOLD_MAX_US;
    return end;
}
