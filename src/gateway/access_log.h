/* SPDX-License-Identifier: MIT */
/* The access log: one JSON object a line for every exchange, never with prompt, answer or credential. */
#ifndef GATEWAY_ACCESS_LOG_H
#define GATEWAY_ACCESS_LOG_H

#include "gateway/exchange.h"

struct access_log;

/* One worker's writer to a descriptor shared by all (lines are written whole). fd -1: no log. */
struct access_log *access_log_new(struct loop *l, int fd);
void access_log_free(struct access_log **a); /* writes what waits */
void access_log_exchange(struct access_log *a, const struct exchange *ex);

#endif
