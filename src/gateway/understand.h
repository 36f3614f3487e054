/* SPDX-License-Identifier: MIT */
/* What a request that has been read asks for: whether its model exists, may be used by this key and can be
 * had on this route, and the wishes in its headers. */
#ifndef GATEWAY_UNDERSTAND_H
#define GATEWAY_UNDERSTAND_H

#include "gateway/exchange.h"

/* Fills in ex->match, ex->silent, ex->way and ex->wishes from ex->request and the headers.
 * ERR_MODEL_NOT_FOUND, ERR_MODEL_FORBIDDEN, ERR_ROUTE_NOT_SPOKEN, ERR_RULE_FORBIDS, ERR_NO_LOCAL_ENDPOINT, or
 * what wishes_read says, with *fault filled in where there is more to say than the row does. */
enum err understand(struct exchange *ex, struct request_fault *fault);

#endif
