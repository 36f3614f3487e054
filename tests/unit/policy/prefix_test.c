/* SPDX-License-Identifier: MIT */
/* policy/prefix: what is matched, what is forgotten and when, against a model that keeps all that was sent.
 */
#include "policy/prefix.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define SEED 42
#define TTL_US (60 * CLOCK_SECOND_US)
#define PLENTY (INT64_C(1) << 40)

static struct prefix *index_of(size_t entries, int64_t target_bytes)
{
    struct prefix_opts opts = {entries, target_bytes, TTL_US};
    return prefix_new(&opts);
}

static void hash(struct prefix_prompt *p, const char *text, size_t n)
{
    prefix_begin(p, SEED, SLICE("m"));
    prefix_feed(p, (struct slice){text, n});
}

static void fill(char *text, size_t n, uint64_t seed)
{
    struct rng words;

    rng_seed(&words, seed);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + rng_below(&words, 26));
}

/* The greatest mark that is not past n bytes. */
static int64_t mark_up_to(int64_t n)
{
    int64_t at = 0;

    for (size_t i = 0; i < PREFIX_MARKS_MAX && prefix_mark_bytes(i) <= n; i++)
        at = prefix_mark_bytes(i);
    return at;
}

static int64_t match_one(const struct prefix *x, const struct prefix_prompt *p, size_t target, int64_t now_us)
{
    int64_t bytes[PREFIX_TARGETS_MAX];

    prefix_match(x, p, now_us, bytes, PREFIX_TARGETS_MAX);
    return bytes[target];
}

TEST(marks_are_dense_at_first_and_eight_for_each_doubling)
{
    for (size_t i = 0; i < 16; i++)
        CHECK_INT(prefix_mark_bytes(i), (int64_t)(i + 1) * 128);
    for (size_t i = 16; i < PREFIX_MARKS_MAX; i++) {
        int64_t before = prefix_mark_bytes(i - 1), gap = prefix_mark_bytes(i) - before;
        CHECK(gap > 0 && gap <= before / 8 && gap % PREFIX_CELL_BYTES == 0);
    }
    CHECK_INT(prefix_mark_bytes(PREFIX_MARKS_MAX - 1), PREFIX_BYTES_MAX);
}

TEST(the_cut_of_the_text_makes_no_difference)
{
    char text[5000];
    struct prefix_prompt whole, parts;
    struct rng dice;

    fill(text, sizeof text, 1);
    hash(&whole, text, sizeof text);
    CHECK(whole.marks_n > 20);
    rng_seed(&dice, 3);
    for (int round = 0; round < 200; round++) {
        prefix_begin(&parts, SEED, SLICE("m"));
        for (size_t at = 0; at < sizeof text;) {
            size_t n = rng_below(&dice, round % 2 ? 20 : 700), left = sizeof text - at;
            n = n < left ? n : left;
            prefix_feed(&parts, (struct slice){text + at, n});
            at += n;
        }
        CHECK_INT(parts.bytes, sizeof text);
        CHECK_MEM(parts.marks, parts.marks_n * 8, whole.marks, whole.marks_n * 8);
    }
}

TEST(nothing_is_read_behind_the_text)
{
    struct prefix_prompt p;

    for (size_t n = 0; n < 300; n++) {
        char text[300], *guarded;
        fill(text, n, n);
        guarded = tap_guard(text, n);
        hash(&p, guarded, n);
        CHECK_INT(p.marks_n, n / PREFIX_CELL_BYTES);
        tap_guard_free(guarded, n);
    }
}

TEST(a_mark_stands_for_all_before_it)
{
    char text[4096];
    struct prefix_prompt a, b;

    fill(text, sizeof text, 5);
    hash(&a, text, sizeof text);
    text[0] ^= 1;
    hash(&b, text, sizeof text);
    for (size_t i = 0; i < a.marks_n; i++)
        CHECK(a.marks[i] != b.marks[i]);
}

TEST(seeds_and_scopes_share_nothing)
{
    char text[1024];
    struct prefix_prompt a, seed, scope;

    fill(text, sizeof text, 6);
    hash(&a, text, sizeof text);
    prefix_begin(&seed, SEED + 1, SLICE("m"));
    prefix_feed(&seed, (struct slice){text, sizeof text});
    prefix_begin(&scope, SEED, SLICE("n"));
    prefix_feed(&scope, (struct slice){text, sizeof text});
    for (size_t i = 0; i < a.marks_n; i++)
        CHECK(a.marks[i] != seed.marks[i] && a.marks[i] != scope.marks[i]);
}

