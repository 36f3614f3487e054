/* SPDX-License-Identifier: MIT */
/* The listeners: `listen`, `admin`, `metrics`. Who may reach them is judged here, whether that is safe in
 * rules.c. */
#include "config/draft.h"

#include "config/address.h"
#include "config/fields.h"
#include "config/value.h"

static bool read_address(struct draft *d, const struct node *n, struct address *out)
{
    struct slice text;
    const char *why;

    if (!n->bad && n->kind == NODE_MAP) {
        notes_error(d->notes, n->at, "TLS listeners come with a later version; write %.*s: IP:PORT",
                    SLICE_ARG(n->label));
        return false;
    }
    if (!value_text(d->notes, n, 128, &text))
        return false;
    why = address_parse(text, d->arena, out);
    if (why)
        notes_error(d->notes, n->at, "%.*s: %s", SLICE_ARG(n->label), why);
    return !why;
}

/* Port 0 is another port each time. */
static bool is_taken(const char *const *texts, size_t n, const struct address *a)
{
    for (size_t i = 0; i < n && a->port > 0; i++) {
        if (texts[i] && slice_eq(slice_of(texts[i]), slice_of(a->text)))
            return true;
    }
    return false;
}

static void read_listen(struct draft *d, const struct node *n, const char **texts, size_t i)
{
    bool has_keys = d->keys && d->keys->kind == NODE_LIST && d->keys->n > 0;
    struct address a;

    if (!read_address(d, n, &a))
        return;
    if (is_taken(texts, i, &a))
        notes_error(d->notes, n->at, "listen: %s stands here for the second time", a.text);
    if (!a.is_loopback && !has_keys)
        notes_error(
            d->notes, n->at,
            "listen: %s can be reached from outside, and without keys anyone who reaches it could spend your "
            "money; add keys, or listen on 127.0.0.1",
            a.text);
    texts[i] = a.text;
}

static void read_listens(struct draft *d)
{
    const struct node *list = d->listen;
    bool many = list && list->kind == NODE_LIST;
    size_t n = many ? list->n : 1, i = 0;
    const char **texts;

    if (many && !fields_list(d, list, DRAFT_LISTEN_MAX, "of IP:PORT"))
        return;
    if (n == 0) {
        notes_error(d->notes, list->at, "listen is empty; leave it out for " CONFIG_LISTEN_DEFAULT);
        return;
    }
    texts = arena_zalloc(d->arena, n * sizeof(*texts));
    d->config->listen = texts;
    d->config->listen_n = n;
    if (!list)
        texts[0] = CONFIG_LISTEN_DEFAULT;
    else if (!many)
        read_listen(d, list, texts, 0);
    for (const struct node *child = many ? list->first : NULL; child; child = child->next)
        read_listen(d, child, texts, i++);
}

/* A listener of its own beside `listen`. */
static const char *read_side(struct draft *d, const struct node *n, bool public_is_fine)
{
    const struct config *c = d->config;
    struct address a;

    if (!n || !read_address(d, n, &a))
        return NULL;
    if (is_taken(c->listen, c->listen_n, &a) || is_taken(&c->admin, 1, &a))
        notes_error(d->notes, n->at, "%.*s: %s is taken by another listener", SLICE_ARG(n->label), a.text);
    if (!a.is_loopback && !public_is_fine)
        notes_error(d->notes, n->at,
                    "%.*s: %s can be reached from outside; the admin listener must be on 127.0.0.1 or "
                    "[::1]",
                    SLICE_ARG(n->label), a.text);
    return a.text;
}

void listeners_read(struct draft *d)
{
    read_listens(d);
    d->config->admin = read_side(d, d->admin, false);
    d->config->metrics = read_side(d, d->metrics, true);
}
