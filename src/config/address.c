/* SPDX-License-Identifier: MIT */
/* Checks the address of a listener and tells whether strangers can reach it. */
#include "config/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "config/origin.h"

const char *address_parse(struct slice text, struct arena *arena, struct address *out)
{
    struct slice host, port;
    unsigned char ip[16];
    char zhost[64];
    uint64_t n;
    bool bracket = slice_starts(text, SLICE("["));

    if (slice_starts(text, SLICE("unix:")) || slice_starts(text, SLICE("/")))
        return "Unix sockets come with a later version; write IP:PORT";
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
