/* SPDX-License-Identifier: MIT */
/* The listeners: `listen`, `admin`, `metrics`, and the `tls` that all of `listen` share. Whether what a
 * certificate's file holds is any good is for those to judge who can read it (cmd/check.c, gateway/doors.c):
 * the places of the files are kept for that. */
#include "config/draft.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "config/address.h"
#include "config/fields.h"
#include "config/value.h"

#define MODE_DEFAULT 0660
#define PATH_BYTES_MAX 4095

/* A listener while it is being read. */
struct reading {
    struct config_listener listener;
    struct address address;
    const struct node *tls, *mode;
    bool tls_off, has_address;
};

/* -- certificates ---------------------------------------------------------------------------------------- */

static void read_pem(struct draft *d, const struct node *n, struct config_file *out)
{
    char shown[NODE_SHOW_BYTES];
    struct slice path;

    if (!value_text(d->notes, n, PATH_BYTES_MAX, &path))
        return;
    *out = (struct config_file){arena_dup(d->arena, path).p, n->at.line, n->at.col};
    if (access(out->path, R_OK) != 0)
        notes_error(d->notes, n->at, "%.*s %s cannot be read: %s", SLICE_ARG(n->label), node_show(n, shown),
                    strerror(errno));
}

static void read_cert(struct draft *d, const struct node *n, void *into)
{
    read_pem(d, n, &((struct config_pair *)into)->cert);
}

static void read_key(struct draft *d, const struct node *n, void *into)
{
    read_pem(d, n, &((struct config_pair *)into)->key);
}

static const struct field pair_fields[] = {{"cert", read_cert, NULL, true}, {"key", read_key, NULL, true}};

static bool read_pair(struct draft *d, const struct node *n, struct config_pair *out)
{
    return fields_read(d, n, "a certificate", pair_fields, COUNT_OF(pair_fields), out) && out->cert.path &&
           out->key.path;
}

/* {cert, key} or {certs: [{cert, key}, ...]}; NULL after a note. */
static const struct config_tls *read_tls(struct draft *d, const struct node *n)
{
    const struct node *list = n->kind == NODE_MAP ? node_find(n, "certs") : NULL;
    struct config_tls *tls = arena_zalloc(d->arena, sizeof(*tls));
    struct config_pair *pairs;
    bool fine = true;
    size_t i = 0;

    if (list && n->n > 1) {
        notes_error(d->notes, n->at, "tls has either cert and key, or certs alone, a list of {cert, key}");
        return NULL;
    }
    if (list && !fields_list(d, list, DRAFT_PAIRS_MAX, "of {cert: FILE, key: FILE}"))
        return NULL;
    if (list && list->n == 0) {
        notes_error(d->notes, list->at, "certs is empty: write - {cert: FILE, key: FILE}");
        return NULL;
    }
    tls->pairs_n = list ? list->n : 1;
    tls->pairs = pairs = arena_zalloc(d->arena, tls->pairs_n * sizeof(*pairs));
    if (!list)
        fine = read_pair(d, n, &pairs[0]);
    for (const struct node *child = list ? list->first : NULL; child; child = child->next)
        fine &= read_pair(d, child, &pairs[i++]);
    return fine ? tls : NULL;
}

/* -- one listener ---------------------------------------------------------------------------------------- */

static void read_address(struct draft *d, const struct node *n, void *into)
{
    struct reading *r = into;
    struct slice text;
    const char *why;

    if (!value_text(d->notes, n, 128, &text))
        return;
    why = address_parse(text, d->arena, &r->address);
    if (why)
        notes_error(d->notes, n->at, "%.*s: %s", SLICE_ARG(n->label), why);
    r->has_address = !why;
    r->listener.at = r->address.text;
}

static void read_own_tls(struct draft *d, const struct node *n, void *into)
{
    struct reading *r = into;

    if (n->kind == NODE_TEXT && slice_eq(n->text, SLICE("off"))) {
        r->tls_off = true;
        return;
    }
    if (n->kind != NODE_MAP)
        notes_error(d->notes, n->at, "tls must be off, {cert: FILE, key: FILE} or {certs: [...]}, this is %s",
                    node_kind_name(n));
    else
        r->tls = n;
}

static void read_proxy_protocol(struct draft *d, const struct node *n, void *into)
{
    int64_t on;

    if (value_bool(d->notes, n, &on))
        ((struct reading *)into)->listener.proxy_protocol = on != 0;
}

/* Permissions as chmod takes them: "0660". */
static void read_mode(struct draft *d, const struct node *n, void *into)
{
    struct reading *r = into;
    char shown[NODE_SHOW_BYTES];
    struct slice text;
    int mode = 0;

    r->mode = n;
    if (!value_text(d->notes, n, 16, &text))
        return;
    for (size_t i = 0; i < text.n && mode >= 0; i++)
        mode = text.p[i] >= '0' && text.p[i] <= '7' && mode < 01000 ? mode * 8 + text.p[i] - '0' : -1;
    if (mode < 0 || mode > 0777 || text.n < 3)
        notes_error(d->notes, n->at,
                    "mode: %s is not like 0660, three octal digits for owner, group and others",
                    node_show(n, shown));
    else
        r->listener.mode = mode;
}

