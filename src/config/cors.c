/* SPDX-License-Identifier: MIT */
/* Which pages may call the gateway from a browser: `cors: {origins: [...]}`. An origin is what browsers send
 * in their Origin header: a scheme, a host, perhaps a port, nothing behind them. */
#include "config/draft.h"

#include "base/assert.h"
#include "config/fields.h"
#include "config/value.h"

#define ORIGIN_MAX 300

static bool is_scheme(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!(c >= 'a' && c <= 'z') &&
            !(i > 0 && ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
            return false;
    }
    return s.n > 0;
}

/* What would be right, or NULL if it is. */
static const char *fault(struct slice origin)
{
    ptrdiff_t at = slice_find(origin, SLICE("://"));
    struct slice host;

    if (slice_eq(origin, SLICE("*")))
        return NULL;
    if (at < 0 || !is_scheme((struct slice){origin.p, (size_t)at}))
        return "an origin begins with its scheme, as in https://app.example.com, or is \"*\"";
    host = slice_from(origin, (size_t)at + 3);
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] == '/')
            return "an origin ends with its host or port; leave out the path and the slash";
        if (host.p[i] == '*')
            return "an origin is named in full; only \"*\" alone stands for all";
        if (host.p[i] <= ' ' || host.p[i] == '@' || host.p[i] == '?' || host.p[i] == '#')
            return "an origin is a scheme, a host and perhaps a port";
    }
    return host.n > 0 ? NULL : "an origin names a host";
}

static void read_origin(struct draft *d, const struct node *n, struct slice *out)
{
    bool has_keys = d->keys && d->keys->kind == NODE_LIST && d->keys->n > 0;
    char shown[NODE_SHOW_BYTES];
    struct slice text;
    const char *why;

    if (!value_text(d->notes, n, ORIGIN_MAX, &text))
        return;
    why = fault(text);
    if (why)
        notes_error(d->notes, n->at, "cors: %s is no origin: %s", node_show(n, shown), why);
    else if (slice_eq(text, SLICE("*")) && !has_keys)
        notes_error(
            d->notes, n->at,
            "cors: without keys, \"*\" lets every page that is open in a browser here spend your money; "
            "add keys, or name the origins");
    *out = arena_dup(d->arena, text);
}

static void read_origins(struct draft *d, const struct node *n, void *unused)
{
    struct slice *origins;
    size_t i = 0;

    (void)unused;
    if (!fields_list(d, n, DRAFT_ORIGINS_MAX, "of origins as https://app.example.com"))
        return;
    if (n->n == 0) {
        notes_error(d->notes, n->at, "origins is empty; leave cors out to allow none");
        return;
    }
    origins = arena_zalloc(d->arena, n->n * sizeof(*origins));
    for (const struct node *child = n->first; child; child = child->next)
        read_origin(d, child, &origins[i++]);
    d->config->cors_origins = origins;
    d->config->cors_origins_n = i;
}

static const struct field fields[] = {
    {"origins", read_origins, NULL, true},
};

void cors_read(struct draft *d)
{
    if (d->cors)
        fields_read(d, d->cors, "cors", fields, COUNT_OF(fields), NULL);
}
