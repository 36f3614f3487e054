/* SPDX-License-Identifier: MIT */
/* Limits of keys and models, as an exchange meets them (docs/limits.md).
 *
 *   IDENTIFY   quota_look    the key's own limits are looked at before the body is read
 *   JOIN       quota_enter   all limits that apply, with the tokens as estimated; counted when all let it
 * through SETTLED    quota_settle  what was not used is given back; the estimate learns
 *
 * An exchange without limits costs two comparisons and nothing else. */
#ifndef GATEWAY_QUOTA_H
#define GATEWAY_QUOTA_H

#include "http/message.h"
#include "shared/limits.h"

struct exchange;

#define QUOTA_HEADERS_MAX 7 /* three about requests, three about tokens, one about when to retry */

/* In the request's arena; NULL in exchanges that nothing limits. */
struct quota {
    struct limits_pass pass;
    struct limits_levels levels;
    int64_t estimated; /* tokens of the prompt, before correction; 0: not estimated */
    int64_t prompt;    /* the same, corrected */
    int64_t retry_us;  /* of a refusal; -1: none */
};

/* False when the exchange has been refused: it is over. */
bool quota_look(struct exchange *ex);
bool quota_enter(struct exchange *ex);
/* From the exchange's own settling: runs for every exchange, once. */
void quota_settle(struct exchange *ex);
/* Writes what the response says about limits to h[n...]; returns the new n. */
size_t quota_headers(struct exchange *ex, struct header *h, size_t n);

#endif
