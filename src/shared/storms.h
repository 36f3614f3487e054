/* SPDX-License-Identifier: MIT */
/* Storms of refused requests (policy/storm.h) over all workers and tenants.
 *
 * Shared and not one table a worker: a client's connections are spread over the workers, each of which would
 * let as many refusals through before it noticed.
 *
 * Cost: while nobody's requests are refused, one relaxed load (storms_are_calm). Else a tenant's shard is
 * asked, mostly for a count without its lock, before anything of the body is hashed.
 *
 * Locking: a mutex per shard, inside which only policy runs. Bounded: STORMS_TENANTS_MAX tables; in a full
 * shard the tenant of whom nothing was heard for longest makes room. Thread: any, for all but new and free.
 */
#ifndef SHARED_STORMS_H
#define SHARED_STORMS_H

#include "policy/storm.h"

#define STORMS_SHARDS_N 16
#define STORMS_TENANTS_N 16 /* per shard */
#define STORMS_TENANTS_MAX (STORMS_SHARDS_N * STORMS_TENANTS_N)

struct storms;

/* refusals_max: of storm_init; 0: nothing is ever damped. */
struct storms *storms_new(int refusals_max);
void storms_free(struct storms **s);
/* For hashes, so that nobody outside can make two requests look the same. */
uint64_t storms_seed(const struct storms *s);
/* Refusals that are sent on before a request is damped; 0: all are. */
int storms_refusals_max(const struct storms *s);

/* Whether nothing of anybody is remembered. */
bool storms_are_calm(const struct storms *s);
/* Whether something of this tenant (a hash of who it is) is: then its requests have to be hashed. */
bool storms_watch(struct storms *s, uint64_t tenant, int64_t now_us);
/* As policy/storm. The answer's texts are copied into `words`. */
bool storms_let(struct storms *s, uint64_t tenant, struct storm_key key, int64_t now_us,
                char words[STORM_WORDS_MAX], struct storm_answer *out);
void storms_refused(struct storms *s, uint64_t tenant, struct storm_key key, const struct storm_refusal *r,
                    int64_t now_us);
void storms_answered(struct storms *s, uint64_t tenant, struct storm_key key);

#endif
