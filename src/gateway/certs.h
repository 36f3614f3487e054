/* SPDX-License-Identifier: MIT */
/* The certificates of a configuration's listeners, read from their files. */
#ifndef GATEWAY_CERTS_H
#define GATEWAY_CERTS_H

#include "base/log.h"
#include "config/config.h"
#include "io/tls.h"

/* The listeners of a configuration as one row: those of `listen`, then `admin` and `metrics` if there are
 * any; NULL behind the last. */
const struct config_listener *certs_listener(const struct config *cfg, size_t i);

/* Fills *out (heap, one place for each listener in that order; NULL where there is no TLS; listeners with the
 * same certificates share). false with *why (static) when files cannot be used. Files are read now: a reload
 * reads them again. */
bool certs_load(const struct config *cfg, struct tls_config ***out, const char **why);
void certs_free(const struct config *cfg, struct tls_config ***out);
/* What the listener at that address shows; NULL if the configuration has none there, or a plain one. */
struct tls_config *certs_find(const struct config *cfg, struct tls_config **certs, const char *at);

/* Looks at every certificate and key and says what OpenSSL cannot use (a fault) and what clients will not
 * accept (a warning: a certificate whose time is over does not keep a gateway from serving): `say` gets the
 * file and a sentence. Returns how many faults there were. */
typedef void (*certs_say_cb)(void *ud, const struct config_file *at, const char *text, bool fault);
size_t certs_check(const struct config *cfg, int64_t now_s, certs_say_cb say, void *ud);
/* The same, into a log. */
void certs_warn(const struct config *cfg, int64_t now_s, struct log *log);

#endif
