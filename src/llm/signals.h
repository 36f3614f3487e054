/* SPDX-License-Identifier: MIT */
/* What engines say of their own load: the pages that they have for it, and the header by which some tell it
 * with an answer (ORCA). Pure.
 *
 * | engine       | page       | slots                      | waiting                          |
 * | llama-server | /props     | total_slots                |                                  |
 * | vLLM         | /metrics   |                            | vllm:num_requests_waiting        |
 * | SGLang       | /v1/loads  | max_running_requests       | num_waiting_reqs                 |
 *
 * vLLM's other series of nearly the same name (num_requests_waiting_by_reason) counts something else, and
 * under Ray the colon is an underscore. A page without the series says nothing: absent is not zero. */
#ifndef LLM_SIGNALS_H
#define LLM_SIGNALS_H

#include <stdbool.h>

#include "llm/dialect.h"

struct signals {
    int slots;  /* calls that it works on at a time; 0: it does not say */
    int queued; /* calls that wait in it; -1: it does not say */
};

#define SIGNALS_MAX 1000000 /* more is nonsense */

/* The page to ask, as a path from the server's root; NULL: the dialect has none. */
const char *signals_page(enum dialect_id d);
/* Whether its page can say how many slots it has. */
bool signals_tell_slots(enum dialect_id d);
/* Reads such a page; false if it says neither. */
bool signals_read(enum dialect_id d, struct slice body, struct signals *out);
/* Reads the header endpoint-load-metrics, as text or JSON, with or without the word in front; false if it
 * does not say how many wait. */
bool signals_read_header(struct slice value, struct signals *out);

#endif
