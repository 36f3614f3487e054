/* SPDX-License-Identifier: MIT */
/* What is counted of an exchange that is over. */
#ifndef GATEWAY_RECORD_H
#define GATEWAY_RECORD_H

#include "gateway/exchange.h"

/* Decides ex->result by its error and route, and adds the exchange to its desk's metrics. Once for each. */
void record_exchange(struct exchange *ex);

struct verdict;

/* One call of an endpoint is settled: what it came to, for the metrics. */
void record_call(struct desk *d, int endpoint, enum outcome o, const struct verdict *v);

#endif
