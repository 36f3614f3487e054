/* SPDX-License-Identifier: MIT */
/* Socket addresses: text to value and back. */
#include "io/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/un.h>

#define HOST_BYTES (INET6_ADDRSTRLEN + 1)
#define UNIX_HEAD_BYTES offsetof(struct sockaddr_un, sun_path)

static struct sockaddr_in *in4(struct addr *a)
{
    return (struct sockaddr_in *)&a->ss;
}

static struct sockaddr_in6 *in6(struct addr *a)
{
    return (struct sockaddr_in6 *)&a->ss;
}

static const struct sockaddr_in *in4_const(const struct addr *a)
{
    return (const struct sockaddr_in *)&a->ss;
}

static const struct sockaddr_in6 *in6_const(const struct addr *a)
{
    return (const struct sockaddr_in6 *)&a->ss;
}

static const struct sockaddr_un *un_const(const struct addr *a)
{
    return (const struct sockaddr_un *)&a->ss;
}

/* What stands in a Unix address: a path without its NUL, an abstract name with '\0' first, or nothing. */
static struct slice unix_name(const struct addr *a)
{
    struct slice s = {un_const(a)->sun_path, a->n > UNIX_HEAD_BYTES ? a->n - UNIX_HEAD_BYTES : 0};

    while (s.n > 0 && s.p[0] != '\0' && s.p[s.n - 1] == '\0')
        s.n--;
    return s;
}

bool addr_of_unix(struct slice path, struct addr *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->ss;
    bool abstract = path.n > 1 && path.p[0] == '@';

    memset(out, 0, sizeof *out);
    if (!abstract && !(path.n > 1 && path.p[0] == '/'))
        return false;
    if (path.n >= sizeof un->sun_path || memchr(path.p, '\0', path.n) != NULL)
        return false;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.p, path.n);
    if (abstract) /* every byte of an abstract name counts, so its length has no NUL behind it */
        un->sun_path[0] = '\0';
    out->n = (socklen_t)(UNIX_HEAD_BYTES + path.n + (abstract ? 0 : 1));
    return true;
}

bool addr_is_unix(const struct addr *a)
{
    return a->ss.ss_family == AF_UNIX;
}

/* AF_UNSPEC, with the name where other families have theirs. */
static bool of_inherited(struct slice name, struct addr *out)
{
    size_t head = sizeof out->ss.ss_family;

    if (name.n == 0 || name.n > ADDR_FD_NAME_BYTES || memchr(name.p, '\0', name.n) != NULL)
        return false;
    memcpy((char *)&out->ss + head, name.p, name.n);
    out->n = (socklen_t)(head + name.n);
    return true;
}

struct slice addr_inherited(const struct addr *a)
{
    size_t head = sizeof a->ss.ss_family;

    if (a->ss.ss_family != AF_UNSPEC || a->n <= head)
        return SLICE_NONE;
    return (struct slice){(const char *)&a->ss + head, a->n - head};
}

bool addr_of_ip(struct slice host, uint16_t port, struct addr *out)
{
    char text[HOST_BYTES];
    bool bracketed = host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';

    memset(out, 0, sizeof *out);
    if (bracketed)
        host = (struct slice){host.p + 1, host.n - 2};
    if (host.n == 0 || host.n >= sizeof text || memchr(host.p, '\0', host.n) != NULL)
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (!bracketed && inet_pton(AF_INET, text, &in4(out)->sin_addr) == 1) {
        in4(out)->sin_family = AF_INET;
        in4(out)->sin_port = htons(port);
        out->n = sizeof(struct sockaddr_in);
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6(out)->sin6_addr) == 1) {
        in6(out)->sin6_family = AF_INET6;
        in6(out)->sin6_port = htons(port);
        out->n = sizeof(struct sockaddr_in6);
        return true;
    }
    memset(out, 0, sizeof *out);
    return false;
}

enum err addr_parse(struct slice text, struct addr *out)
{
    size_t colon = text.n;
    struct slice host;
    uint64_t port;

    memset(out, 0, sizeof *out);
    if (slice_starts(text, SLICE("unix:")))
        return addr_of_unix(slice_from(text, 5), out) ? ERR_OK : ERR_MALFORMED;
    if (slice_starts(text, SLICE("fd:")))
        return of_inherited(slice_from(text, 3), out) ? ERR_OK : ERR_MALFORMED;
    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return ERR_MALFORMED;
    host = (struct slice){text.p, colon - 1};
    if (!slice_to_u64(slice_from(text, colon), UINT16_MAX, &port))
        return ERR_MALFORMED;
    if (host.n == 0 || slice_eq(host, SLICE("*")))
        host = SLICE("0.0.0.0");
    else if (host.p[0] != '[' && memchr(host.p, ':', host.n) != NULL)
        return ERR_MALFORMED; /* an IPv6 address needs its brackets: "::1:80" could mean two things */
    return addr_of_ip(host, (uint16_t)port, out) ? ERR_OK : ERR_MALFORMED;
}

