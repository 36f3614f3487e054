/* SPDX-License-Identifier: MIT */
/* Many streams that send as much as they can: a turn reads a bounded part of it, and each has its share. */
#include "io/turn.h"

#include "real_kit.h"

#define STREAMS_N 24
#define BYTES_N ((size_t)1024 * 1024)

TEST(a_turn_of_a_real_loop_reads_a_bounded_number_of_bytes_and_nobody_starves)
{
    struct slice data = noise(BYTES_N, 3);
    static struct side sides[STREAMS_N];
    struct kit k;
    size_t least = BYTES_N;

    kit_init(&k);
    memset(sides, 0, sizeof sides);
    k.model.expect = data;
    for (size_t i = 0; i < STREAMS_N; i++) {
        sides[i].greet = data;
        kit_connect(&k, &sides[i]);
    }
    kit_until(&k, &k.accepts_n, STREAMS_N);
    /* Until the first one is whole, the others must have had about as much: half, generously. */
    for (bool any = false; !any;) {
        for (struct side *x = k.accepted; x != NULL; x = x->next)
            any = any || x->got_n == BYTES_N;
        if (!any)
            kit_until(&k, &k.accepted->got_n, k.accepted->got_n + 1);
    }
    for (struct side *x = k.accepted; x != NULL; x = x->next)
        least = x->got_n < least ? x->got_n : least;
    CHECK(least > BYTES_N / 2);
    for (struct side *x = k.accepted; x != NULL; x = x->next) {
        kit_until(&k, &x->got_n, BYTES_N);
        CHECK(!x->differs);
    }
    CHECK(k.l->turns >= STREAMS_N * BYTES_N / (TURN_READ_BYTES + TURN_STREAM_BYTES));
    for (size_t i = 0; i < STREAMS_N; i++)
        stream_close(&sides[i].s);
    kit_fini(&k);
    noise_free(data);
}
