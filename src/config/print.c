/* SPDX-License-Identifier: MIT */
/* Prints the tree of a configuration file, so that every key that can be read is printed without being named
 * here. What is secret is known by its place: the direct member `key` of an element of `keys` or `endpoints`,
 * and whatever stands before the @ of a URL. */
#include "config/print.h"

#include <stdio.h>

#include "base/assert.h"
#include "config/config.h"
#include "config/expand.h"
#include "config/options.h"

#define INDENT 2

struct printer {
    struct buf *out;
    enum err err; /* the first one; nothing is added after it */
    int redacted_n;
};

static void add(struct printer *p, struct slice s)
{
    if (p->err == ERR_OK)
        p->err = buf_add(p->out, s);
}

static void add_quoted(struct printer *p, struct slice s)
{
    if (p->err == ERR_OK)
        p->err = buf_add_json_string(p->out, s);
}

static void blanks(struct printer *p, int n)
{
    while (n-- > 0)
        add(p, SLICE(" "));
}

static bool is_word(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return s.n > 0;
}

static bool has_controls(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    }
    return false;
}

/* Whether what stood in the file without quotes can do so here, on a line of its own. Inside {} and [] a
 * single dash is a text as well; behind a dash or a key it begins a list. */
static bool is_plain_here(const struct node *n)
{
    return n->plain && !has_controls(n->raw) && !slice_eq(n->raw, SLICE("-"));
}

/* -- values ---------------------------------------------------------------------------------------------- */

static void print_secret(struct printer *p, const struct node *n)
{
    struct slice name = expand_sole_name(n->raw);
    char text[320];

    if (!n->env && (slice_eq(n->text, SLICE("none")) || slice_eq(n->text, SLICE("client")))) {
        add(p, n->text);
        return;
    }
    if (name.n > 0 && slice_find(n->raw, SLICE(":-")) < 0)
        snprintf(text, sizeof text, "${%.*s}", SLICE_ARG(name));
    else if (name.n > 0) /* a default may be a secret of its own */
        snprintf(text, sizeof text, "${%.*s:-redacted-%d}", SLICE_ARG(name), ++p->redacted_n);
    else
        snprintf(text, sizeof text, "redacted-%d", ++p->redacted_n);
    add_quoted(p, slice_of(text));
}

/* Where user and password of a URL end: at the last @ before its path; 0: it has none. A proxy's URL has no
 * path, may lack its scheme, and its password may hold a slash. */
static size_t credentials_end(const struct node *n, size_t from)
{
    bool proxy = slice_eq(n->key, SLICE("proxy"));
    struct slice s = n->raw;
    size_t end = 0;

    for (size_t i = from; (from > 0 || proxy) && i < s.n && (s.p[i] != '/' || proxy); i++) {
        if (s.p[i] == '@')
            end = i;
    }
    return end;
}

static void print_text(struct printer *p, const struct node *n)
{
    ptrdiff_t scheme = slice_find(n->raw, SLICE("://"));
    size_t from = scheme < 0 ? 0 : (size_t)scheme + 3, end = credentials_end(n, from);
    char text[4200];

    if (end > 0) {
        snprintf(text, sizeof text, "%.*sredacted%.*s", (int)from, n->raw.p,
                 SLICE_ARG(slice_from(n->raw, end)));
        add_quoted(p, slice_of(text));
    } else if (is_plain_here(n)) {
        add(p, n->raw);
    } else {
        add_quoted(p, n->raw);
    }
}

/* -- structure ------------------------------------------------------------------------------------------- */

static void print_members(struct printer *p, const struct node *map, int indent, bool with_secrets);
static void print_list(struct printer *p, const struct node *list, int indent, bool with_secrets);

