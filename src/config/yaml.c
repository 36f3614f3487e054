/* SPDX-License-Identifier: MIT */
/* libyaml's events, turned into a bounded tree of nodes with the line and column of each.
 *
 * Why not libyaml's own document: it is unbounded, resolves aliases (a few lines can then stand for
 * gigabytes) and keeps the last of two equal keys without a word. Anchors, aliases and tags are refused
 * here.
 * Invariant: `open` holds the containers that have begun and not ended, innermost last; a key that still
 * waits for its value belongs to the innermost one. */
#include "config/yaml.h"

#include <yaml.h>

struct build {
    struct arena *arena;
    struct notes *notes;
    struct node *open[YAML_DEPTH_MAX];
    int depth;
    struct node *root;
    bool has_key, key_twice; /* a key waits for its value; it stood in the mapping before */
    struct slice key;
    struct place key_at;
    size_t nodes_n;
    int documents_n;
    bool done;
};

static struct place place_of(yaml_mark_t mark)
{
    return (struct place){(int)mark.line + 1, (int)mark.column + 1};
}

/* Where byte `offset` of the text stands: reader errors carry nothing else. */
static struct place place_at(struct slice text, size_t offset)
{
    struct place at = {1, 1};

    for (size_t i = 0; text.p && i < offset && i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c == '\n')
            at = (struct place){at.line + 1, 1};
        else if ((c & 0xc0) != 0x80)
            at.col++;
    }
    return at;
}

static void complain_syntax(struct build *b, const yaml_parser_t *p, struct slice text)
{
    if (p->error == YAML_READER_ERROR) {
        notes_error(b->notes, place_at(text, p->problem_offset), "not valid YAML: %s", p->problem);
        return;
    }
    notes_error(b->notes, place_of(p->problem_mark), "not valid YAML: %s%s%s", p->context ? p->context : "",
                p->context ? ": " : "", p->problem ? p->problem : "cannot be read");
}

static void complain_twice(struct build *b, const struct node *first)
{
    char shown[NODE_SHOW_BYTES];

    notes_error(b->notes, b->key_at, "%s stands here for the second time, first in line %d",
                node_show_key(b->key, shown), first->key_at.line);
}

static bool take_key(struct build *b, struct node *map, struct slice text, struct place at)
{
    if (map->n >= YAML_KEYS_MAX) {
        notes_error(b->notes, at, "more than %d keys in one mapping", YAML_KEYS_MAX);
        return false;
    }
    b->key = arena_dup(b->arena, text);
    b->key_at = at;
    b->has_key = true;
    b->key_twice = false;
    for (const struct node *n = map->first; n && !b->key_twice; n = n->next) {
        if (slice_eq(n->key, text)) {
            complain_twice(b, n);
            b->key_twice = true;
        }
    }
    return true;
}

/* A new node at the place where the document has come to; NULL after an error that ends the reading. */
static struct node *add_node(struct build *b, enum node_kind kind, struct place at)
{
    struct node *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL, *n;

    if (++b->nodes_n > YAML_NODES_MAX) {
        notes_error(b->notes, at, "more than %d values", YAML_NODES_MAX);
        return NULL;
    }
    n = ARENA_NEW(b->arena, struct node);
    n->kind = kind;
    n->at = at;
    if (!parent) {
        b->root = n;
        return n;
    }
    n->label = parent->label;
    if (parent->kind == NODE_MAP) {
        n->key = n->label = b->key;
        n->key_at = b->key_at;
        n->bad = b->key_twice;
        b->has_key = false;
    }
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->n++;
    return n;
}

static bool is_key_next(const struct build *b)
{
    return b->depth > 0 && b->open[b->depth - 1]->kind == NODE_MAP && !b->has_key;
}

static bool on_text(struct build *b, const yaml_event_t *e)
{
    struct slice text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    struct place at = place_of(e->start_mark);
    struct node *n;

    if (is_key_next(b))
        return take_key(b, b->open[b->depth - 1], text, at);
    n = add_node(b, NODE_TEXT, at);
    if (!n)
        return false;
    n->text = n->raw = arena_dup(b->arena, text);
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return true;
}

static bool on_open(struct build *b, enum node_kind kind, struct place at)
{
    struct node *n;

    if (is_key_next(b)) {
        notes_error(b->notes, at, "a key must be a text, not a list or a mapping");
        return false;
    }
    if (b->depth >= YAML_DEPTH_MAX) {
        notes_error(b->notes, at, "nested deeper than %d levels", YAML_DEPTH_MAX);
        return false;
    }
    n = add_node(b, kind, at);
    if (!n)
        return false;
    b->open[b->depth++] = n;
    return true;
}

static bool is_decorated(struct build *b, const yaml_char_t *anchor, const yaml_char_t *tag, struct place at)
{
    if (anchor)
        notes_error(b->notes, at,
                    "anchors (&name) are not supported: write the value out where it is needed");
    else if (tag)
        notes_error(b->notes, at, "tags (!name) are not supported");
    return anchor || tag;
}

static bool on_event(struct build *b, const yaml_event_t *e)
{
    struct place at = place_of(e->start_mark);

    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++b->documents_n > 1)
            notes_error(b->notes, at, "a second document begins here: a configuration is one document");
        return b->documents_n == 1;
    case YAML_ALIAS_EVENT:
        notes_error(b->notes, at, "aliases (*name) are not supported: write the value out");
        return false;
    case YAML_SCALAR_EVENT:
        return !is_decorated(b, e->data.scalar.anchor, e->data.scalar.tag, at) && on_text(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return !is_decorated(b, e->data.sequence_start.anchor, e->data.sequence_start.tag, at) &&
               on_open(b, NODE_LIST, at);
    case YAML_MAPPING_START_EVENT:
        return !is_decorated(b, e->data.mapping_start.anchor, e->data.mapping_start.tag, at) &&
               on_open(b, NODE_MAP, at);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return true;
    case YAML_STREAM_END_EVENT:
        b->done = true;
        return true;
    default:
        return true;
    }
}

static bool run(struct build *b, struct slice text)
{
    yaml_parser_t parser;
    yaml_event_t event;
    bool fine = true;

    if (!yaml_parser_initialize(&parser)) {
        notes_error(b->notes, (struct place){0, 0}, "no memory to read it");
        return false;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    if (slice_starts(text,
                     SLICE("\xef\xbb\xbf"))) /* as some editors begin a file; libyaml takes it for text */
        text = slice_from(text, 3);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    while (fine && !b->done) {
        if (!yaml_parser_parse(&parser, &event)) {
            complain_syntax(b, &parser, text);
            fine = false;
            break;
        }
        fine = on_event(b, &event);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return fine;
}

struct node *yaml_read(struct slice text, struct arena *arena, struct notes *notes)
{
    struct build b = {.arena = arena, .notes = notes};

    if (text.n > YAML_BYTES_MAX) {
        notes_error(notes, (struct place){0, 0}, "larger than %zu MiB", YAML_BYTES_MAX >> 20);
        return NULL;
    }
    if (!run(&b, text)) {
        node_wipe(b.root);
        return NULL;
    }
    if (!b.root || node_is_empty(b.root)) {
        notes_error(notes, (struct place){1, 1}, "the file is empty");
        return NULL;
    }
    if (b.root->kind != NODE_MAP) {
        notes_error(notes, b.root->at,
                    "the file must be a mapping (listen:, endpoints:, models: ...), this is %s",
                    node_kind_name(b.root));
        node_wipe(b.root);
        return NULL;
    }
    return b.root;
}
