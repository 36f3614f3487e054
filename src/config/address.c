/* SPDX-License-Identifier: MIT */
/* Checks the address of a listener and tells whether strangers can reach it. */
#include "config/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "config/origin.h"

/* A socket's path or abstract name has to fit into a struct sockaddr_un. */
#define UNIX_BYTES_MAX 107
#define FD_NAME_BYTES_MAX 64

static const char *parse_unix(struct slice path, struct arena *arena, struct address *out)
{
    if (path.n < 2 || (path.p[0] != '/' && path.p[0] != '@'))
        return "a Unix socket is written unix:/PATH, or unix:@NAME for an abstract name";
    if (path.n > UNIX_BYTES_MAX)
        return "the path of a Unix socket can have at most 107 bytes";
    out->is_unix = out->is_loopback = true;
    out->text = arena_printf(arena, "unix:%.*s", SLICE_ARG(path)).p;
    return NULL;
}

static const char *parse_inherited(struct slice name, struct arena *arena, struct address *out)
{
    if (name.n == 0 || name.n > FD_NAME_BYTES_MAX)
        return "an inherited socket is written fd:NAME, with the name that LISTEN_FDNAMES gives it";
    out->is_inherited = true;
    out->text = arena_printf(arena, "fd:%.*s", SLICE_ARG(name)).p;
    return NULL;
}

const char *address_parse(struct slice text, struct arena *arena, struct address *out)
{
    struct slice host, port;
    unsigned char ip[16];
    char zhost[64];
    uint64_t n;
    bool bracket = slice_starts(text, SLICE("["));

    *out = (struct address){.port = 0};
    if (memchr(text.p, '\0', text.n) != NULL)
        return "an address has no NUL byte";
    if (slice_starts(text, SLICE("unix:")))
        return parse_unix(slice_from(text, 5), arena, out);
    if (slice_starts(text, SLICE("fd:")))
        return parse_inherited(slice_from(text, 3), arena, out);
    if (slice_starts(text, SLICE("/")))
        return "a Unix socket is written unix:/PATH";
    host = slice_cut(bracket ? slice_from(text, 1) : text, bracket ? ']' : ':', &port);
    if (bracket && slice_starts(port, SLICE(":")))
        port = slice_from(port, 1);
    else if (bracket)
        port = SLICE_NONE;
    if (!port.p || !slice_to_u64(port, 65535, &n))
        return "an address is written IP:PORT or [IPv6]:PORT, such as 127.0.0.1:8080";
    if (!bracket && (host.n == 0 || slice_eq(host, SLICE("*"))))
        host = SLICE("0.0.0.0");
    else if (!bracket && slice_ieq(host, SLICE("localhost")))
        host = SLICE("127.0.0.1");
    if (host.n >= sizeof(zhost))
        return "a listener needs a numeric address, such as 127.0.0.1:8080 or [::1]:8080";
    snprintf(zhost, sizeof(zhost), "%.*s", SLICE_ARG(host));
    if (inet_pton(bracket ? AF_INET6 : AF_INET, zhost, ip) != 1)
        return "a listener needs a numeric address, such as 127.0.0.1:8080 or [::1]:8080";
    out->port = (uint16_t)n;
    out->is_loopback = origin_host_is_loopback(host);
    out->text = arena_printf(arena, bracket ? "[%s]:%u" : "%s:%u", zhost, (unsigned)n).p;
    return NULL;
}
