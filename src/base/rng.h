/* SPDX-License-Identifier: MIT */
/* Dice: a small seeded generator (xoshiro256**, Blackman and Vigna 2018), so that a seed repeats a run
 * exactly. Not for secrets: rng_secret_bytes is. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed); /* splitmix64 fills the state */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n), n > 0 */
double rng_unit(struct rng *r);                /* uniform in [0, 1) */
double rng_exp(struct rng *r, double mean);
double rng_normal(struct rng *r);           /* mean 0, deviation 1 */
void rng_secret_bytes(void *out, size_t n); /* from the kernel */

#endif
