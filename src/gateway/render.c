/* SPDX-License-Identifier: MIT */
#include "gateway/render.h"

#include <string.h>

#include "base/assert.h"

static const char LEAD[] = "data: ", NAME[] = "event: ", BLANK[] = "\n\n";

/* The line with the event's name, which goes before its data; empty where clients do not read it. */
static size_t name_bytes(const struct surface *surface, const struct sse_event *ev)
{
    return surface->names_events && ev->event.n > 0 ? sizeof NAME - 1 + ev->event.n + 1 : 0;
}

static char *put(char *at, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(at, bytes, n);
    return at + n;
}

/* Whether an event can leave as it came: a CR among its line ends is a byte more, or stands at the end. */
static bool is_canonical(const struct sse_event *ev, size_t name_n)
{
    size_t lead_n = name_n + sizeof LEAD - 1;

    if (ev->raw.n != lead_n + ev->data.n + sizeof BLANK - 1 || ev->raw.p[ev->raw.n - 1] != '\n')
        return false;
    if (name_n == 0)
        return ev->plain;
    return ev->data.p == ev->raw.p + lead_n && memcmp(ev->raw.p, NAME, sizeof NAME - 1) == 0 &&
           memcmp(ev->raw.p + name_n - 1, "\n", 1) == 0 &&
           memcmp(ev->raw.p + name_n, LEAD, sizeof LEAD - 1) == 0;
}

struct slice render_event(const struct surface *surface, const struct sse_event *ev, struct slice data,
                          struct arena *arena)
{
    size_t lines = 1, name_n = name_bytes(surface, ev), n;
    char *out, *at;

    if (data.p == ev->data.p && data.n == ev->data.n && is_canonical(ev, name_n))
        return ev->raw;
    for (const char *lf = data.p, *end = data.p + data.n; (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL;
         lf++)
        lines++;
    n = name_n + data.n + lines * (sizeof LEAD - 1) + sizeof BLANK - 1;
    out = at = arena_try_bytes(arena, n);
    if (out == NULL)
        return SLICE_NONE;
    if (name_n > 0) {
        at = put(at, NAME, sizeof NAME - 1);
        at = put(at, ev->event.p, ev->event.n);
        *at++ = '\n';
    }
    for (struct slice rest = data; rest.p != NULL;) {
        struct slice line = slice_cut(rest, '\n', &rest);

        at = put(at, LEAD, sizeof LEAD - 1);
        at = put(at, line.p, line.n);
        *at++ = '\n';
    }
    *at++ = '\n';
    ASSERT((size_t)(at - out) <= n);
    return (struct slice){out, (size_t)(at - out)};
}
