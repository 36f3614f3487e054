/* SPDX-License-Identifier: MIT */
/* The comments that tidegate itself writes into a stream, in exactly its forms, so that clients can be tried
 * against them without a gateway: one line with a single LF, and no blank line of its own. */
#include <stdio.h>

#include "sim/work_private.h"

#define COMMENT_MAX_BYTES 160 /* all comments of one event */
#define ID_MAX_BYTES 32
#define EVENTS_MAX 8 /* that are written at once, besides the choices' */

static char *put(char *at, struct slice s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

/* An event with what goes before it and into it. `i` counts the stream's events. */
static char *put_event(const struct sim_work *w, uint32_t i, struct slice event, char *at)
{
    unsigned asked = w->plan.comments;

    if (i == 0 && asked & SIM_COMMENT_FIRST)
        at = put(at, SLICE(": waiting\n: queued position=3 eta=4s\n"));
    if (i > 0 && asked & SIM_COMMENT_BETWEEN)
        at = put(at, SLICE(": waiting\n"));
    if (asked & SIM_COMMENT_DONE && slice_starts(event, SLICE("data: [DONE]")))
        at = put(at, SLICE(": tidegate endpoint=sim attempts=1 wait_ms=0\n"));
    if (asked & SIM_COMMENT_ID)
        at += snprintf(at, ID_MAX_BYTES, "id: %u\n: waiting\n", i);
    return put(at, event);
}

struct slice work_with_comments(struct sim_work *w, struct slice events)
{
    size_t n = events.n + (w->script.choices_n + EVENTS_MAX) * COMMENT_MAX_BYTES;
    char *p, *at;

    if (w->plan.comments == 0 || events.n == 0)
        return events;
    p = at = arena_reserve(&w->sim->loop->turn, n);
    while (events.n > 0) {
        size_t event_n = (size_t)slice_find(events, SLICE("\n\n")) + 2;

        at = put_event(w, w->events_n++, (struct slice){events.p, event_n}, at);
        events = slice_from(events, event_n);
    }
    arena_commit(&w->sim->loop->turn, (size_t)(at - p));
    return (struct slice){p, (size_t)(at - p)};
}
