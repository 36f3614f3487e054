/* SPDX-License-Identifier: MIT */
/* A list of cache lines that are about to be needed, fetched all at once.
 *
 * Why: between two events of a stream a thousand others pass, so whatever handles the next one has left the
 * cache: some forty lines in eight objects that point at each other, and the processor would wait for them
 * one after the other. Whoever knows the objects beforehand notes their addresses; fetching from the list
 * needs no pointer out of memory that is cold itself. A fetch is a hint: what it names may have been freed
 * long ago. */
#ifndef BASE_WARM_H
#define BASE_WARM_H

#include <stddef.h>
#include <stdint.h>

#define WARM_OBJECTS 8
#define WARM_LINE 64

struct warm {
    uint32_t n;
    struct {
        uintptr_t at;   /* a line's address */
        uint64_t lines; /* bit i: the line at + i * WARM_LINE */
    } object[WARM_OBJECTS];
};

/* Notes n bytes of an object, from an offset on; at most 4 KiB of an object, and what does not fit is left
 * out. */
static inline void warm_add(struct warm *w, const void *object, size_t from, size_t n)
{
    uintptr_t at = (uintptr_t)object & ~(uintptr_t)(WARM_LINE - 1), first = (uintptr_t)object + from;
    uint32_t i = 0;

    while (i < w->n && w->object[i].at != at)
        i++;
    if (i == WARM_OBJECTS)
        return;
    if (i == w->n) {
        w->object[w->n++].at = at;
        w->object[i].lines = 0;
    }
    if (n == 0)
        return;
    for (uintptr_t line = (first - at) / WARM_LINE; line <= (first + n - 1 - at) / WARM_LINE && line < 64;
         line++)
        w->object[i].lines |= UINT64_C(1) << line;
}

static inline void warm_fetch(const struct warm *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        for (uint64_t left = w->object[i].lines; left != 0; left &= left - 1)
            __builtin_prefetch((const void *)(w->object[i].at + WARM_LINE * (unsigned)__builtin_ctzll(left)),
                               1);
    }
}

#endif
