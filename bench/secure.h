/* SPDX-License-Identifier: MIT */
/*
 * The origin's TLS: recv and send over one connection, as the plain calls behave.
 *
 * Why straight on the socket: the origin is not measured, so this is OpenSSL in its simplest use; one send is
 * one record. SSL_MODE_RELEASE_BUFFERS keeps thousands of waiting streams small.
 */
#ifndef BENCH_SECURE_H
#define BENCH_SECURE_H

#include "kit.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* A server's settings with one certificate and its key, both PEM files; dies on failure. */
static inline SSL_CTX *secure_ctx(const char *cert_file, const char *key_file)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        kit_die("TLS: %s or %s cannot be used", cert_file, key_file);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    return ctx;
}

/* TLS over an accepted socket; the handshake happens inside the first reads. */
static inline SSL *secure_accept(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);

    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        kit_die("TLS: no memory");
    SSL_set_accept_state(ssl);
    return ssl;
}

/* What a result of OpenSSL means in the words of recv and send. */
static inline ssize_t secure_result(SSL *ssl, int n)
{
    int why;

    if (n > 0)
        return n;
    why = SSL_get_error(ssl, n);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

/* As recv does; with bytes left over SSL_pending tells so, and the socket does not. */
static inline ssize_t secure_recv(SSL *ssl, char *p, size_t n)
{
    ERR_clear_error();
    return secure_result(ssl, SSL_read(ssl, p, (int)n));
}

/* As send does, but all or nothing. */
static inline ssize_t secure_send(SSL *ssl, const char *p, size_t n)
{
    ERR_clear_error();
    return secure_result(ssl, SSL_write(ssl, p, (int)n));
}

#endif
