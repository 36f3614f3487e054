/* SPDX-License-Identifier: MIT */
/* What a client is told of the call that has failed last: which of the endpoint's words are for it. */
#ifndef GATEWAY_TELLING_H
#define GATEWAY_TELLING_H

#include "gateway/answer_log.h"
#include "gateway/verdict.h"

/* The end of a flight whose last call had this outcome. Its words are the verdict's. */
struct flight_end telling_of(const struct verdict *v, enum outcome o);

#endif
