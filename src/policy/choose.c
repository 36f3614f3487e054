/* SPDX-License-Identifier: MIT */
/* Choosing a target: costs, what calls teach about them, and the choice itself.
 *
 * The time per token is a ratio of two sums, so that long prompts, whose time is mostly prefill, weigh most.
 * A first token is set against all tokens that stood before it and not only its own; otherwise a queue would
 * count twice, once as tokens and once as slowness. A time that nobody has seen again for a while moves back
 * to the best that any candidate has, and a target that is new has that too: it is tried, and what it queues
 * up keeps more than a try from it until its first tokens come.
 *
 * One full scan: the state is exact (every choice is charged under the same lock before the next one is
 * made), so nobody runs after old numbers, and two random choices would only be further from the least. */
#include "policy/choose.h"

#include <math.h>

#include "base/assert.h"
#include "base/clock.h"

#define TOKENS_MAX INT64_C(1000000000) /* of one prompt; more is nonsense */
#define TIME_MAX_US (3600 * CLOCK_SECOND_US)
#define TOKEN_NS_MIN 100.0
#define TOKEN_NS_MAX 1e9
#define HALVES_MAX 16 /* what was halved more often is gone */

static const double parts[HALVES_MAX] = {
    1.0,       1.0 / 2,   1.0 / 4,    1.0 / 8,    1.0 / 16,   1.0 / 32,   1.0 / 64,    1.0 / 128,
    1.0 / 256, 1.0 / 512, 1.0 / 1024, 1.0 / 2048, 1.0 / 4096, 1.0 / 8192, 1.0 / 16384, 1.0 / 32768,
};

static int64_t clamp(int64_t v, int64_t max)
{
    return v < 0 ? 0 : v > max ? max : v;
}

/* 2^-(age/half), straight between the halves: exp2 and divisions would be most of what a choice costs. */
static inline double halved(int64_t age_us, double per_half)
{
    double halves = (double)age_us * per_half;
    uint32_t whole;

    if (age_us <= 0)
        return 1;
    if (halves >= HALVES_MAX)
        return 0;
    whole = (uint32_t)halves;
    return (1 - (halves - (double)whole) / 2) * parts[whole];
}

void choose_charge(struct choose_target *t, struct choose_charge *c, int64_t new_tokens, int64_t now_us)
{
    ASSERT(!c->open);
    *c = (struct choose_charge){
        .open = true,
        .tokens = clamp(new_tokens, TOKENS_MAX) + CHOOSE_REQUEST_TOKENS,
        .before = t->queued,
        .at_us = now_us,
    };
    t->queued += c->tokens;
    t->calls_n++;
}

void choose_end(struct choose_target *t, struct choose_charge *c)
{
    if (!c->open)
        return;
    ASSERT(t->calls_n > 0 && t->queued >= c->tokens);
    t->calls_n--;
    t->queued -= c->tokens;
    c->open = false;
}

void choose_first_token(struct choose_target *t, struct choose_charge *c, int64_t now_us)
{
    const double keep = 1 - 1.0 / CHOOSE_MEMORY;
    double ns;

    if (!c->open)
        return;
    choose_end(t, c);
    t->time_us = t->time_us * keep + (double)clamp(now_us - c->at_us, TIME_MAX_US);
    t->tokens = t->tokens * keep + (double)(c->before + c->tokens);
    ns = t->time_us * 1000 / t->tokens; /* not by 0: a charge is at least CHOOSE_REQUEST_TOKENS */
    t->token_ns = ns < TOKEN_NS_MIN ? TOKEN_NS_MIN : ns > TOKEN_NS_MAX ? TOKEN_NS_MAX : ns;
    t->learned_us = now_us;
}

int64_t choose_penalty_us(const struct choose_target *t, int64_t now_us)
{
    if (t->penalty_us == 0)
        return 0;
    return (int64_t)((double)t->penalty_us * halved(now_us - t->penalty_at_us, 1.0 / CHOOSE_PENALTY_HALF_US));
}

