/* SPDX-License-Identifier: MIT */
/* Free memory goes back to the system in steps, each of which is short.
 *
 * Why: the allocator gives back by itself only what is free at a heap's end. malloc_trim gives back all that
 * is free, and holds the lock of the heap meanwhile: 0.8 us a page, 19 ms behind 9,000 streams, in which the
 * thread whose heap it is can allocate nothing. So the thread takes its free memory out of its own heap, a
 * mebibyte at a time, as blocks like any others, tells the kernel that nobody needs what is in them, and puts
 * all of them back in the end. What stays are the pages in which a block begins or ends: twice as much as
 * malloc_trim leaves.
 *
 * Nothing here depends on how the allocator works, but for what it gives: one that serves no block from what
 * is free gives fresh ones, whose pages do not exist, and after some of those it is over.
 *
 * Threads: one, whose heap is meant. The blocks belong to the shed until it ends. */
#ifndef BASE_SHED_H
#define BASE_SHED_H

#include <stdbool.h>
#include <stddef.h>

#define SHED_STEP_BYTES ((size_t)1024 * 1024)

struct shed {
    void *blocks; /* the last one taken; each begins with the address of the one before */
    size_t size;  /* which one is taken now */
    size_t dry_n; /* so many of it in a row had no page */
};

void shed_init(struct shed *s);
void shed_fini(struct shed *s); /* puts all blocks back */
/* Takes blocks of SHED_STEP_BYTES together, or what there is, and gives their pages back. */
void shed_step(struct shed *s);
/* The pages that lie wholly inside, in pieces so small that nobody waits for the address space meanwhile;
 * what was in them is lost. Memory of the caller's own; no shed needed. Thread: any. */
void shed_pages(void *p, size_t n);
/* Puts as many blocks back as a step takes at most. */
void shed_put_back(struct shed *s);

#endif
