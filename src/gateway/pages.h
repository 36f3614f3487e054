/* SPDX-License-Identifier: MIT */
/* What the control thread answers: /metrics and health, and on `admin` the configuration and its reload. */
#ifndef GATEWAY_PAGES_H
#define GATEWAY_PAGES_H

#include "base/buf.h"
#include "http/conn.h"

struct app;
struct explain;
struct explains;
struct reload;

struct pages {
    struct app *app;
    struct reload *reload;
    struct explains *explains;
    void (*more_metrics)(void *ud, struct buf *out); /* more lines for /metrics; may be NULL */
    void *ud;
};

/* Answers the request, at once if it returns NULL; else it is answered later, and explain_gone is due when
 * the connection leaves before. admin: it came to the address `admin`, which has all pages; the address for
 * scrapers has not. Thread: control's. */
struct explain *pages_answer(const struct pages *p, struct conn *c, const struct http_request *rq,
                             bool admin);
/* A response whose body is copied. */
void pages_respond(struct conn *c, int status, struct slice type, struct slice body);
/* An error object with the status of that row. */
void pages_refuse(struct conn *c, enum err e);

#endif