/* Faults add up: who fails again and again is left alone longer each time. */
void choose_fault(struct choose_target *t, int64_t retry_after_us, int64_t now_us)
{
    int64_t more_us = retry_after_us > 0 ? clamp(retry_after_us, CHOOSE_PENALTY_MAX_US) : CHOOSE_FAULT_US;

    t->penalty_us = clamp(choose_penalty_us(t, now_us) + more_us, CHOOSE_PENALTY_MAX_US);
    t->penalty_at_us = now_us;
}

static inline const struct choose_target *target_at(const struct choose_set *set, size_t i)
{
    return &set->targets[set->at != NULL ? set->at[i] : i];
}

static double best_token_ns(const struct choose_set *set, uint64_t usable)
{
    double best = 0;

    for (uint64_t left = usable; left != 0; left &= left - 1) {
        double ns = target_at(set, (size_t)__builtin_ctzll(left))->token_ns;
        if (ns > 0 && (best == 0 || ns < best))
            best = ns;
    }
    return best > 0 ? best : (double)CHOOSE_TOKEN_NS;
}

static inline double token_ns(const struct choose_target *t, double best, int64_t now_us)
{
    if (t->token_ns == 0)
        return best;
    return best + (t->token_ns - best) * halved(now_us - t->learned_us, 1.0 / CHOOSE_FORGET_US);
}

static inline int64_t cached_tokens(const struct choose_ask *ask, int64_t prompt, size_t i)
{
    return ask->cached ? clamp(ask->cached[i], prompt) : 0;
}

static inline int64_t cost_us(const struct choose_target *t, const struct choose_ask *ask, size_t i,
                              double best_ns)
{
    int64_t prompt = clamp(ask->prompt_tokens, TOKENS_MAX);
    int64_t tokens = t->queued + prompt - cached_tokens(ask, prompt, i) + CHOOSE_REQUEST_TOKENS;

    return (int64_t)((double)tokens * token_ns(t, best_ns, ask->now_us) * 0.001) +
           choose_penalty_us(t, ask->now_us) + t->distance_us;
}

static struct choose_candidate look_at(const struct choose_set *set, const struct choose_ask *ask, size_t i,
                                       double best_ns)
{
    const struct choose_target *t = target_at(set, i);
    int64_t prompt = clamp(ask->prompt_tokens, TOKENS_MAX);

    return (struct choose_candidate){
        .usable = ask->usable >> i & 1,
        .queued = t->queued,
        .cached = cached_tokens(ask, prompt, i),
        .new_tokens = prompt - cached_tokens(ask, prompt, i),
        .token_ns = (int64_t)token_ns(t, best_ns, ask->now_us),
        .penalty_us = choose_penalty_us(t, ask->now_us),
        .distance_us = t->distance_us,
        .cost_us = cost_us(t, ask, i, best_ns),
        .price = t->price,
        .weight = set->peers ? set->peers[i].weight : 0,
    };
}

/* Who of those within reach of the least is taken: the cheapest, or one of the cheapest. */
static int break_tie(const struct choose_set *set, uint64_t tied, struct rng *dice, enum choose_how *how)
{
    uint64_t cheapest = 0;
    int64_t price = 0;
    uint64_t skip;

    if ((tied & (tied - 1)) == 0) {
        *how = CHOOSE_LEAST;
        return __builtin_ctzll(tied);
    }
    for (uint64_t left = tied; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);
        int64_t its = target_at(set, (size_t)i)->price;
        if (cheapest == 0 || its < price) {
            price = its;
            cheapest = 0;
        }
        if (its == price)
            cheapest |= UINT64_C(1) << i;
    }
    *how = (cheapest & (cheapest - 1)) == 0 ? CHOOSE_PRICE : CHOOSE_DICE;
    skip = *how == CHOOSE_DICE ? rng_below(dice, (uint64_t)__builtin_popcountll(cheapest)) : 0;
    while (skip-- > 0)
        cheapest &= cheapest - 1;
    return __builtin_ctzll(cheapest);
}

static int64_t reach_of(int64_t least_us)
{
    int64_t part_us = least_us / CHOOSE_TIE;

    return least_us + (part_us > CHOOSE_TIE_US ? part_us : CHOOSE_TIE_US);
}

