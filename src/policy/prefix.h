/* SPDX-License-Identifier: MIT */
/* What each target of a model probably still holds of a prompt: an index of prompt beginnings that were sent
 * there. Pure: the time is an argument.
 *
 * Why: an engine computes only what it has not computed before, and most long prompts are the last turn's
 * prompt and a little more. The estimate goes into the cost (policy/choose.h), where it can be outweighed; it
 * is never a reason to keep or to lose a target.
 *
 * A prompt is cut into cells of PREFIX_CELL_BYTES, and their hashes are chained from the first one, so that a
 * mark stands for everything before it. Marks lie at every cell of the first 2 KiB, then eight for each
 * doubling: a prompt of any length has at most PREFIX_MARKS_MAX, and a shared beginning is told to within an
 * eighth of its length.
 *
 *     prompt   |cell|cell|cell|cell| ... |cell cell|cell cell| ... |cell cell cell cell| ...
 *     marks         1    2    3    4 ...          18        20 ...                    36
 *
 * One table serves all targets: an entry is a mark and a bit for each target that has seen it. So looking
 * costs the marks of the prompt, however many targets there are.
 *
 * What bounds it: the table never grows. Each target holds at most its own bytes: past them a clock hand
 * takes back marks that nobody has sent there since it last came by. A mark unused for ttl is not believed.
 * Hashes depend on a secret seed, so nobody can aim at one bucket; a prompt costs its own marks at most. */
#ifndef POLICY_PREFIX_H
#define POLICY_PREFIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define PREFIX_TARGETS_MAX 64
#define PREFIX_CELL_BYTES 128
#define PREFIX_MARKS_MAX 88
#define PREFIX_BYTES_MAX (INT64_C(1) << 20) /* of a prompt; what follows is taken as new */

/* The marks of one prompt, and the state while its text is fed. */
struct prefix_prompt {
    uint64_t marks[PREFIX_MARKS_MAX];
    size_t marks_n;
    uint64_t chain; /* of all whole cells so far */
    int64_t cells_n;
    int64_t bytes; /* of the text, however long */
    size_t filled; /* of `cell` */
    char cell[PREFIX_CELL_BYTES];
};

/* seed: secret, the index's own. scope: whatever the cache of a provider is kept apart by (its name of the
 * model, a user); prompts of two scopes share nothing. */
void prefix_begin(struct prefix_prompt *p, uint64_t seed, struct slice scope);
/* The text in pieces; how it is cut makes no difference. */
void prefix_feed(struct prefix_prompt *p, struct slice text);
/* Where mark i (0 is the first) stands. */
int64_t prefix_mark_bytes(size_t i);

struct prefix_opts {
    size_t entries;       /* of the table; rounded up to a power of two, at least 64; 25 bytes each */
    int64_t target_bytes; /* of prompt text that one target keeps */
    int64_t ttl_us;       /* at least a second */
};

struct prefix;

struct prefix *prefix_new(const struct prefix_opts *opts);
void prefix_free(struct prefix **x);

/* For each target the leading bytes of the prompt that it has seen: bytes[i] for i < n, 0 for a new prompt.
 */
void prefix_match(const struct prefix *x, const struct prefix_prompt *p, int64_t now_us, int64_t *bytes,
                  size_t n);
/* The prompt was sent to a target. */
void prefix_note(struct prefix *x, size_t target, const struct prefix_prompt *p, int64_t now_us);
/* The target holds nothing any more (it was started again). Walks the whole table. */
void prefix_forget(struct prefix *x, size_t target);
/* Prompt text that a target is believed to hold. */
int64_t prefix_held_bytes(const struct prefix *x, size_t target);
/* Asserts that what each target holds is what the entries say. For tests. */
void prefix_check(const struct prefix *x);

/* Matched bytes as tokens of a prompt of so many: at least one token of it is always new, because an engine
 * computes at least the last one. */
int64_t prefix_tokens(int64_t matched_bytes, int64_t prompt_bytes, int64_t prompt_tokens);

#endif
