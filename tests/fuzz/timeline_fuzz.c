/* SPDX-License-Identifier: MIT */
/* The simulator's timeline: refused with a place inside the text, or taken with rows that make sense. */
#include "base/arena.h"
#include "fuzz/fuzz.h"
#include "sim/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *copy = fuzz_copy((struct slice){(const char *)data, n});
    struct sim_timeline_error error = {0};
    struct sim_timeline t = {0};
    struct arena arena;

    arena_init(&arena, NULL, 0, 1024);
    if (!sim_timeline_parse((struct slice){copy, n}, &arena, &t, &error)) {
        FUZZ_CHECK(error.line >= 1 && error.column >= 1 && error.text[0] != '\0');
    } else {
        FUZZ_CHECK(t.rows_n <= SIM_TIMELINE_ROWS_MAX);
        for (size_t i = 0; i < t.rows_n; i++) {
            FUZZ_CHECK(t.rows[i].at_us >= 0 && t.rows[i].until_us >= t.rows[i].at_us);
            FUZZ_CHECK(t.rows[i].p >= 0 && t.rows[i].p <= 1);
            FUZZ_CHECK(!sim_timeline_holds(&t.rows[i], t.rows[i].until_us, t.rows[i].listener));
        }
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
