/* SPDX-License-Identifier: MIT */
/* Finds the name that was probably meant. */
#include "config/nearest.h"

#include <stdio.h>

void nearest_init(struct nearest *n, struct slice want)
{
    *n = (struct nearest){.want = want, .distance = SIZE_MAX};
}

void nearest_try(struct nearest *n, struct slice name)
{
    size_t d = slice_ieq(n->want, name) ? 0 : slice_distance(n->want, name);
    char shown[NODE_SHOW_BYTES];
    size_t room = sizeof(n->known) - n->known_n;
    int len;

    if (d < n->distance) {
        n->distance = d;
        n->best = name;
    }
    if (n->known_cut)
        return;
    len = snprintf(n->known + n->known_n, room, "%s%s", n->known_n > 0 ? ", " : "",
                   node_show_text(name, shown));
    if (len < 0 || (size_t)len >= room - 4) {
        snprintf(n->known + n->known_n, room, "%s...", n->known_n > 0 ? ", " : "");
        n->known_cut = true;
        return;
    }
    n->known_n += (size_t)len;
}

void nearest_complain(const struct nearest *n, struct notes *notes, struct place at, const char *unknown)
{
    /* Two exchanged letters count as two changes; in a name of three letters that is nearly all of it. */
    size_t close = n->want.n <= 3 ? 1 : n->want.n < 9 ? 2 : n->want.n / 3;
    char shown[NODE_SHOW_BYTES];

    if (n->distance <= close)
        notes_error(notes, at, "%s; did you mean \"%s\"?", unknown, node_show_text(n->best, shown));
    else if (n->known[0])
        notes_error(notes, at, "%s; known here: %s", unknown, n->known);
    else
        notes_error(notes, at, "%s; there is none", unknown);
}
