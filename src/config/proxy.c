/* SPDX-License-Identifier: MIT */
/* Proxy URLs and the rules of NO_PROXY.
 *
 * There is no standard for NO_PROXY; this is the part on which curl, Go and Python agree, plus networks as
 * curl 7.86 and Go have them. Names are never looked up for it: "10.0.0.0/8" excludes endpoints whose URL has
 * an address, not names that lead there. */
#include "config/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "config/origin.h"

/* -- the URL --------------------------------------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 2.1; false for a broken escape or one that gives a control character. */
static bool decode(struct slice in, struct arena *arena, struct slice *out)
{
    char *p = arena_bytes(arena, in.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < in.n; i++) {
        char c = in.p[i];

        if (c == '%') {
            if (i + 2 >= in.n || hex(in.p[i + 1]) < 0 || hex(in.p[i + 2]) < 0)
                return false;
            c = (char)(hex(in.p[i + 1]) * 16 + hex(in.p[i + 2]));
            i += 2;
        }
        if ((unsigned char)c < ' ' || c == 0x7f)
            return false;
        p[n++] = c;
    }
    *out = (struct slice){p, n};
    return true;
}

/* RFC 4648 section 4. */
static char *put_base64(char *at, struct slice in)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < in.n; i += 3) {
        unsigned char b[3] = {0};
        size_t n = in.n - i < 3 ? in.n - i : 3;

        memcpy(b, in.p + i, n);
        *at++ = DIGITS[b[0] >> 2];
        *at++ = DIGITS[(b[0] & 3) << 4 | b[1] >> 4];
        *at++ = n > 1 ? DIGITS[(b[1] & 15) << 2 | b[2] >> 6] : '=';
        *at++ = n > 2 ? DIGITS[b[2] & 63] : '=';
    }
    return at;
}

/* RFC 7617: "Basic " and user:password. */
static const char *read_user(struct slice text, struct arena *arena, struct slice *out)
{
    struct slice user, password = SLICE_NONE, rest;
    char *plain, *p, *at;

    if (!decode(slice_cut(text, ':', &rest), arena, &user) ||
        (rest.p != NULL && !decode(rest, arena, &password)))
        return "user or password is not percent-encoded well";
    if (memchr(user.p, ':', user.n) != NULL)
        return "the user holds a colon";
    plain = arena_bytes(arena, user.n + password.n + 1);
    memcpy(plain, user.p, user.n);
    plain[user.n] = ':';
    if (password.n > 0)
        memcpy(plain + user.n + 1, password.p, password.n);
    p = arena_bytes(arena, 6 + (user.n + password.n + 3) / 3 * 4);
    memcpy(p, "Basic ", 6);
    at = put_base64(p + 6, (struct slice){plain, user.n + 1 + password.n});
    explicit_bzero(plain, user.n + 1 + password.n);
    explicit_bzero((char *)user.p, user.n);
    if (password.n > 0)
        explicit_bzero((char *)password.p, password.n);
    *out = (struct slice){p, (size_t)(at - p)};
    return NULL;
}

const char *proxy_parse(struct slice url, struct arena *arena, struct config_proxy *out)
{
    struct origin origin;
    struct slice rest = url;
    ptrdiff_t scheme = slice_find(url, SLICE("://"));
    const char *why = NULL;
    size_t at;

    out->authorization = SLICE_NONE;
    if (slice_istarts(url, SLICE("https://")))
        return "the proxy itself is spoken to over http://; TLS to the endpoint goes through it untouched";
    if (slice_istarts(url, SLICE("socks")))
        return "SOCKS proxies are not supported, only http://";
    if (scheme >= 0 && !slice_istarts(url, SLICE("http://")))
        return "a proxy's URL must begin with http://";
    if (scheme >= 0)
        rest = slice_from(url, 7);
    for (at = rest.n; at > 0 && rest.p[at - 1] != '@'; at--)
        continue;
    if (at > 0)
        why = read_user((struct slice){rest.p, at - 1}, arena, &out->authorization);
    if (why)
        return why;
    why = origin_parse(arena_printf(arena, "http://%.*s", (int)(rest.n - at), rest.p + at), arena, &origin);
    if (!why && origin.base_path.n > 0)
        why = "a proxy's URL has no path";
    out->host = origin.host;
    out->port = origin.port;
    return why;
}

/* -- NO_PROXY -------------------------------------------------------------------------------------------- */

/* Bytes of an address: 4, 16, or 0 for a name. */
static size_t address_of(struct slice text, unsigned char out[16])
{
    char z[64];

    if (text.n == 0 || text.n >= sizeof(z))
        return 0;
    snprintf(z, sizeof(z), "%.*s", SLICE_ARG(text));
    if (inet_pton(AF_INET, z, out) == 1)
        return 4;
    return inet_pton(AF_INET6, z, out) == 1 ? 16 : 0;
}

