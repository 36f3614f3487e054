/* SPDX-License-Identifier: MIT */
/* Reads aliases: a list of names, or of {name, set: {MEMBER: VALUE}} whose values become JSON text. */
#include "config/aliases.h"

#include <string.h>

#include "base/assert.h"
#include "config/fields.h"
#include "config/jsontext.h"
#include "config/value.h"

#define SET_BYTES_MAX ((size_t)64 << 10)

/* The name of a member is written into JSON as it stands. */
static bool is_member_name(struct slice s)
{
    if (s.n == 0 || s.n > 64)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}

/* Members that decide what the gateway itself does with a request. */
static bool is_ours(struct slice name)
{
    static const char *const names[] = {"model", "messages", "stream", "stream_options"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (slice_eq(name, slice_of(names[i])))
            return true;
    }
    return false;
}

static bool read_member(struct draft *d, const struct node *n, struct config_set *set)
{
    struct buf json;
    bool fine;

    if (!is_member_name(n->key)) {
        notes_error(d->notes, n->key_at,
                    "a member to set has a name of letters, digits, _ and -, at most 64");
        return false;
    }
    if (is_ours(n->key)) {
        notes_error(d->notes, n->key_at, "an alias cannot set \"%.*s\"", SLICE_ARG(n->key));
        return false;
    }
    buf_init(&json, SET_BYTES_MAX, NULL);
    fine = jsontext_add(d->notes, n, &json, &set->from_env);
    if (fine) {
        set->name = arena_dup(d->arena, n->key);
        set->json = arena_dup(d->arena, buf_slice(&json));
    }
    if (json.n > 0)
        explicit_bzero(json.p, json.n);
    buf_fini(&json);
    return fine;
}

static void read_set(struct draft *d, const struct node *n, void *into)
{
    struct config_alias *alias = into;
    struct config_set *sets;
    size_t i = 0;

    if (!value_is(d->notes, n, NODE_MAP, "{MEMBER: VALUE}"))
        return;
    sets = arena_zalloc(d->arena, n->n * sizeof(*sets));
    for (const struct node *child = n->first; child; child = child->next) {
        if (read_member(d, child, &sets[i]))
            i++;
    }
    alias->sets = sets;
    alias->sets_n = i;
}

static void read_name(struct draft *d, const struct node *n, void *into)
{
    struct config_alias *alias = into;
    struct slice name;

    if (!value_model(d->notes, n, &name))
        return;
    if (slice_eq(name, SLICE("*")))
        notes_error(d->notes, n->at, "an alias cannot be \"*\"; a model can");
    else
        alias->name = arena_dup(d->arena, name);
}

static const struct field fields[] = {
    {"name", read_name, NULL, true},
    {"set", read_set, NULL, false},
};

void aliases_read(struct draft *d, const struct node *n, void *model)
{
    struct config_model *m = model;
    struct config_alias *aliases;
    size_t i = 0;

    if (!fields_list(d, n, DRAFT_ALIASES_MAX, "of names or {name, set}"))
        return;
    aliases = arena_zalloc(d->arena, n->n * sizeof(*aliases));
    m->aliases = aliases;
    m->aliases_n = n->n;
    for (const struct node *child = n->first; child; child = child->next, i++) {
        if (child->kind == NODE_TEXT)
            read_name(d, child, &aliases[i]);
        else
            fields_read(d, child, "an alias", fields, COUNT_OF(fields), &aliases[i]);
    }
}
