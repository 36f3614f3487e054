/* SPDX-License-Identifier: MIT */
/* Private to TLS: what the streams of one configuration share. */
#ifndef IO_TLS_CONFIG_H
#define IO_TLS_CONFIG_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "io/tls.h"

#define TLS_ALPN "\x08http/1.1"

struct tls_config {
    SSL_CTX *ctx;
    SSL_CTX **others; /* of a server with several certificates: the second and later ones' */
    size_t others_n;
    BIO_METHOD *bio; /* how OpenSSL reads and writes the stream below */
    bool server;
    int refs_n; /* atomic: the creator's and one per stream */
};

/* With the settings that both sides share. */
SSL_CTX *tls_ctx_new(const SSL_METHOD *method);
struct tls_config *tls_config_new(SSL_CTX *ctx, bool server); /* takes the context over */
/* A server configuration that has no certificate yet. */
struct tls_config *tls_config_bare(void);
/* What one stream needs of OpenSSL; `owner` is its app data and that of its BIO. host: whom to expect, NULL
 * at a server. NULL: no memory. */
SSL *tls_session_new(struct tls_config *c, void *owner, const char *host);
/* tls.c: told of each step of a certificate's verification. */
int tls_on_verify(int fine, X509_STORE_CTX *x);
/* tls.c: a session that the peer of this connection can resume; 1: kept. */
int tls_on_session(SSL *ssl, SSL_SESSION *session);
/* tls.c: a new method, for BIOs whose data is the TLS stream. */
BIO_METHOD *tls_bio_method(void);

#endif
