/* SPDX-License-Identifier: MIT */
/* What an exchange has to say of its decisions: to its client, to its worker's rings, to whoever asks. */
#ifndef GATEWAY_WHY_EXCHANGE_H
#define GATEWAY_WHY_EXCHANGE_H

#include "gateway/exchange.h"
#include "gateway/why_record.h"

/* What is known of it now; what it shows lives as long as the exchange does not go on. */
void why_of_exchange(const struct exchange *ex, struct why_source *out);
/* The text of x-tidegate-why in the turn's memory; empty: there is nothing to say. */
struct slice why_words(const struct exchange *ex);
/* The exchange is over: into the rings. */
void why_keep(const struct exchange *ex);
/* Everything a worker knows of a request, over or in work, as elements of a JSON array, each but the first
 * with a comma before it; returns how many. Thread: the worker's. */
size_t why_answer(const struct worker *w, struct slice id, struct buf *out);

#endif
