/* SPDX-License-Identifier: MIT */
/* "did you mean": the known name that is closest to a wrong one. */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

#include "base/slice.h"
#include "config/node.h"

struct nearest {
    struct slice want, best;
    size_t distance; /* of best */
    char known[160]; /* the names tried, for a message when none is close */
    size_t known_n;
    bool known_cut;
};

void nearest_init(struct nearest *n, struct slice want);
void nearest_try(struct nearest *n, struct slice name);
/* Notes `UNKNOWN; did you mean "x"?` or `UNKNOWN; known here: x, y`. */
void nearest_complain(const struct nearest *n, struct notes *notes, struct place at, const char *unknown);

#endif
