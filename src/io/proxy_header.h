/* SPDX-License-Identifier: MIT */
/* The PROXY protocol: what a load balancer writes before the bytes of a connection to say who the client is.
 * Version 1 is a line of text, version 2 a binary header ("The PROXY protocol", HAProxy, 2020-03-05). Pure.
 */
#ifndef IO_PROXY_HEADER_H
#define IO_PROXY_HEADER_H

#include "io/addr.h"

/* The largest header taken: version 2 announces up to 64 KiB of extras, of which even a client certificate's
 * names need a few hundred bytes. */
#define PROXY_HEADER_MAX 4096

enum proxy_verdict {
    PROXY_MORE,       /* so far it could be one */
    PROXY_ADDRESS,    /* the client's address is in `from` */
    PROXY_NO_ADDRESS, /* the balancer itself calls (LOCAL, a health check), or does not know: UNKNOWN */
    PROXY_MALFORMED   /* no header, or one that breaks the rules or the bound */
};

struct proxy_header {
    struct addr from;
    size_t n; /* bytes of the header; the client's own come behind it */
};

/* Reads a header at the start of `bytes`. Extras (TLVs) are passed over. */
enum proxy_verdict proxy_header_parse(struct slice bytes, struct proxy_header *out);

#endif