static const struct field listener_fields[] = {
    {"address", read_address, NULL, true},
    {"tls", read_own_tls, NULL, false},
    {"proxy_protocol", read_proxy_protocol, NULL, false},
    {"mode", read_mode, NULL, false},
};

/* `shared`: the certificates of a listener that says nothing about TLS; a Unix socket has to say it. */
static bool read_listener(struct draft *d, const struct node *n, const struct config_tls *shared,
                          struct reading *r)
{
    *r = (struct reading){.listener = {.mode = MODE_DEFAULT}};
    if (n->bad)
        return false;
    if (n->kind == NODE_MAP)
        fields_read(d, n, "a listener", listener_fields, COUNT_OF(listener_fields), r);
    else
        read_address(d, n, r);
    if (r->has_address && r->mode && !r->address.is_unix)
        notes_error(d->notes, r->mode->at, "mode is for the file of a Unix socket, this is %s",
                    r->address.text);
    if (r->tls)
        r->listener.tls = read_tls(d, r->tls);
    else if (!r->tls_off && !r->address.is_unix)
        r->listener.tls = shared;
    return r->has_address;
}

/* Port 0 is another port each time. */
static bool is_taken(const struct config_listener *others, size_t n, const struct address *a)
{
    bool any = !a->is_unix && !a->is_inherited && a->port == 0;

    for (size_t i = 0; i < n && !any; i++) {
        if (others[i].at && slice_eq(slice_of(others[i].at), slice_of(a->text)))
            return true;
    }
    return false;
}

static void read_listen(struct draft *d, const struct node *n, const struct config_tls *shared,
                        struct config_listener *all, size_t i)
{
    bool has_keys = d->keys && d->keys->kind == NODE_LIST && d->keys->n > 0;
    struct reading r;

    if (!read_listener(d, n, shared, &r))
        return;
    if (is_taken(all, i, &r.address))
        notes_error(d->notes, n->at, "listen: %s stands here for the second time", r.address.text);
    if (!r.address.is_loopback && !has_keys)
        notes_error(
            d->notes, n->at,
            "listen: %s can be reached from outside, and without keys anyone who reaches it could spend your "
            "money; add keys, or listen on 127.0.0.1",
            r.address.text);
    all[i] = r.listener;
}

static void read_listens(struct draft *d, const struct config_tls *shared)
{
    const struct node *list = d->listen;
    bool many = list && list->kind == NODE_LIST;
    size_t n = many ? list->n : 1, i = 0;
    struct config_listener *all;

    if (many && !fields_list(d, list, DRAFT_LISTEN_MAX, "of IP:PORT"))
        return;
    if (n == 0) {
        notes_error(d->notes, list->at, "listen is empty; leave it out for " CONFIG_LISTEN_DEFAULT);
        return;
    }
    all = arena_zalloc(d->arena, n * sizeof(*all));
    d->config->listen = all;
    d->config->listen_n = n;
    if (!list)
        all[0] = (struct config_listener){.at = CONFIG_LISTEN_DEFAULT, .tls = shared, .mode = MODE_DEFAULT};
    else if (!many)
        read_listen(d, list, shared, all, 0);
    for (const struct node *child = many ? list->first : NULL; child; child = child->next)
        read_listen(d, child, shared, all, i++);
}

/* A listener of its own beside `listen`. */
static const struct config_listener *read_side(struct draft *d, const struct node *n, bool public_is_fine)
{
    const struct config *c = d->config;
    struct config_listener *out;
    struct reading r;

    if (!n || !read_listener(d, n, NULL, &r))
        return NULL;
    if (is_taken(c->listen, c->listen_n, &r.address) || is_taken(c->admin, c->admin != NULL, &r.address))
        notes_error(d->notes, n->at, "%.*s: %s is taken by another listener", SLICE_ARG(n->label),
                    r.address.text);
    if (!r.address.is_loopback && !public_is_fine)
        notes_error(d->notes, n->at,
                    "%.*s: %s can be reached from outside; the admin listener must be on 127.0.0.1, [::1] or "
                    "a Unix socket",
                    SLICE_ARG(n->label), r.address.text);
    out = arena_zalloc(d->arena, sizeof(*out));
    *out = r.listener;
    return out;
}

void listeners_read(struct draft *d)
{
    const struct config_tls *shared = NULL;

    if (d->tls && value_is(d->notes, d->tls, NODE_MAP, "{cert: FILE, key: FILE}"))
        shared = read_tls(d, d->tls);
    read_listens(d, shared);
    d->config->admin = read_side(d, d->admin, false);
    d->config->metrics = read_side(d, d->metrics, true);
}
