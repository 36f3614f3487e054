/* SPDX-License-Identifier: MIT */
/* What every fuzz target has: one entry, which libFuzzer, AFL++ and replay.c call with bytes, and checks that
 * end the program.
 *
 * A target reads its input like any hostile peer's bytes and checks more than that nothing crashes: mostly
 * that cutting the same bytes elsewhere changes nothing, or that two ways to read them agree. Where bytes are
 * cut is taken from the input's first byte, so that a finding is one file. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FUZZ_CHECK(cond)                                                              \
    do {                                                                              \
        if (!(cond)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

/* The first byte of an input, 0 when there is none; the rest is left in *rest. */
static inline uint8_t fuzz_byte(struct slice *rest)
{
    uint8_t byte = 0;

    if (rest->n > 0) {
        byte = (uint8_t)rest->p[0];
        *rest = slice_from(*rest, 1);
    }
    return byte;
}

/* A piece of `rest` to feed next. how 0: all of it; 1: byte by byte; else random lengths. */
static inline struct slice fuzz_piece(struct slice *rest, uint8_t how, struct rng *dice)
{
    size_t n = how == 0 ? rest->n : how == 1 ? 1 : 1 + rng_below(dice, rng_below(dice, 4) == 0 ? 200 : 7);
    struct slice piece = {rest->p, n < rest->n ? n : rest->n};

    *rest = slice_from(*rest, piece.n);
    return piece;
}

/* A copy of its own allocation, so that a read past the end is seen. */
static inline char *fuzz_copy(struct slice s)
{
    char *copy = malloc(s.n > 0 ? s.n : 1);

    FUZZ_CHECK(copy != NULL);
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    return copy;
}

#endif