TEST(a_huge_prompt_costs_no_more_marks)
{
    size_t n = 3 * PREFIX_BYTES_MAX;
    char *text = mem_zalloc(n);
    struct prefix_prompt p;
    struct prefix *x = index_of(1024, PLENTY);

    hash(&p, text, n);
    CHECK_INT(p.marks_n, PREFIX_MARKS_MAX);
    CHECK_INT(p.bytes, (int64_t)n);
    prefix_note(x, 63, &p, 0);
    CHECK_INT(match_one(x, &p, 63, 0), PREFIX_BYTES_MAX);
    CHECK_INT(prefix_held_bytes(x, 63), PREFIX_BYTES_MAX);
    prefix_free(&x);
    mem_free(text);
}

/* The turns of a chat: each is the last one and a little more. */
TEST(the_next_turn_finds_the_last_one)
{
    static char text[1 << 17];
    struct prefix *x = index_of(4096, PLENTY);
    struct prefix_prompt p;

    fill(text, sizeof text, 7);
    for (size_t n = 100; n < sizeof text; n += n / 3) {
        hash(&p, text, n);
        if (n > 100)
            CHECK_INT(match_one(x, &p, 2, 0), prefix_held_bytes(x, 2));
        CHECK_INT(match_one(x, &p, 3, 0), 0);
        prefix_note(x, 2, &p, 0);
        CHECK_INT(match_one(x, &p, 2, 0), mark_up_to((int64_t)n));
        CHECK_INT(prefix_held_bytes(x, 2), mark_up_to((int64_t)n)); /* shared text is held once */
    }
    prefix_check(x);
    prefix_free(&x);
}

TEST(what_is_old_is_not_believed)
{
    char text[1024];
    struct prefix *x = index_of(64, PLENTY);
    struct prefix_prompt p;

    fill(text, sizeof text, 8);
    hash(&p, text, sizeof text);
    prefix_note(x, 0, &p, 0);
    CHECK_INT(match_one(x, &p, 0, TTL_US), 1024);
    CHECK_INT(match_one(x, &p, 0, TTL_US + CLOCK_SECOND_US), 0);
    prefix_note(x, 1, &p,
                TTL_US + CLOCK_SECOND_US); /* sent elsewhere: that makes nothing young at target 0 */
    CHECK_INT(match_one(x, &p, 1, TTL_US + CLOCK_SECOND_US), 1024);
    CHECK_INT(match_one(x, &p, 0, TTL_US + CLOCK_SECOND_US), 0);
    CHECK_INT(prefix_held_bytes(x, 0), 0);
    prefix_check(x);
    prefix_free(&x);
}

TEST(a_target_that_starts_again_holds_nothing)
{
    char text[1024];
    struct prefix *x = index_of(64, PLENTY);
    struct prefix_prompt p;

    fill(text, sizeof text, 9);
    hash(&p, text, sizeof text);
    prefix_note(x, 0, &p, 0);
    prefix_note(x, 1, &p, 0);
    prefix_forget(x, 0);
    CHECK_INT(match_one(x, &p, 0, 0), 0);
    CHECK_INT(match_one(x, &p, 1, 0), 1024);
    prefix_check(x);
    prefix_free(&x);
}

/* One target is sent ever new prompts, the other only a few. The hand may be some prompts behind, because a
 * prompt moves it only so far. */
TEST(a_flood_at_one_target_costs_only_that_target)
{
    static char text[4096];
    struct prefix *x = index_of(1 << 14, 1 << 20);
    struct prefix_prompt kept, p;

    fill(text, sizeof text, 10);
    hash(&kept, text, sizeof text);
    prefix_note(x, 5, &kept, 0);
    prefix_note(x, 6, &kept, 0);
    for (uint64_t i = 0; i < 3000; i++) {
        fill(text, sizeof text, 100 + i);
        hash(&p, text, sizeof text);
        prefix_note(x, 6, &p, (int64_t)i * 10000);
        if (!CHECK(prefix_held_bytes(x, 6) <= (1 << 20) + (1 << 17)))
            break;
    }
    CHECK(prefix_held_bytes(x, 6) > 1 << 19);
    CHECK_INT(match_one(x, &kept, 5, TTL_US / 2), 4096);
    CHECK_INT(match_one(x, &kept, 6, TTL_US / 2), 0);
    prefix_check(x);
    prefix_free(&x);
}