bool addr_is_loopback(const struct addr *a)
{
    const struct in6_addr *six = &in6_const(a)->sin6_addr;

    if (a->ss.ss_family == AF_INET)
        return ntohl(in4_const(a)->sin_addr.s_addr) >> 24 == 127;
    if (a->ss.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
    return addr_is_unix(a);
}

uint16_t addr_port(const struct addr *a)
{
    if (a->ss.ss_family == AF_INET)
        return ntohs(in4_const(a)->sin_port);
    if (a->ss.ss_family == AF_INET6)
        return ntohs(in6_const(a)->sin6_port);
    return 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (a->ss.ss_family == AF_INET)
        in4(a)->sin_port = htons(port);
    else if (a->ss.ss_family == AF_INET6)
        in6(a)->sin6_port = htons(port);
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    if (a->ss.ss_family != b->ss.ss_family || addr_port(a) != addr_port(b))
        return false;
    if (a->ss.ss_family == AF_INET)
        return in4_const(a)->sin_addr.s_addr == in4_const(b)->sin_addr.s_addr;
    if (a->ss.ss_family == AF_INET6)
        return IN6_ARE_ADDR_EQUAL(&in6_const(a)->sin6_addr, &in6_const(b)->sin6_addr) &&
               in6_const(a)->sin6_scope_id == in6_const(b)->sin6_scope_id;
    return addr_is_unix(a) && unix_name(a).n > 0 && slice_eq(unix_name(a), unix_name(b));
}

bool addr_of_bytes(struct slice ip, uint16_t port, struct addr *out)
{
    memset(out, 0, sizeof *out);
    if (ip.n == 4) {
        in4(out)->sin_family = AF_INET;
        memcpy(&in4(out)->sin_addr, ip.p, ip.n);
        out->n = sizeof(struct sockaddr_in);
    } else if (ip.n == 16) {
        in6(out)->sin6_family = AF_INET6;
        memcpy(&in6(out)->sin6_addr, ip.p, ip.n);
        out->n = sizeof(struct sockaddr_in6);
    }
    addr_set_port(out, port);
    return out->n > 0;
}

bool addr_network(const struct addr *a, unsigned char out[ADDR_NETWORK_BYTES])
{
    memset(out, 0, ADDR_NETWORK_BYTES);
    if (a->ss.ss_family == AF_INET) { /* as it would look mapped into IPv6 */
        memset(out + 10, 0xff, 2);
        memcpy(out + 12, &in4_const(a)->sin_addr, 4);
        return true;
    }
    if (a->ss.ss_family != AF_INET6)
        return false;
    memcpy(out, &in6_const(a)->sin6_addr, IN6_IS_ADDR_V4MAPPED(&in6_const(a)->sin6_addr) ? 16 : 8);
    return true;
}

void addr_format_host(const struct addr *a, char *out, size_t n)
{
    char host[INET6_ADDRSTRLEN] = "unknown";

    if (a->ss.ss_family == AF_INET)
        inet_ntop(AF_INET, &in4_const(a)->sin_addr, host, sizeof host);
    else if (a->ss.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &in6_const(a)->sin6_addr, host, sizeof host);
    snprintf(out, n, "%s", host);
}

void addr_format(const struct addr *a, char *out, size_t n)
{
    struct slice name = addr_is_unix(a) ? unix_name(a) : addr_inherited(a);
    char host[INET6_ADDRSTRLEN];

    addr_format_host(a, host, sizeof host);
    if (name.n > 0 && name.p[0] == '\0')
        snprintf(out, n, "unix:@%.*s", SLICE_ARG(slice_from(name, 1)));
    else if (addr_is_unix(a))
        snprintf(out, n, "unix:%.*s", SLICE_ARG(name));
    else if (name.n > 0)
        snprintf(out, n, "fd:%.*s", SLICE_ARG(name));
    else if (a->ss.ss_family == AF_INET)
        snprintf(out, n, "%s:%u", host, (unsigned)addr_port(a));
    else if (a->ss.ss_family == AF_INET6)
        snprintf(out, n, "[%s]:%u", host, (unsigned)addr_port(a));
    else
        snprintf(out, n, "unknown");
}
