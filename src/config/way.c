/* SPDX-License-Identifier: MIT */
/* How endpoints are reached. */
#include "config/way.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/origin.h"
#include "config/proxy.h"
#include "config/value.h"

#define PATH_BYTES_MAX 4095
#define SOCKET_BYTES_MAX 107 /* what the kernel's address holds, less the final NUL */
#define PROXY_BYTES_MAX 2048

static const char FROM_FILE[] = "proxy";

/* -- single fields --------------------------------------------------------------------------------------- */

/* A file that can be read now; NULL with a note. */
static const char *read_file(struct draft *d, const struct node *n)
{
    char shown[NODE_SHOW_BYTES];
    const char *path;
    struct slice text;

    if (!value_text(d->notes, n, PATH_BYTES_MAX, &text))
        return NULL;
    path = arena_dup(d->arena, text).p;
    if (access(path, R_OK) != 0)
        notes_error(d->notes, n->at, "%.*s %s cannot be read: %s", SLICE_ARG(n->key), node_show(n, shown),
                    strerror(errno));
    return path;
}

void way_read_ca_file(struct draft *d, const struct node *n, void *into)
{
    ((struct config_endpoint *)into)->ca_file = read_file(d, n);
}

void way_read_client_cert(struct draft *d, const struct node *n, void *into)
{
    ((struct config_endpoint *)into)->client_cert = read_file(d, n);
}

void way_read_client_key(struct draft *d, const struct node *n, void *into)
{
    ((struct config_endpoint *)into)->client_key = read_file(d, n);
}

void way_read_server_name(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    struct origin origin;
    struct slice name;
    const char *why;

    if (!value_text(d->notes, n, 253, &name))
        return;
    why = slice_find(name, SLICE(":")) >= 0 || slice_find(name, SLICE("/")) >= 0
              ? "only a name or an IPv4 address belongs here"
              : origin_parse(arena_printf(d->arena, "https://%.*s", SLICE_ARG(name)), d->arena, &origin);
    if (why)
        notes_error(d->notes, n->at, "server_name: %s", why);
    else
        e->server_name = origin.host;
}

void way_read_socket(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    char shown[NODE_SHOW_BYTES];
    struct slice path;

    if (!value_text(d->notes, n, PATH_BYTES_MAX, &path))
        return;
    if ((path.p[0] != '/' && path.p[0] != '@') || path.n < 2 || path.n > SOCKET_BYTES_MAX)
        notes_error(d->notes, n->at,
                    "socket must be a path that begins with /, or @NAME, of at most %d bytes; this is %s",
                    SOCKET_BYTES_MAX, node_show(n, shown));
    else
        e->socket = arena_dup(d->arena, path).p;
}

void way_read_proxy(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    struct config_proxy *proxy;
    struct slice url;
    const char *why;

    if (!value_text(d->notes, n, PROXY_BYTES_MAX, &url) || slice_eq(url, SLICE("none")))
        return;
    proxy = arena_zalloc(d->arena, sizeof(*proxy));
    proxy->from = FROM_FILE;
    why = proxy_parse(url, d->arena, proxy);
    if (why) {
        notes_error(d->notes, n->at, "proxy: %s", why);
        return;
    }
    e->proxy = proxy;
    if (proxy->authorization.n > 0 && !n->env)
        notes_warning(d->notes, n->at,
                      "the proxy's password stands in this file; \"http://${USER}:${PASSWORD}@host:3128\" "
                      "keeps it out");
}

/* -- together -------------------------------------------------------------------------------------------- */

static void check_certificate(struct draft *d, const struct node *entry)
{
    const struct node *cert = node_find(entry, "client_cert"), *key = node_find(entry, "client_key");

    if (cert && !key)
        notes_error(d->notes, cert->at, "client_cert needs client_key beside it");
    else if (key && !cert)
        notes_error(d->notes, key->at, "client_key needs client_cert beside it");
}

static void warn_of_plain(struct draft *d, const struct config_endpoint *e, const struct node *entry)
{
    static const char *const names[] = {"ca_file", "client_cert", "client_key", "server_name"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !e->tls; i++) {
        const struct node *n = node_find(entry, names[i]);

        if (n)
            notes_warning(d->notes, n->at, "%s has no effect on http://", names[i]);
    }
}

static void take_environments_proxy(struct draft *d, struct config_endpoint *e, const struct node *entry)
{
    const struct node *url = node_find(entry, "url");
    const char *from, *why;

    e->proxy = proxy_from_env(d->env, e, d->arena, &from, &why);
    if (why)
        notes_error(d->notes, url ? url->at : entry->at,
                    "the environment's %s cannot be used: %s; proxy: none goes without it", from, why);
}

void way_settle(struct draft *d, struct config_endpoint *e, const struct node *entry)
{
    const struct node *proxy = node_find(entry, "proxy");

    check_certificate(d, entry);
    warn_of_plain(d, e, entry);
    if (proxy && e->proxy && e->socket)
        notes_error(d->notes, proxy->at, "an endpoint has a proxy or a socket, not both");
    if (!proxy && !node_find(entry, "socket"))
        take_environments_proxy(d, e, entry);
}