static bool share_bits(const unsigned char *a, const unsigned char *b, uint64_t bits)
{
    size_t whole = (size_t)bits / 8;
    unsigned mask = 0xff00u >> (bits % 8) & 0xff;

    return memcmp(a, b, whole) == 0 && (mask == 0 || (a[whole] & mask) == (b[whole] & mask));
}

static bool is_in_network(struct slice entry, struct slice host)
{
    unsigned char network[16], address[16];
    struct slice bits_text, base = slice_cut(entry, '/', &bits_text);
    size_t n = address_of(host, address);
    uint64_t bits;

    return n > 0 && address_of(base, network) == n && slice_to_u64(bits_text, n * 8, &bits) &&
           share_bits(network, address, bits);
}

static bool is_name_or_below(struct slice entry, struct slice host)
{
    if (slice_starts(entry, SLICE("*.")))
        entry = slice_from(entry, 1);
    if (slice_starts(entry, SLICE(".")))
        entry = slice_from(entry, 1);
    if (entry.n == 0 || host.n < entry.n || !slice_ieq(slice_from(host, host.n - entry.n), entry))
        return false;
    return host.n == entry.n || host.p[host.n - entry.n - 1] == '.';
}

/* Takes ":PORT" off the end; false if it is another port. */
static bool port_fits(struct slice *entry, uint16_t port)
{
    size_t colon = entry->n;
    bool bracketed = slice_starts(*entry, SLICE("["));
    uint64_t n;

    while (colon > 0 && entry->p[colon - 1] != ':')
        colon--;
    if (bracketed) {
        struct slice rest, inside = slice_cut(slice_from(*entry, 1), ']', &rest);

        *entry = inside;
        return rest.n == 0 || (rest.p[0] == ':' && slice_to_u64(slice_from(rest, 1), 65535, &n) && n == port);
    }
    if (colon == 0 || memchr(entry->p, ':', colon - 1) != NULL) /* none, or an IPv6 address */
        return true;
    if (!slice_to_u64(slice_from(*entry, colon), 65535, &n) || n != port)
        return false;
    entry->n = colon - 1;
    return true;
}

static bool excludes(struct slice entry, struct slice host, uint16_t port)
{
    unsigned char a[16], b[16];
    size_t n;

    if (slice_eq(entry, SLICE("*")))
        return true;
    if (slice_find(entry, SLICE("/")) >= 0)
        return is_in_network(entry, host);
    if (!port_fits(&entry, port))
        return false;
    n = address_of(host, a);
    if (n > 0)
        return address_of(entry, b) == n && memcmp(a, b, n) == 0;
    return is_name_or_below(entry, host);
}

bool proxy_is_excluded(struct slice list, struct slice host, uint16_t port)
{
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--; /* the dot of an absolute name */
    while (list.n > 0) {
        size_t n = 0;

        while (n < list.n && list.p[n] != ',' && list.p[n] != ' ' && list.p[n] != '\t')
            n++;
        if (n > 0 && excludes((struct slice){list.p, n}, host, port))
            return true;
        list = slice_from(list, n < list.n ? n + 1 : n);
    }
    return false;
}

/* -- the environment ------------------------------------------------------------------------------------- */

/* The first of the names that is set and not empty; *which says which. */
static const char *first_set(const struct config_env *env, const char *const names[2], const char **which)
{
    for (int i = 0; i < 2; i++) {
        const char *value = env->get(env->ud, names[i]);

        *which = names[i];
        if (value && value[0])
            return value;
    }
    return NULL;
}

const struct config_proxy *proxy_from_env(const struct config_env *env, const struct config_endpoint *e,
                                          struct arena *arena, const char **from, const char **why)
{
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY"},
                             *const http[] = {"http_proxy", "HTTP_PROXY"},
                             *const none[] = {"no_proxy", "NO_PROXY"};
    struct slice host = slice_of(e->host);
    const char *url = first_set(env, e->tls ? https : http, from), *list, *unused;
    struct config_proxy *proxy;

    *why = NULL;
    if (!url || origin_host_is_loopback(host))
        return NULL;
    list = first_set(env, none, &unused);
    if (list && proxy_is_excluded(slice_of(list), host, e->port))
        return NULL;
    proxy = arena_zalloc(arena, sizeof(*proxy));
    proxy->from = *from;
    *why = proxy_parse(slice_of(url), arena, proxy);
    return *why ? NULL : proxy;
}
