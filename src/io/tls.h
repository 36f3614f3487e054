/* SPDX-License-Identifier: MIT */
/* TLS as a stream over another stream (OpenSSL with memory BIOs). ALPN offers http/1.1. */
#ifndef IO_TLS_H
#define IO_TLS_H

#include "io/stream.h"

struct tls_config;

/* A client configuration: TLS 1.2 or later, peer and host name verified. ca_file NULL: the system's store
 * (SSL_CERT_FILE and SSL_CERT_DIR are honoured). *why is a static text on failure. Thread: any. */
struct tls_config *tls_config_client(const char *ca_file, const char **why);
/* What the client shows to endpoints that ask for a certificate: PEM files, the key without a passphrase.
 * false with *why (static) when they cannot be used or do not belong together. Before the first stream. */
bool tls_config_identify(struct tls_config *c, const char *cert_file, const char *key_file, const char **why);
/* A server configuration for the simulator and tests. */
struct tls_config *tls_config_server(const char *cert_file, const char *key_file, const char **why);
/* The same with a key and a certificate made on the spot: signed by itself, for these names and addresses
 * (with blanks between them), valid from yesterday for 30 days. For the simulator. NULL when OpenSSL cannot.
 */
struct tls_config *tls_config_self_made(const char *names);
/* Writes the certificate of a server configuration as PEM; false with errno. */
bool tls_config_save(const struct tls_config *c, const char *file);
void tls_config_free(struct tls_config **c);

/* Wraps an opened or opening stream and takes it over (*lower becomes NULL). The result behaves as a stream
 * that is being opened: on_open comes after the handshake, on_close(ERR_TLS) if it fails; tls_why then says
 * why. host: for SNI and verification (NULL for servers). A close_notify is an ERR_EOF; an end without one is
 * ERR_RESET unless the reader knows better. */
struct stream *tls_wrap(struct stream **lower, struct tls_config *c, const char *host);
const char *tls_why(const struct stream *s);

/* What is remembered of one endpoint's handshakes with one configuration. Thread: the loop's. */
struct tls_sessions;
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions **m);
/* A stream that tls_wrap has just made for a client resumes a session of m if there is one, and adds to it
 * what the endpoint gives. m must outlive the stream. */
void tls_remember(struct stream *s, struct tls_sessions *m);
/* Whether the handshake that is done resumed a session. */
bool tls_is_resumed(const struct stream *s);

#endif
