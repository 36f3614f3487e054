/* SPDX-License-Identifier: MIT */
/* Private to TLS: why a handshake failed, in words for the operator. */
#ifndef IO_TLS_WORDS_H
#define IO_TLS_WORDS_H

#include <openssl/ssl.h>

#define TLS_WORDS_BYTES 256

/* For a verify callback that was told of a failure: what is wrong with the certificate, and what can be done.
 * Names that the peer chose are cut and cleaned. */
void tls_words_of_certificate(X509_STORE_CTX *x, char out[TLS_WORDS_BYTES]);
/* The same of any other failed call of OpenSSL, before the next one. Empties its queue of errors. */
void tls_words(char out[TLS_WORDS_BYTES]);

#endif
