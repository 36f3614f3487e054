/* SPDX-License-Identifier: MIT */
/* What the simulator answers at which path. */
#ifndef SIM_ROUTES_H
#define SIM_ROUTES_H

#include "sim/form.h"

/* A small page: GET and HEAD. `rest` is what stands behind the route's path. */
typedef void (*sim_page_fn)(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);

struct sim_route {
    const char *path;            /* without its prefix; a final "/" takes everything below */
    const struct sim_form *form; /* POST; or */
    sim_page_fn page;
};

/* NULL when there is none; *rest is what stands behind a path that ends with "/". The prefixes /v1, /beta,
 * /anthropic and /anthropic/v1 are the same to it. */
const struct sim_route *sim_route_of(struct slice path, struct slice *rest);

/* pages.c: what providers have. */
void sim_page_models(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_model(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_balance(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_stats(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);

/* engine.c: what local engines tell of themselves. */
void sim_page_health(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_props(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_slots(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_metrics(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);
void sim_page_loads(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest);

#endif
