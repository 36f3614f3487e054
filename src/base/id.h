/* SPDX-License-Identifier: MIT */
/* Request ids and comparisons that must not leak by their time. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>

#include "base/rng.h"
#include "base/slice.h"

#define ID_BYTES 24 /* "req_" and 20 letters or digits */

/* Writes ID_BYTES bytes and a NUL. */
void id_make(struct rng *r, char out[ID_BYTES + 1]);
/* Whether a client's own request id may be used: 1..128 bytes of [A-Za-z0-9._:-]. */
bool id_is_safe(struct slice s);
/* Equal, in a time that depends on neither content (only on the lengths). */
bool id_equal_secret(struct slice a, struct slice b);
/* XXH3 64. */
uint64_t id_hash(struct slice s, uint64_t seed);

#endif
