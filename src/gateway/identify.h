/* SPDX-License-Identifier: MIT */
/* Who calls: the gateway's own keys, compared in constant time. */
#ifndef GATEWAY_IDENTIFY_H
#define GATEWAY_IDENTIFY_H

#include "config/config.h"
#include "http/message.h"

/* The client's key. With no keys configured everybody is welcome (*key NULL, ERR_OK). Else ERR_KEY_MISSING or
 * ERR_KEY_INVALID. The secret comes as "Authorization: Bearer SECRET" or, from Anthropic's clients, as
 * x-api-key. */
enum err identify_client(const struct config *cfg, const struct http_request *rq,
                         const struct config_key **key);
/* Whether a key may use a model (index in the configuration). NULL: everything. */
bool identify_may_use(const struct config_key *key, int model);

#endif
