/* SPDX-License-Identifier: MIT */
/* What the control thread answers: /metrics and health, and on `admin` the configuration and its reload. */
#ifndef GATEWAY_PAGES_H
#define GATEWAY_PAGES_H

#include "base/buf.h"
#include "http/conn.h"

struct app;
struct reload;

struct pages {
    struct app *app;
    struct reload *reload;
    void (*more_metrics)(void *ud, struct buf *out); /* more lines for /metrics; may be NULL */
    void *ud;
};

/* Answers the request at once. admin: it came to the address `admin`, which has all pages; the address for
 * scrapers has not. Thread: control's. */
void pages_answer(const struct pages *p, struct conn *c, const struct http_request *rq, bool admin);
/* An error object with the status of that row. */
void pages_refuse(struct conn *c, enum err e);

#endif