/* What follows "key:" or a dash, with the end of the line. */
static void print_value(struct printer *p, const struct node *n, int indent, bool is_secret,
                        bool with_secrets)
{
    if (n->kind == NODE_TEXT) {
        if (n->raw.n > 0 || !n->plain)
            add(p, SLICE(" "));
        if (is_secret)
            print_secret(p, n);
        else
            print_text(p, n);
        add(p, SLICE("\n"));
    } else if (n->n == 0) {
        add(p, n->kind == NODE_LIST ? SLICE(" []\n") : SLICE(" {}\n"));
    } else {
        add(p, SLICE("\n"));
        if (n->kind == NODE_LIST)
            print_list(p, n, indent, with_secrets);
        else
            print_members(p, n, indent, false);
    }
}

static void print_key(struct printer *p, struct slice key)
{
    if (is_word(key))
        add(p, key);
    else
        add_quoted(p, key);
    add(p, SLICE(":"));
}

static void print_member(struct printer *p, const struct node *n, int indent, bool with_secrets)
{
    print_key(p, n->key);
    print_value(p, n, indent + INDENT, with_secrets && slice_eq(n->key, SLICE("key")), false);
}

static void print_members(struct printer *p, const struct node *map, int indent, bool with_secrets)
{
    for (const struct node *n = map->first; n; n = n->next) {
        blanks(p, indent);
        print_member(p, n, indent, with_secrets);
    }
}

/* An element that is a mapping begins on the line of its dash. */
static void print_list(struct printer *p, const struct node *list, int indent, bool with_secrets)
{
    for (const struct node *e = list->first; e; e = e->next) {
        blanks(p, indent);
        add(p, SLICE("-"));
        if (e->kind != NODE_MAP || e->n == 0) {
            print_value(p, e, indent + INDENT, false, false);
            continue;
        }
        for (const struct node *n = e->first; n; n = n->next) {
            if (n == e->first)
                add(p, SLICE(" "));
            else
                blanks(p, indent + INDENT);
            print_member(p, n, indent + INDENT, with_secrets);
        }
    }
}

/* -- defaults -------------------------------------------------------------------------------------------- */

/* The options of a section that the file does not set. */
static void print_options(struct printer *p, const char *section, const struct node *written)
{
    size_t n;
    const struct option *rows = options_table(&n);

    for (size_t i = 0; i < n; i++) {
        struct slice name, head = slice_cut(slice_of(rows[i].path), '.', &name);
        char text[32];

        if (!slice_eq(head, slice_of(section)) || (written != NULL && node_find(written, name.p) != NULL))
            continue;
        blanks(p, INDENT);
        add(p, name);
        add(p, SLICE(": "));
        add(p, slice_of(options_print(&rows[i], rows[i].dflt, text)));
        add(p, SLICE("\n"));
    }
}

static void print_section(struct printer *p, const struct node *root, const char *section)
{
    const struct node *written = node_find(root, section);

    add(p, slice_of(section));
    add(p, SLICE(":\n"));
    if (written != NULL)
        print_members(p, written, INDENT, false);
    print_options(p, section, written);
}

enum err print_tree(const struct node *root, struct buf *out)
{
    static const char *const DEFAULTS[][2] = {
        {"listen", CONFIG_LISTEN_DEFAULT},
        {"workers", "auto"},
        {"access_log", "stdout"},
        {"log_level", "info"},
        {"watch", "false"},
        {"core_dumps", "false"},
    };
    struct printer p = {.out = out, .err = ERR_OK};

    for (size_t i = 0; i < COUNT_OF(DEFAULTS); i++) {
        if (node_find(root, DEFAULTS[i][0]) != NULL)
            continue;
        add(&p, slice_of(DEFAULTS[i][0]));
        add(&p, SLICE(": "));
        add(&p, slice_of(DEFAULTS[i][1]));
        add(&p, SLICE("\n"));
    }
    for (const struct node *n = root->first; n; n = n->next) {
        bool with_secrets = slice_eq(n->key, SLICE("keys")) || slice_eq(n->key, SLICE("endpoints"));

        if (slice_eq(n->key, SLICE("timeouts")) || slice_eq(n->key, SLICE("limits")))
            continue;
        print_key(&p, n->key);
        print_value(&p, n, INDENT, false, with_secrets);
    }
    print_section(&p, root, "timeouts");
    print_section(&p, root, "limits");
    return p.err;
}
