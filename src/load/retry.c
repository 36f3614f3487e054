/* SPDX-License-Identifier: MIT */
/* The SDK's rules (openai-python 3): two retries; on failures of the connection, 408, 409, 429 and 5xx, or as
 * x-should-retry says; after Retry-After when that is at most two minutes, never when it is longer, else
 * after 0.5 s * 2^n, at most 8 s, less up to a quarter by chance. A stream that has begun is not asked for
 * again: the application has its first half. */
#include "load/retry.h"

#include "base/clock.h"

#define RETRIES_MAX 2
#define HINT_MAX_US (120 * CLOCK_SECOND_US)
#define FIRST_US (CLOCK_SECOND_US / 2)
#define LONGEST_US (8 * CLOCK_SECOND_US)

static bool is_retried(const struct judge *j)
{
    if (j->should_retry >= 0)
        return j->should_retry;
    return j->status == 408 || j->status == 409 || j->status == 429 || j->status >= 500;
}

/* A response with an error status, or none at all: the SDK has given nothing to the application yet. */
static bool may_retry(const struct judge *j, enum err why)
{
    bool success = j->status >= 200 && j->status < 300;

    if (j->status == 0 || (success && !j->events && why != ERR_OK))
        return true; /* the connection failed; a plain answer is read before it is returned */
    return !success && is_retried(j);
}

int64_t retry_wait_us(const struct judge *j, enum err why, unsigned attempts_n, struct rng *dice)
{
    int64_t backoff_us = FIRST_US;

    if (attempts_n > RETRIES_MAX || !may_retry(j, why))
        return -1;
    if (j->retry_after_us > HINT_MAX_US)
        return -1;
    if (j->retry_after_us > 0)
        return j->retry_after_us;
    for (unsigned i = 1; i < attempts_n && backoff_us < LONGEST_US; i++)
        backoff_us *= 2;
    if (backoff_us > LONGEST_US)
        backoff_us = LONGEST_US;
    return (int64_t)((double)backoff_us * (1 - 0.25 * rng_unit(dice)));
}
