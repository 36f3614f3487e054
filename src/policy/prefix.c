/* SPDX-License-Identifier: MIT */
/* The index of prompt beginnings.
 *
 * Buckets of eight entries. A mark's low bits name its bucket, its high half tells it from the others there
 * (a wrong answer once in 500 million looks, and then only an estimate is wrong). An entry lives while some
 * target holds it.
 *
 * Eviction is CLOCK, per target over the common table: `held` says who has the mark, `warm` who was sent it
 * since that target's hand came by. Its hand sees each target's bits only, so one target's traffic takes
 * nothing from another; only a bucket that is full of living entries does, and a table of twice the entries
 * that all targets hold together has hardly any of these. LRU by list would need two links per target and
 * entry.
 *
 * Invariant (prefix_check): held_bytes[t] = sum over entries with bit t of the text between their mark and
 * the one before it; warm is a subset of held. */
#include "policy/prefix.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/mem.h"

#define WAYS 8
#define DENSE_CELLS 16 /* one mark for each cell up to here */
#define PER_DOUBLING 8 /* then so many until twice as far, and so on */
#define HAND_STEPS 16  /* buckets that a hand passes for each mark that was noted, at most */
#define BUCKETS_MIN (64 / WAYS)

struct bucket {
    uint32_t tag[WAYS];
    uint32_t used_s[WAYS]; /* when it was last noted, for any target */
    uint64_t held[WAYS];   /* bit per target; 0: the way is free */
    uint64_t warm[WAYS];
    uint8_t mark[WAYS]; /* which one, for its bytes */
};

struct prefix {
    struct bucket *buckets;
    size_t buckets_n; /* a power of two */
    int64_t target_bytes;
    uint32_t ttl_s;
    int64_t held_bytes[PREFIX_TARGETS_MAX];
    size_t hand[PREFIX_TARGETS_MAX]; /* bucket */
};

int64_t prefix_mark_bytes(size_t i)
{
    int64_t cells = (int64_t)i + 1;

    if (cells > DENSE_CELLS) {
        size_t past = i - DENSE_CELLS, doubling = past / PER_DOUBLING;
        int64_t step = INT64_C(2) << doubling;
        cells = (DENSE_CELLS << doubling) + (int64_t)(past % PER_DOUBLING + 1) * step;
    }
    return cells * PREFIX_CELL_BYTES;
}

/* The text between a mark and the one before it. */
static int64_t span_bytes(size_t i)
{
    return prefix_mark_bytes(i) - (i == 0 ? 0 : prefix_mark_bytes(i - 1));
}

void prefix_begin(struct prefix_prompt *p, uint64_t seed, struct slice scope)
{
    p->marks_n = 0;
    p->chain = id_hash(scope, seed);
    p->cells_n = 0;
    p->bytes = 0;
    p->filled = 0;
}

static void add_cell(struct prefix_prompt *p, const char *cell)
{
    p->chain = id_hash((struct slice){cell, PREFIX_CELL_BYTES}, p->chain);
    p->cells_n++;
    if (p->marks_n < PREFIX_MARKS_MAX && p->cells_n * PREFIX_CELL_BYTES == prefix_mark_bytes(p->marks_n))
        p->marks[p->marks_n++] = p->chain;
}

void prefix_feed(struct prefix_prompt *p, struct slice text)
{
    p->bytes += (int64_t)text.n;
    while (text.n > 0 && p->marks_n < PREFIX_MARKS_MAX) {
        size_t room = PREFIX_CELL_BYTES - p->filled, n = text.n < room ? text.n : room;

        if (n == PREFIX_CELL_BYTES) {
            add_cell(p, text.p);
        } else {
            memcpy(p->cell + p->filled, text.p, n);
            p->filled += n;
            if (p->filled == PREFIX_CELL_BYTES) {
                add_cell(p, p->cell);
                p->filled = 0;
            }
        }
        text.p += n;
        text.n -= n;
    }
}

struct prefix *prefix_new(const struct prefix_opts *opts)
{
    struct prefix *x = MEM_NEW(struct prefix);

    ASSERT(opts->ttl_us >= CLOCK_SECOND_US && opts->target_bytes >= 0);
    x->buckets_n = BUCKETS_MIN;
    while (x->buckets_n * WAYS < opts->entries)
        x->buckets_n *= 2;
    x->buckets = mem_zalloc(x->buckets_n * sizeof *x->buckets);
    x->target_bytes = opts->target_bytes;
    x->ttl_s =
        opts->ttl_us / CLOCK_SECOND_US > UINT32_MAX ? UINT32_MAX : (uint32_t)(opts->ttl_us / CLOCK_SECOND_US);
    return x;
}

void prefix_free(struct prefix **x)
{
    if (*x == NULL)
        return;
    mem_free((*x)->buckets);
    mem_free(*x);
    *x = NULL;
}

static struct bucket *bucket_of(const struct prefix *x, uint64_t mark)
{
    return &x->buckets[mark & (x->buckets_n - 1)];
}

static uint32_t seconds(int64_t now_us)
{
    return (uint32_t)(now_us / CLOCK_SECOND_US);
}

/* The way of mark number i that is held, or -1. */
static int way_of(const struct bucket *b, uint64_t mark, size_t i)
{
    uint32_t tag = (uint32_t)(mark >> 32);

    for (int w = 0; w < WAYS; w++) {
        if (b->tag[w] == tag && b->mark[w] == i && b->held[w] != 0)
            return w;
    }
    return -1;
}

/* From the last mark to the first, because a mark stands for all before it: what a target has of the prompt
 * is its deepest one, also when the hand has taken some between. */