#define KEPT 200

/* In 256 prompts the target is full; some short ones come again every 50, and others never. */
TEST(what_is_used_again_stays)
{
    static char text[4096];
    static struct prefix_prompt kept[KEPT];
    struct prefix *x = index_of(1 << 14, 1 << 20);
    struct prefix_prompt once, p;
    int found_n = 0;

    fill(text, sizeof text, 12);
    hash(&once, text, sizeof text);
    prefix_note(x, 6, &once, 0);
    for (int k = 0; k < KEPT; k++) {
        fill(text, 200, 1 + (uint64_t)k * 7919);
        hash(&kept[k], text, 200);
        prefix_note(x, 6, &kept[k], 0);
    }
    for (uint64_t i = 1; i <= 5000; i++) {
        int64_t now_us = (int64_t)i * 10000;
        fill(text, sizeof text, 1000000 + i);
        hash(&p, text, sizeof text);
        prefix_note(x, 6, &p, now_us);
        for (int k = 0; k < KEPT && i % 50 == 0; k++) {
            found_n += match_one(x, &kept[k], 6, now_us) == 128;
            prefix_note(x, 6, &kept[k], now_us);
        }
    }
    CHECK(found_n >= KEPT * 100 * 95 / 100);
    CHECK_INT(match_one(x, &once, 6, TTL_US - CLOCK_SECOND_US), 0);
    prefix_free(&x);
}

/* A prompt of marks made up: `low` names the bucket, `high` the mark in it. */
static struct prefix_prompt made(uint64_t high, uint64_t low)
{
    return (struct prefix_prompt){.marks = {high << 32 | low}, .marks_n = 1, .bytes = 128};
}

TEST(two_marks_that_look_alike_are_counted_apart)
{
    struct prefix *x = index_of(64, PLENTY);
    struct prefix_prompt a = made(7, 1), b = {.marks_n = 20};

    for (uint64_t i = 0; i < 20; i++)
        b.marks[i] = (100 + i) << 32 | 2;
    b.marks[19] = a.marks[0]; /* whose text is 256 bytes, not 128 */
    prefix_note(x, 0, &a, 0);
    prefix_note(x, 1, &b, 0);
    prefix_check(x);
    CHECK_INT(match_one(x, &a, 1, 0), 0);
    prefix_free(&x);
}

/* A full bucket: what a hand has cooled goes before what is older and warm. */
TEST(cold_marks_make_room_first)
{
    struct prefix *x = index_of(64, 8 * 128); /* 8 buckets of 8 */
    struct prefix_prompt old = made(1, 7), cold = made(2, 7), p;

    prefix_note(x, 1, &old, 0);
    prefix_note(x, 0, &cold, 10 * CLOCK_SECOND_US);
    for (uint64_t i = 0; i < 8; i++) { /* the last is one too many: the hand goes round, then takes these */
        p = made(10 + i, 0);
        prefix_note(x, 0, &p, 10 * CLOCK_SECOND_US);
    }
    CHECK_INT(prefix_held_bytes(x, 0), 128);
    for (uint64_t i = 0; i < 7; i++) {
        p = made(20 + i, 7);
        prefix_note(x, 1, &p, 20 * CLOCK_SECOND_US);
    }
    CHECK_INT(match_one(x, &old, 1, 20 * CLOCK_SECOND_US), 128);
    CHECK_INT(match_one(x, &cold, 0, 20 * CLOCK_SECOND_US), 0);
    prefix_check(x);
    prefix_free(&x);
}

/* Too small a table: it forgets the oldest, and neither grows nor loses count. */
TEST(a_full_table_makes_room)
{
    static char text[8192];
    struct prefix *x = index_of(64, PLENTY);
    struct prefix_prompt p;
    uint64_t before = mem_alloc_n();

    for (uint64_t i = 0; i < 2000; i++) {
        fill(text, sizeof text, i);
        hash(&p, text, sizeof text);
        prefix_note(x, i % 64, &p, (int64_t)i * CLOCK_SECOND_US / 100);
        CHECK_INT(match_one(x, &p, i % 64, (int64_t)i * CLOCK_SECOND_US / 100), 8192);
    }
    CHECK_INT(mem_alloc_n(), before);
    prefix_check(x);
    prefix_free(&x);
}

