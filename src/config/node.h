/* SPDX-License-Identifier: MIT */
/* A YAML document as a tree that remembers where each piece stood.
 *
 * Ownership: nodes and texts live in the arena that yaml_read was given. Texts may be secrets: node_wipe
 * before the arena goes. */
#ifndef CONFIG_NODE_H
#define CONFIG_NODE_H

#include "base/slice.h"
#include "config/notes.h"

#define NODE_SHOW_BYTES 80

enum node_kind { NODE_TEXT, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    struct place at;
    bool plain;       /* NODE_TEXT without quotes */
    bool env;         /* a part of `text` comes from the environment */
    bool bad;         /* already complained about: readers pass over it */
    struct slice key; /* in a map: what stands before the colon */
    struct place key_at;
    struct slice label; /* the key, or for an element of a list the key of the list: for messages */
    struct slice text;  /* NODE_TEXT: the value, after ${NAME} */
    struct slice raw;   /* NODE_TEXT: as it stands in the file */
    struct node *first, *last, *next;
    size_t n; /* children */
};

/* The child with that key, or NULL. */
const struct node *node_find(const struct node *map, const char *key);
/* Whether it is `name:` with nothing behind it. */
bool node_is_empty(const struct node *n);
/* What it is, for messages: "a list", "a mapping", "a text", "nothing". */
const char *node_kind_name(const struct node *n);
/* The value as it stands in the file (so that nothing from the environment shows), printable and cut. */
const char *node_show(const struct node *n, char out[NODE_SHOW_BYTES]);
/* The same for any text. */
const char *node_show_text(struct slice s, char out[NODE_SHOW_BYTES]);
/* A key in quotes, or "this key" when it has anything but letters, _ and -: ours have nothing else, and
 * what has may be a secret that slipped into the wrong place. */
const char *node_show_key(struct slice key, char out[NODE_SHOW_BYTES]);
/* Overwrites every text of the tree. */
void node_wipe(struct node *n);

#endif
