/* SPDX-License-Identifier: MIT */
/* Random scripts for a whole gateway: whatever clients and endpoints do, the invariants of support/script.h
 * hold, and everything that a script can do has been done. TIDEGATE_SCRIPTS in the environment asks for more
 * of them. */
#include "support/script.h"

#include "base/rng.h"
#include "tap.h"

#define SCRIPTS_N 400
#define SCRIPT_BYTES 300

TEST(random_scripts_break_no_invariant)
{
    const char *more = getenv("TIDEGATE_SCRIPTS");
    long scripts_n = more != NULL ? strtol(more, NULL, 10) : SCRIPTS_N;
    struct script_tally all = {0}, one;
    struct rng dice;
    char script[SCRIPT_BYTES];

    rng_seed(&dice, 4);
    for (long i = 0; i < scripts_n; i++) {
        for (size_t k = 0; k < sizeof script; k++)
            script[k] = (char)rng_below(&dice, 256);
        script_run((struct slice){script, sizeof script}, &one);
        all.asked_n += one.asked_n;
        all.whole_n += one.whole_n;
        all.refused_n += one.refused_n;
        all.broken_n += one.broken_n;
        all.calls_n += one.calls_n;
        all.reloads_n += one.reloads_n;
        all.large_n += one.large_n;
    }
    printf("# %zu asked, %zu whole, %zu refused, %zu broken off, %zu calls, %zu reloads, %zu large\n",
           all.asked_n, all.whole_n, all.refused_n, all.broken_n, all.calls_n, all.reloads_n, all.large_n);
    CHECK(all.asked_n > 10 * (size_t)scripts_n / 2);
    CHECK(all.whole_n > (size_t)scripts_n && all.refused_n > (size_t)scripts_n);
    CHECK(all.broken_n > (size_t)scripts_n / 4 && all.reloads_n > (size_t)scripts_n / 4);
    CHECK(all.calls_n > all.whole_n && all.large_n > (size_t)scripts_n / 8);
}