void prefix_match(const struct prefix *x, const struct prefix_prompt *p, int64_t now_us, int64_t *bytes,
                  size_t n)
{
    uint64_t left = n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
    uint32_t now_s = seconds(now_us);

    ASSERT(n <= PREFIX_TARGETS_MAX);
    memset(bytes, 0, n * sizeof *bytes);
    for (size_t i = 0; i < p->marks_n; i++)
        __builtin_prefetch(bucket_of(x, p->marks[i]));
    for (size_t i = p->marks_n; i-- > 0 && left != 0;) {
        const struct bucket *b = bucket_of(x, p->marks[i]);
        int w = way_of(b, p->marks[i], i);

        if (w < 0 || now_s - b->used_s[w] > x->ttl_s)
            continue;
        for (uint64_t found = b->held[w] & left; found != 0; found &= found - 1)
            bytes[__builtin_ctzll(found)] = prefix_mark_bytes(i);
        left &= ~b->held[w];
    }
}

static void drop_way(struct prefix *x, struct bucket *b, int w)
{
    for (uint64_t held = b->held[w]; held != 0; held &= held - 1)
        x->held_bytes[__builtin_ctzll(held)] -= span_bytes(b->mark[w]);
    b->held[w] = b->warm[w] = 0;
}

/* Whether way a is to go before way b: what nobody has warm, then what is longest unused. */
static bool goes_before(const struct bucket *b, int a, int other)
{
    if ((b->warm[a] == 0) != (b->warm[other] == 0))
        return b->warm[a] == 0;
    return (int32_t)(b->used_s[a] - b->used_s[other]) < 0;
}

/* The way that a new mark gets: a free one, or that of the one whose turn it is to go. */
static int make_way(struct prefix *x, struct bucket *b)
{
    int first = 0;

    for (int w = 0; w < WAYS; w++) {
        if (b->held[w] == 0)
            return w;
        if (goes_before(b, w, first))
            first = w;
    }
    drop_way(x, b, first);
    return first;
}

static void note_mark(struct prefix *x, size_t target, const struct prefix_prompt *p, size_t i,
                      uint32_t now_s)
{
    uint64_t bit = UINT64_C(1) << target;
    struct bucket *b = bucket_of(x, p->marks[i]);
    int w = way_of(b, p->marks[i], i);

    if (w >= 0 && now_s - b->used_s[w] > x->ttl_s)
        drop_way(x, b, w); /* nobody has it any more: who had it must not come back with this one */
    if (w < 0)
        w = make_way(x, b);
    if (!(b->held[w] & bit))
        x->held_bytes[target] += span_bytes(i);
    b->tag[w] = (uint32_t)(p->marks[i] >> 32);
    b->mark[w] = (uint8_t)i;
    b->used_s[w] = now_s;
    b->held[w] |= bit;
    b->warm[w] |= bit;
}

/* One bucket under a target's hand: what is warm cools, what is cold goes. */
static void pass(struct prefix *x, size_t target)
{
    uint64_t bit = UINT64_C(1) << target;
    struct bucket *b = &x->buckets[x->hand[target]];

    x->hand[target] = (x->hand[target] + 1) & (x->buckets_n - 1);
    for (int w = 0; w < WAYS; w++) {
        if (!(b->held[w] & bit))
            continue;
        if (!(b->warm[w] & bit)) {
            b->held[w] &= ~bit;
            x->held_bytes[target] -= span_bytes(b->mark[w]);
        }
        b->warm[w] &= ~bit;
    }
}

void prefix_note(struct prefix *x, size_t target, const struct prefix_prompt *p, int64_t now_us)
{
    size_t steps = HAND_STEPS * p->marks_n;

    ASSERT(target < PREFIX_TARGETS_MAX);
    for (size_t i = 0; i < p->marks_n; i++)
        note_mark(x, target, p, i, seconds(now_us));
    while (x->held_bytes[target] > x->target_bytes && steps-- > 0)
        pass(x, target);
}

void prefix_forget(struct prefix *x, size_t target)
{
    uint64_t bit = UINT64_C(1) << target;

    ASSERT(target < PREFIX_TARGETS_MAX);
    for (size_t i = 0; i < x->buckets_n; i++) {
        for (int w = 0; w < WAYS; w++) {
            x->buckets[i].held[w] &= ~bit;
            x->buckets[i].warm[w] &= ~bit;
        }
    }
    x->held_bytes[target] = 0;
}

int64_t prefix_held_bytes(const struct prefix *x, size_t target)
{
    ASSERT(target < PREFIX_TARGETS_MAX);
    return x->held_bytes[target];
}

void prefix_check(const struct prefix *x)
{
    int64_t held_bytes[PREFIX_TARGETS_MAX] = {0};

    for (size_t i = 0; i < x->buckets_n; i++) {
        const struct bucket *b = &x->buckets[i];
        for (int w = 0; w < WAYS; w++) {
            ASSERT((b->warm[w] & ~b->held[w]) == 0);
            for (uint64_t held = b->held[w]; held != 0; held &= held - 1)
                held_bytes[__builtin_ctzll(held)] += span_bytes(b->mark[w]);
        }
    }
    ASSERT(memcmp(held_bytes, x->held_bytes, sizeof held_bytes) == 0);
}

int64_t prefix_tokens(int64_t matched_bytes, int64_t prompt_bytes, int64_t prompt_tokens)
{
    int64_t tokens;

    if (matched_bytes <= 0 || prompt_bytes <= 0 || prompt_tokens <= 1)
        return 0;
    if (matched_bytes >= prompt_bytes)
        return prompt_tokens - 1;
    tokens = (int64_t)((__int128)prompt_tokens * matched_bytes / prompt_bytes);
    return tokens < prompt_tokens ? tokens : prompt_tokens - 1;
}
