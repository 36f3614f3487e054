/* SPDX-License-Identifier: MIT */
/* Reading PROXY headers. Strict: whoever may write one decides whom we believe to be the client, so a header
 * that only resembles one is refused. */
#include "io/proxy_header.h"

#define LINE_MAX_BYTES 107 /* version 1, with its CRLF */
#define V2_FIXED 16
#define V2_IP4 12
#define V2_IP6 36

static const struct slice SIGNATURE = {"\r\n\r\n\0\r\nQUIT\n", 12};

static uint16_t number16(const char *p)
{
    return (uint16_t)((unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

/* -- version 2 ------------------------------------------------------------------------------------------- */

static enum proxy_verdict read_v2(struct slice bytes, struct proxy_header *out)
{
    unsigned command, family;
    struct slice rest;

    if (bytes.n < V2_FIXED)
        return PROXY_MORE;
    command = (unsigned char)bytes.p[12];
    family = (unsigned char)bytes.p[13];
    out->n = V2_FIXED + (size_t)number16(bytes.p + 14);
    if ((command != 0x20 && command != 0x21) || out->n > PROXY_HEADER_MAX)
        return PROXY_MALFORMED;
    if (bytes.n < out->n)
        return PROXY_MORE;
    rest = (struct slice){bytes.p + V2_FIXED, out->n - V2_FIXED};
    if (command == 0x20) /* LOCAL: whatever it says of addresses means nothing */
        return PROXY_NO_ADDRESS;
    switch (family) {
    case 0x11: /* TCP over IPv4 */
        if (rest.n < V2_IP4)
            return PROXY_MALFORMED;
        addr_of_bytes((struct slice){rest.p, 4}, number16(rest.p + 8), &out->from);
        return PROXY_ADDRESS;
    case 0x21: /* TCP over IPv6 */
        if (rest.n < V2_IP6)
            return PROXY_MALFORMED;
        addr_of_bytes((struct slice){rest.p, 16}, number16(rest.p + 32), &out->from);
        return PROXY_ADDRESS;
    case 0x00: /* not said */
    case 0x31: /* a Unix socket's client */
        return PROXY_NO_ADDRESS;
    default:
        return PROXY_MALFORMED;
    }
}

/* -- version 1 ------------------------------------------------------------------------------------------- */

/* "TCP4 SOURCE DESTINATION PORT PORT" */
static enum proxy_verdict read_words(struct slice line, struct proxy_header *out)
{
    struct slice family = slice_cut(line, ' ', &line), from = slice_cut(line, ' ', &line),
                 to = slice_cut(line, ' ', &line), from_port = slice_cut(line, ' ', &line), to_port = line;
    struct addr other;
    uint64_t port, ignored;
    bool six = slice_eq(family, SLICE("TCP6"));

    if (!six && !slice_eq(family, SLICE("TCP4")))
        return PROXY_MALFORMED;
    if (!slice_to_u64(from_port, UINT16_MAX, &port) || !slice_to_u64(to_port, UINT16_MAX, &ignored))
        return PROXY_MALFORMED;
    if (slice_starts(from, SLICE("[")) || !addr_of_ip(from, (uint16_t)port, &out->from) ||
        !addr_of_ip(to, 0, &other))
        return PROXY_MALFORMED;
    if (out->from.ss.ss_family != (six ? AF_INET6 : AF_INET) || other.ss.ss_family != out->from.ss.ss_family)
        return PROXY_MALFORMED;
    return PROXY_ADDRESS;
}

static enum proxy_verdict read_v1(struct slice bytes, struct proxy_header *out)
{
    const char *lf = memchr(bytes.p, '\n', bytes.n < LINE_MAX_BYTES ? bytes.n : LINE_MAX_BYTES);
    struct slice line;

    if (lf == NULL)
        return bytes.n < LINE_MAX_BYTES ? PROXY_MORE : PROXY_MALFORMED;
    out->n = (size_t)(lf - bytes.p) + 1;
    line = (struct slice){bytes.p, out->n - 1};
    if (!slice_ends(line, SLICE("\r")))
        return PROXY_MALFORMED;
    line.n--;
    line = slice_from(line, 6); /* "PROXY " */
    if (slice_eq(line, SLICE("UNKNOWN")) || slice_starts(line, SLICE("UNKNOWN ")))
        return PROXY_NO_ADDRESS;
    return read_words(line, out);
}

enum proxy_verdict proxy_header_parse(struct slice bytes, struct proxy_header *out)
{
    struct slice head = SLICE("PROXY ");

    memset(out, 0, sizeof *out);
    if (slice_starts(bytes, SIGNATURE))
        return read_v2(bytes, out);
    if (slice_starts(bytes, head))
        return read_v1(bytes, out);
    return slice_starts(SIGNATURE, bytes) || slice_starts(head, bytes) ? PROXY_MORE : PROXY_MALFORMED;
}
