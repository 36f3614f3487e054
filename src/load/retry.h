/* SPDX-License-Identifier: MIT */
/* Whether and when the official SDK for Python would ask again. */
#ifndef LOAD_RETRY_H
#define LOAD_RETRY_H

#include "base/rng.h"
#include "load/judge.h"

/* attempts_n: made so far. Returns how long it waits before the next, in us, or -1: it gives up. */
int64_t retry_wait_us(const struct judge *j, enum err why, unsigned attempts_n, struct rng *dice);

#endif
