/* SPDX-License-Identifier: MIT */
/* What a client is told of the call that has failed last, which of the endpoint's words are for it, and why
 * it may not wait. */
#ifndef GATEWAY_TELLING_H
#define GATEWAY_TELLING_H

#include "gateway/answer_log.h"
#include "gateway/verdict.h"
#include "policy/line.h"

/* The end of a flight whose last call had this outcome. Its words are the verdict's. */
struct flight_end telling_of(const struct verdict *v, enum outcome o);
/* The end of one for whom all that could be asked refuse our credential, or their accounts have no balance.
 */
struct flight_end telling_of_parked(const struct ticket *t, enum outcome last);
/* The end of one that the line has refused: LINE_FULL, _FULL_BYTES, _SLOW or _LATE. Its words are in the
 * arena. */
struct flight_end telling_of_line(enum line_verdict v, const struct ticket *t,
                                  const struct config_options *opt, int64_t now_us, struct arena *arena);

#endif
