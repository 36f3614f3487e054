/* SPDX-License-Identifier: MIT */
/* Whom the endpoints of a configuration trust, and what they show of themselves: their TLS settings. */
#ifndef GATEWAY_TRUST_H
#define GATEWAY_TRUST_H

#include "config/config.h"
#include "io/tls.h"

/* Fills out[endpoints_n]: NULL for endpoints without TLS, the same settings for those with the same files (a
 * CA store is parsed once). Returns -1, or the endpoint whose files cannot be used and in *why (static) the
 * reason; what was made stays in `out`. Files are read now: a reload reads them again. */
int trust_make(const struct config *cfg, struct tls_config **out, const char **why);
void trust_free(const struct config *cfg, struct tls_config **out);
/* The same without keeping anything, for `tidegate check`. */
int trust_check(const struct config *cfg, const char **why);

#endif
