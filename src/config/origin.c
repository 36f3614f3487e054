/* SPDX-License-Identifier: MIT */
/* Takes base URLs apart: http and https, a host, perhaps a port and a path (RFC 3986, less what has no
 * place in a base URL). */
#include "config/origin.h"

#include <arpa/inet.h>
#include <stdio.h>

#define HOST_MAX 253

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_numeric(struct slice host, int family, void *out)
{
    char text[64];

    if (host.n >= sizeof(text))
        return false;
    snprintf(text, sizeof(text), "%.*s", SLICE_ARG(host));
    return inet_pton(family, text, out) == 1;
}

bool origin_host_is_loopback(struct slice host)
{
    unsigned char v4[4], v6[16];
    static const unsigned char one[16] = {[15] = 1}, mapped[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};

    if (host.n == 0)
        return false;
    if (is_numeric(host, AF_INET, v4))
        return v4[0] == 127;
    if (is_numeric(host, AF_INET6, v6))
        return memcmp(v6, one, sizeof(one)) == 0 || memcmp(v6, mapped, sizeof(mapped)) == 0;
    return slice_ieq(host, SLICE("localhost"));
}

/* A name of labels, or an IPv4 address: a last label of digits alone must be one (WHATWG's rule, so that
 * 127.1 is not taken for a name). */
static const char *check_name(struct slice host)
{
    struct slice rest = host, last = SLICE_NONE;
    unsigned char v4[4];
    bool digits = true;

    if (host.n > HOST_MAX)
        return "the host is longer than 253 bytes";
    while (rest.p) {
        struct slice label = slice_cut(rest, '.', &rest);

        if (!rest.p && label.n == 0 && last.n > 0)
            break; /* the dot at the end of an absolute name */
        if (label.n == 0 || label.n > 63)
            return "the host is not a name or an address";
        for (size_t i = 0; i < label.n; i++) {
            if (!is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
                return "the host holds a character that no host name has";
        }
        last = label;
    }
    for (size_t i = 0; i < last.n; i++)
        digits = digits && last.p[i] >= '0' && last.p[i] <= '9';
    if (digits && !is_numeric(host, AF_INET, v4))
        return "the host looks like an IPv4 address and is none";
    return NULL;
}

static const char *read_port(struct slice text, uint16_t *out)
{
    uint64_t port;

    if (!slice_to_u64(text, 65535, &port) || port == 0)
        return "the port must be a number from 1 to 65535";
    *out = (uint16_t)port;
    return NULL;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static const char *read_authority(struct slice text, struct arena *arena, struct origin *out)
{
    struct slice host, rest;
    unsigned char v6[16];
    const char *why;
    char *lower;
    bool bracket = slice_starts(text, SLICE("["));

    if (bracket) {
        host = slice_cut(slice_from(text, 1), ']', &rest);
        if (!rest.p || !is_numeric(host, AF_INET6, v6))
            return "between [ and ] an IPv6 address is expected";
        if (rest.n > 0 && rest.p[0] != ':')
            return "behind ] only a port may follow";
        rest = rest.n > 0 ? slice_from(rest, 1) : SLICE_NONE;
    } else {
        host = slice_cut(text, ':', &rest);
        if (rest.p && slice_find(rest, SLICE(":")) >= 0)
            return "an IPv6 address is written in brackets: http://[::1]:8080";
        if (host.n == 0)
            return "the host is missing";
        why = check_name(host);
        if (why)
            return why;
    }
    out->port = out->tls ? 443 : 80;
    why = rest.p ? read_port(rest, &out->port) : NULL;
    if (why)
        return why;
    lower = arena_bytes(arena, host.n + 1);
    for (size_t i = 0; i < host.n; i++)
        lower[i] = (char)(host.p[i] >= 'A' && host.p[i] <= 'Z' ? host.p[i] + 32 : host.p[i]);
    lower[host.n] = 0;
    out->host = lower;
    if (out->port == (out->tls ? 443 : 80))
        out->authority = arena_printf(arena, bracket ? "[%s]" : "%s", lower);
    else
        out->authority = arena_printf(arena, bracket ? "[%s]:%u" : "%s:%u", lower, (unsigned)out->port);
    return NULL;
}

static const char *read_path(struct slice path, struct arena *arena, struct origin *out)
{
    struct slice rest, segment;

    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    for (size_t i = 0; i < path.n; i++) {
        if (!is_alnum(path.p[i]) && !memchr("/-._~!$&'()*+,;=:@%", path.p[i], 19))
            return "the path holds a character that must be percent-encoded";
    }
    for (rest = slice_from(path, 1); rest.n > 0;) {
        segment = slice_cut(rest, '/', &rest);
        if (segment.n == 0 || slice_eq(segment, SLICE(".")) || slice_eq(segment, SLICE("..")))
            return "the path holds an empty or dotted segment";
    }
    if (slice_ends(path, SLICE("/chat/completions")) || slice_ends(path, SLICE("/models")))
        return "give the base URL alone: what comes behind it (/chat/completions) is added to it";
    out->base_path = arena_dup(arena, path);
    return NULL;
}

const char *origin_parse(struct slice url, struct arena *arena, struct origin *out)
{
    struct slice rest, authority;
    size_t n = 0;
    const char *why;

    *out = (struct origin){.tls = slice_istarts(url, SLICE("https://"))};
    if (!out->tls && !slice_istarts(url, SLICE("http://")))
        return "the URL must begin with http:// or https://";
    rest = slice_from(url, out->tls ? 8 : 7);
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] <= ' ' || rest.p[i] == 0x7f)
            return "the URL holds a blank or a control character";
        if (rest.p[i] == '?' || rest.p[i] == '#')
            return "a base URL has no query (?) and no fragment (#)";
    }
    if (slice_find(rest, SLICE("@")) >= 0)
        return "a user and password (@) do not belong in the URL: use key";
    while (n < rest.n && rest.p[n] != '/')
        n++;
    authority = (struct slice){rest.p, n};
    why = read_authority(authority, arena, out);
    if (!why)
        why = read_path(slice_from(rest, n), arena, out);
    if (!why)
        out->is_loopback = origin_host_is_loopback(slice_of(out->host));
    return why;
}
