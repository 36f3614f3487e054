/* SPDX-License-Identifier: MIT */
/* What is counted of an exchange that is over. */
#ifndef GATEWAY_RECORD_H
#define GATEWAY_RECORD_H

#include "gateway/exchange.h"

/* Decides ex->result by its error and route, and adds the exchange to its desk's metrics. Once for each. */
void record_exchange(struct exchange *ex);

#endif