/* Fills the costs of all that are usable, except of those that cannot come within reach of the least: nobody
 * is faster than best_ns, so what stands before a target bounds its cost from below. Returns the least. */
static int64_t cost_all(const struct choose_set *set, const struct choose_ask *ask, uint64_t usable,
                        double best_ns, int64_t *costs_us)
{
    int64_t prompt = clamp(ask->prompt_tokens, TOKENS_MAX), least_us = INT64_MAX;
    double enough = HUGE_VAL;

    for (uint64_t left = usable; left != 0; left &= left - 1) {
        size_t i = (size_t)__builtin_ctzll(left);
        const struct choose_target *t = target_at(set, i);
        int64_t tokens = t->queued + prompt - cached_tokens(ask, prompt, i);

        costs_us[i] = INT64_MAX;
        if ((double)tokens > enough)
            continue;
        costs_us[i] = cost_us(t, ask, i, best_ns);
        if (costs_us[i] < least_us) {
            least_us = costs_us[i];
            enough = (double)reach_of(least_us) * 1000 / best_ns;
        }
    }
    return least_us;
}

static int least_cost(const struct choose_set *set, const struct choose_ask *ask, uint64_t usable,
                      struct rng *dice, struct choose_why *why)
{
    int64_t costs_us[CHOOSE_MAX], reach_us;
    uint64_t tied = 0;
    enum choose_how how;
    int got;

    reach_us = reach_of(cost_all(set, ask, usable, best_token_ns(set, usable), costs_us));
    for (uint64_t left = usable; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);
        tied |= (uint64_t)(costs_us[i] <= reach_us) << i;
    }
    got = break_tie(set, tied, dice, &how);
    if (why) {
        why->how = how;
        for (size_t i = 0; i < set->n && !why->brief; i++)
            why->candidates[i].tied = tied >> i & 1;
    }
    return got;
}

static void tell_numbers(const struct choose_set *set, const struct choose_ask *ask, uint64_t usable,
                         struct choose_why *why)
{
    double best_ns = best_token_ns(set, usable);

    why->n = set->n;
    for (size_t i = 0; i < set->n; i++)
        why->candidates[i] = look_at(set, ask, i, best_ns);
}

struct choose_candidate choose_look(const struct choose_set *set, const struct choose_ask *ask, size_t i)
{
    uint64_t all = set->n >= CHOOSE_MAX ? UINT64_MAX : (UINT64_C(1) << set->n) - 1;

    return look_at(set, ask, i, best_token_ns(set, ask->usable & all));
}

int choose_pick(const struct choose_set *set, const struct choose_ask *ask, struct rng *dice,
                struct choose_why *why)
{
    uint64_t all = set->n >= CHOOSE_MAX ? UINT64_MAX : (UINT64_C(1) << set->n) - 1;
    uint64_t usable = ask->usable & all;
    int got = -1;

    ASSERT(set->n <= CHOOSE_MAX);
    if (why)
        why->how = CHOOSE_NONE;
    if (why && !why->brief)
        tell_numbers(set, ask, usable, why);
    if (set->peers) {
        got = balance_pick(set->peers, set->n, usable);
        if (why && got >= 0)
            why->how = CHOOSE_WEIGHT;
    } else if (usable != 0 && (usable & (usable - 1)) == 0) {
        got = __builtin_ctzll(usable);
        if (why)
            why->how = CHOOSE_ONLY;
    } else if (usable != 0) {
        got = least_cost(set, ask, usable, dice, why);
    }
    if (why)
        why->target = got;
    return got;
}

const char *choose_how_name(enum choose_how how)
{
    static const char *const NAMES[] = {
        [CHOOSE_NONE] = "none usable", [CHOOSE_ONLY] = "the only one", [CHOOSE_WEIGHT] = "by weight",
        [CHOOSE_LEAST] = "least cost", [CHOOSE_PRICE] = "lower price", [CHOOSE_DICE] = "equal costs",
    };

    ASSERT((unsigned)how < COUNT_OF(NAMES));
    return NAMES[how];
}
