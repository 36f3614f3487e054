/* SPDX-License-Identifier: MIT */
/* Small questions about the nodes of a configuration file. Recursion is bounded by the depth that yaml.c
 * allows. */
#include "config/node.h"

#include <stdio.h>
#include <string.h>

const struct node *node_find(const struct node *map, const char *key)
{
    if (map->kind != NODE_MAP)
        return NULL;
    for (const struct node *n = map->first; n; n = n->next) {
        if (slice_eq(n->key, slice_of(key)))
            return n;
    }
    return NULL;
}

bool node_is_empty(const struct node *n)
{
    if (n->kind != NODE_TEXT || !n->plain || n->env)
        return false;
    return n->text.n == 0 || slice_eq(n->text, SLICE("~")) || slice_eq(n->text, SLICE("null"));
}

const char *node_kind_name(const struct node *n)
{
    if (n->kind == NODE_LIST)
        return "a list";
    if (n->kind == NODE_MAP)
        return "a mapping";
    return node_is_empty(n) ? "nothing" : "a text";
}

const char *node_show_text(struct slice s, char out[NODE_SHOW_BYTES])
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        /* Three bytes stay free for the dots; a character of several bytes is not cut in two. */
        if (n >= NODE_SHOW_BYTES - 8 && (c & 0xc0) != 0x80) {
            memcpy(out + n, "...", 3);
            n += 3;
            break;
        }
        out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
        if (n >= NODE_SHOW_BYTES - 1)
            break;
    }
    out[n] = 0;
    return out;
}

const char *node_show(const struct node *n, char out[NODE_SHOW_BYTES])
{
    return node_show_text(n->raw, out);
}

const char *node_show_key(struct slice key, char out[NODE_SHOW_BYTES])
{
    bool ours = key.n > 0 && key.n <= 32;

    for (size_t i = 0; i < key.n && ours; i++) {
        char c = key.p[i];

        ours = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    }
    if (ours)
        snprintf(out, NODE_SHOW_BYTES, "\"%.*s\"", SLICE_ARG(key));
    else
        snprintf(out, NODE_SHOW_BYTES, "this key");
    return out;
}

static void wipe(struct slice s)
{
    /* The tree's arena owns the bytes and is writable; slices are const only because nearly everybody
     * borrows. */
    if (s.n > 0)
        explicit_bzero((char *)s.p, s.n);
}

void node_wipe(struct node *n)
{
    if (!n)
        return;
    wipe(n->text);
    wipe(n->raw);
    for (struct node *child = n->first; child; child = child->next)
        node_wipe(child);
}
