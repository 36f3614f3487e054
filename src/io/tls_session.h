/* SPDX-License-Identifier: MIT */
/* Private to TLS: the sessions of one endpoint, so that the next handshake with it is a short one. */
#ifndef IO_TLS_SESSION_H
#define IO_TLS_SESSION_H

#include <openssl/ssl.h>

#include "io/tls.h"

/* Keeps a session (takes the reference over); the oldest make room. */
void tls_sessions_put(struct tls_sessions *m, SSL_SESSION *s, int64_t now_us);
/* The newest that is not too old, to be used now, or NULL. The caller gets a reference. */
SSL_SESSION *tls_sessions_take(struct tls_sessions *m, int64_t now_us);

#endif
