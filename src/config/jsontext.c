/* SPDX-License-Identifier: MIT */
/* Writes YAML values as JSON. Types follow JSON's own grammar, not YAML's: `no` and `0x10` are not guessed
 * at. */
#include "config/jsontext.h"

#include "config/value.h"

static size_t digits(struct slice s, size_t at)
{
    size_t n = 0;

    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

/* RFC 8259, 6: -0.5e+10 */
static bool is_number(struct slice s)
{
    size_t at = s.n > 0 && s.p[0] == '-', n = digits(s, at);

    if (n == 0 || (n > 1 && s.p[at] == '0'))
        return false;
    at += n;
    if (at < s.n && s.p[at] == '.') {
        n = digits(s, at + 1);
        if (n == 0)
            return false;
        at += n + 1;
    }
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        at++;
        if (at < s.n && (s.p[at] == '+' || s.p[at] == '-'))
            at++;
        n = digits(s, at);
        if (n == 0)
            return false;
        at += n;
    }
    return at == s.n;
}

/* Words that YAML 1.1 reads as booleans and 1.2 as texts. */
static bool is_doubtful(struct slice s)
{
    static const char *const words[] = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (slice_ieq(s, slice_of(words[i])))
            return true;
    }
    return false;
}

/* ERR_CONFIG: noted, here or before; another error: the buffer's. */
static enum err add_text(struct notes *notes, const struct node *n, struct buf *out)
{
    char shown[NODE_SHOW_BYTES];

    if (!n->plain)
        return buf_add_json_string(out, n->text);
    if (node_is_empty(n))
        return buf_add(out, SLICE("null"));
    if (slice_eq(n->text, SLICE("true")) || slice_eq(n->text, SLICE("false")) || is_number(n->text))
        return buf_add(out, n->text);
    if (is_doubtful(n->text)) {
        notes_error(notes, n->at, "%.*s: write true, false or null, or put %s in quotes", SLICE_ARG(n->label),
                    node_show(n, shown));
        return ERR_CONFIG;
    }
    return buf_add_json_string(out, n->text);
}

static enum err add(struct notes *notes, const struct node *n, struct buf *out, bool *env)
{
    bool map = n->kind == NODE_MAP;
    enum err err;

    if (n->bad)
        return ERR_CONFIG;
    *env = *env || n->env;
    if (n->kind == NODE_TEXT)
        return add_text(notes, n, out);
    err = buf_add(out, map ? SLICE("{") : SLICE("["));
    for (const struct node *child = n->first; child && !err; child = child->next) {
        if (child != n->first)
            err = buf_add(out, SLICE(","));
        if (map && !err)
            err = buf_add_json_string(out, child->key);
        if (map && !err)
            err = buf_add(out, SLICE(":"));
        if (!err)
            err = add(notes, child, out, env);
    }
    return err ? err : buf_add(out, map ? SLICE("}") : SLICE("]"));
}

bool jsontext_add(struct notes *notes, const struct node *n, struct buf *out, bool *env)
{
    enum err err = add(notes, n, out, env);

    if (err && err != ERR_CONFIG)
        notes_error(notes, n->at, "%.*s is larger than %zu bytes as JSON", SLICE_ARG(n->label), out->max);
    return !err;
}
