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
/* A server configuration with one certificate. */
struct tls_config *tls_config_server(const char *cert_file, const char *key_file, const char **why);
/* The same with a key and a certificate made on the spot: signed by itself, for these names and addresses
 * (with blanks between them), valid from yesterday for 30 days. For the simulator. NULL when OpenSSL cannot.
 */
/* From now on OpenSSL gets its memory from base/mem, so that it is known when it was refused some. Once,
 * before anything else of TLS. */
void tls_use_counted_memory(void);
struct tls_config *tls_config_self_made(const char *names);
/* Writes the certificate of a server configuration as PEM; false with errno. */
bool tls_config_save(const struct tls_config *c, const char *file);

/* PEM files: a certificate with its chain behind it, and its key without a passphrase. */
struct tls_pair {
    const char *cert_file, *key_file;
};
/* One with several: a client is shown the first that is for the name it asks for (SNI), one that has the very
 * name before one that has a wildcard, and else the first of all. On failure NULL, *fault is the pair, and
 * *why (static) the reason. n > 0. Thread: any. */
struct tls_config *tls_config_servers(const struct tls_pair *pairs, size_t n, size_t *fault,
                                      const char **why);

/* What a certificate says of itself. */
struct tls_facts {
    char names[256];         /* "a.test, *.b.test, 10.0.0.1", cut where it is longer */
    int64_t from_s, until_s; /* seconds since 1970 */
};
/* Whether a pair could be used; else *why (static), and *of_key tells which of the two files is at fault. */
bool tls_pair_check(const struct tls_pair *pair, struct tls_facts *facts, const char **why, bool *of_key);

struct tls_config *tls_config_ref(struct tls_config *c);
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
