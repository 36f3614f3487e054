/* SPDX-License-Identifier: MIT */
/* What goes up: the HTTP request of one call, made of the client's body and the endpoint's configuration. */
#ifndef GATEWAY_PREPARE_H
#define GATEWAY_PREPARE_H

#include "base/arena.h"
#include "config/config.h"
#include "http/client.h"
#include "llm/request.h"

struct prepare_ask {
    const struct config_endpoint *endpoint;
    const struct config_target *target;
    const struct config_alias *alias; /* or NULL */
    const struct request *request;
    struct slice upstream;      /* model name when the target sets none */
    struct slice authorization; /* the client's */
    struct slice request_id;
    const struct header *kept; /* of headers_keep */
    size_t kept_n;
    int hops; /* gateways before this one */
};

/* Everything in `out` lives in the arena, the configuration or the client's body. */
void prepare_request(const struct prepare_ask *ask, struct arena *arena, struct client_request *out);
/* Which targets of a model, a bit each over all tiers, have a provider that does not speak the surface. */
uint64_t prepare_silent(const struct config *cfg, const struct config_model *model, enum surface_id surface);
/* All targets of a model. */
uint64_t prepare_targets(const struct config_model *model);
/* Entry `i` over all tiers of a model. */
const struct config_target *prepare_target(const struct config_model *model, int target);

#endif
