/* SPDX-License-Identifier: MIT */
/* Expands references to the environment: a value is cut into pieces twice, first to check and to measure,
 * then to copy, so that the bytes of a secret are written exactly once, into the arena that will be wiped. */
#include "config/expand.h"

#include <stdlib.h>

#include "base/utf8.h"

struct expansion {
    const struct config_env *env;
    struct arena *arena;
    struct notes *notes;
    size_t total;
};

/* How a piece could not be read; the name (never a value) goes into the message. */
struct trouble {
    const char *text;
    struct slice name;
};

static const char *process_get(void *ud, const char *name)
{
    (void)ud;
    return getenv(name);
}

const struct config_env config_env_process = {process_get, NULL};

static bool is_name_byte(char c, bool first)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* Splits "NAME}" or "NAME:-default}" at the start of *rest, which moves behind the brace. */
static const char *read_reference(struct slice *rest, struct slice *name, struct slice *dflt)
{
    size_t n = 0;
    ptrdiff_t end;

    while (n < rest->n && is_name_byte(rest->p[n], n == 0))
        n++;
    *name = (struct slice){rest->p, n};
    *dflt = SLICE_NONE;
    if (n == 0 || n > 255)
        return "behind ${ a name of letters, digits and _ is expected; a dollar sign is written $$";
    *rest = slice_from(*rest, n);
    if (slice_starts(*rest, SLICE("}"))) {
        *rest = slice_from(*rest, 1);
        return NULL;
    }
    if (!slice_starts(*rest, SLICE(":-")))
        return "a reference is written ${NAME} or ${NAME:-default}; a dollar sign is written $$";
    *rest = slice_from(*rest, 2);
    end = slice_find(*rest, SLICE("}"));
    if (end < 0)
        return "the } that ends ${NAME:-default} is missing";
    *dflt = (struct slice){rest->p, (size_t)end};
    *rest = slice_from(*rest, (size_t)end + 1);
    if (slice_find(*dflt, SLICE("$")) >= 0)
        return "the default in ${NAME:-default} is taken as it stands and cannot hold another $";
    return NULL;
}

/* YAML promises UTF-8 for the file; the environment promises nothing. */
static bool is_utf8(struct slice s)
{
    while (s.n > 0) {
        size_t len = utf8_len(s);

        if (len == 0)
            return false;
        s = slice_from(s, len);
    }
    return true;
}

/* The next piece of the expanded text; *rest moves behind its source. */
static bool next_piece(const struct config_env *env, struct slice *rest, struct slice *piece,
                       struct trouble *why)
{
    struct slice name, dflt;
    ptrdiff_t dollar = slice_find(*rest, SLICE("$"));
    char zname[256];
    const char *value;

    *why = (struct trouble){NULL, SLICE_NONE};
    if (dollar != 0) {
        *piece = (struct slice){rest->p, dollar < 0 ? rest->n : (size_t)dollar};
        *rest = slice_from(*rest, piece->n);
        return true;
    }
    if (slice_starts(*rest, SLICE("$$"))) {
        *piece = (struct slice){rest->p, 1};
        *rest = slice_from(*rest, 2);
        return true;
    }
    if (!slice_starts(*rest, SLICE("${"))) {
        why->text = "a $ on its own: write ${NAME} for the environment, $$ for a dollar sign";
        return false;
    }
    *rest = slice_from(*rest, 2);
    why->text = read_reference(rest, &name, &dflt);
    if (why->text)
        return false;
    memcpy(zname, name.p, name.n);
    zname[name.n] = 0;
    value = env->get(env->ud, zname);
    *piece = value && (*value || !dflt.p) ? slice_of(value) : dflt;
    why->name = name;
    if (!value && !dflt.p)
        why->text = "is not set in the environment, and ${NAME:-default} gives no default";
    else if (!is_utf8(*piece))
        why->text = "holds bytes that are not UTF-8";
    return !why->text;
}

static void complain(const struct expansion *x, struct node *n, const struct trouble *why)
{
    n->bad = true;
    if (why->name.n > 0)
        notes_error(x->notes, n->at, "%.*s %s", SLICE_ARG(why->name), why->text);
    else
        notes_error(x->notes, n->at, "%s", why->text);
}

static void expand_text(struct expansion *x, struct node *n)
{
    struct slice rest, piece;
    struct trouble why;
    size_t size = 0, at = 0;
    char *out;

    for (rest = n->raw; rest.n > 0; size += piece.n) {
        if (!next_piece(x->env, &rest, &piece, &why)) {
            complain(x, n, &why);
            return;
        }
        n->env = n->env || why.name.n > 0;
        if (piece.n > EXPAND_VALUE_MAX || size + piece.n > EXPAND_VALUE_MAX) {
            complain(x, n,
                     &(struct trouble){"the value is larger than 64 KiB with its environment", SLICE_NONE});
            return;
        }
    }
    x->total += size;
    if (x->total > EXPAND_TOTAL_MAX) {
        complain(x, n,
                 &(struct trouble){"the values are larger than 4 MiB with their environment", SLICE_NONE});
        return;
    }
    out = arena_bytes(x->arena, size + 1);
    for (rest = n->raw; rest.n > 0 && next_piece(x->env, &rest, &piece, &why); at += piece.n) {
        if (piece.n > size - at)
            break;
        memcpy(out + at, piece.p, piece.n);
    }
    out[at] = 0;
    n->text = (struct slice){out, at};
}

static void expand_node(struct expansion *x, struct node *n)
{
    if (n->kind == NODE_TEXT && slice_find(n->raw, SLICE("$")) >= 0)
        expand_text(x, n);
    for (struct node *child = n->first; child; child = child->next)
        expand_node(x, child);
}

void expand_tree(struct node *root, const struct config_env *env, struct arena *arena, struct notes *notes)
{
    struct expansion x = {.env = env, .arena = arena, .notes = notes};

    expand_node(&x, root);
}

struct slice expand_sole_name(struct slice raw)
{
    struct slice name, dflt;

    if (!slice_starts(raw, SLICE("${")))
        return SLICE_NONE;
    raw = slice_from(raw, 2);
    return !read_reference(&raw, &name, &dflt) && raw.n == 0 ? name : SLICE_NONE;
}
