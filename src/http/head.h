/* SPDX-License-Identifier: MIT */
/* Writing heads byte by byte into memory that the caller has measured: printf was a tenth of a JSON
 * request's cost. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/message.h"

#define HEAD_NUMBER_BYTES 20 /* of the longest number */

static inline char *head_put(char *at, struct slice s)
{
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

/* Decimal; at most HEAD_NUMBER_BYTES. */
char *head_put_number(char *at, uint64_t n);
/* "name: value" CRLF for each. Control bytes in a value become blanks (RFC 9110 5.5), so that nobody can
 * split a head. */
char *head_put_fields(char *at, const struct header *headers, size_t n);
/* What head_put_fields writes. */
size_t head_fields_bytes(const struct header *headers, size_t n);

#endif