/* -- against a model ------------------------------------------------------------------------------------- */

#define TEXTS 24
#define TEXT_BYTES 3000
#define MODEL_TARGETS 5

/* The longest beginning in common with anything that was sent there; a table with room forgets nothing. */
TEST(matches_are_those_of_a_model_that_keeps_everything)
{
    static char texts[TEXTS][TEXT_BYTES];
    static int64_t longest[MODEL_TARGETS][TEXTS]; /* of each text, sent to each target */
    struct prefix *x = index_of(1 << 14, PLENTY);
    struct rng dice;

    rng_seed(&dice, 12);
    for (int i = 0; i < TEXTS; i++) { /* a tree: each text shares a beginning with an earlier one */
        fill(texts[i], TEXT_BYTES, 1000 + (uint64_t)i);
        if (i > 0)
            memcpy(texts[i], texts[rng_below(&dice, (uint64_t)i)], rng_below(&dice, TEXT_BYTES));
    }
    for (int round = 0; round < 20000; round++) {
        int text = (int)rng_below(&dice, TEXTS), target = (int)rng_below(&dice, MODEL_TARGETS);
        int64_t n = (int64_t)rng_below(&dice, TEXT_BYTES), bytes[MODEL_TARGETS];
        struct prefix_prompt p;

        hash(&p, texts[text], (size_t)n);
        prefix_match(x, &p, 0, bytes, MODEL_TARGETS);
        for (int k = 0; k < MODEL_TARGETS; k++) {
            int64_t common = 0;
            for (int other = 0; other < TEXTS; other++) {
                int64_t both = 0, most = longest[k][other] < n ? longest[k][other] : n;
                while (both < most && texts[text][both] == texts[other][both])
                    both++;
                common = both > common ? both : common;
            }
            if (!CHECK_INT(bytes[k], mark_up_to(common)))
                goto out;
        }
        if (rng_below(&dice, 8) == 0) {
            prefix_note(x, (size_t)target, &p, 0);
            longest[target][text] = n > longest[target][text] ? n : longest[target][text];
        }
        if (rng_below(&dice, 200) == 0) {
            prefix_forget(x, (size_t)target);
            memset(longest[target], 0, sizeof longest[target]);
        }
    }
    prefix_check(x);
out:
    prefix_free(&x);
}

/* Anything at all: the counts stay those of the entries, and no match is longer than its prompt. */
TEST(counts_hold_under_churn)
{
    static char text[20000];
    struct prefix *x = index_of(512, 60000);
    struct rng dice;
    int64_t now_us = 0;

    rng_seed(&dice, 13);
    for (int round = 0; round < 20000; round++) {
        struct prefix_prompt p;
        int64_t bytes[PREFIX_TARGETS_MAX];
        size_t target = rng_below(&dice, PREFIX_TARGETS_MAX), n = rng_below(&dice, sizeof text);

        if (rng_below(&dice, 4) == 0)
            fill(text + rng_below(&dice, sizeof text - 100), 100, (uint64_t)round);
        hash(&p, text, n);
        now_us += (int64_t)rng_below(&dice, CLOCK_SECOND_US);
        prefix_match(x, &p, now_us, bytes, PREFIX_TARGETS_MAX);
        for (size_t k = 0; k < PREFIX_TARGETS_MAX; k++) {
            if (!CHECK(bytes[k] >= 0 && bytes[k] <= (int64_t)n && bytes[k] == mark_up_to(bytes[k])))
                break;
        }
        prefix_note(x, target, &p, now_us);
        if (round % 100 == 0) {
            prefix_forget(x, rng_below(&dice, PREFIX_TARGETS_MAX));
            prefix_check(x);
        }
    }
    prefix_free(&x);
}

TEST(bytes_become_tokens_and_one_is_always_new)
{
    CHECK_INT(prefix_tokens(0, 1000, 250), 0);
    CHECK_INT(prefix_tokens(512, 1024, 250), 125);
    CHECK_INT(prefix_tokens(1024, 1024, 250), 249);
    CHECK_INT(prefix_tokens(INT64_MAX, 1, 250), 249);
    CHECK_INT(prefix_tokens(512, 0, 250), 0);
    CHECK_INT(prefix_tokens(512, 1024, 1), 0);
    CHECK_INT(prefix_tokens(512, 1024, -5), 0);
}
