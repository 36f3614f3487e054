/* SPDX-License-Identifier: MIT */
/* The token estimate: which pieces a text is cut into, that escapes change nothing, and that no bytes hurt
 * it. How near it comes to real tokenizers is measured by bench/tokens.py. */
#include "llm/tokens.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/rng.h"
#include "tap.h"

static struct tokens text(const char *s)
{
    struct tokens t = {{0}};

    tokens_text(&t, slice_of(s));
    return t;
}

TEST(words_numbers_signs_and_blanks)
{
    struct tokens t = text("The tide, at 12:30, liftsEveryBoat internationally... HTTP  2026\n\n\tend");

    CHECK_INT(t.n[TOKEN_WORDS], 9); /* the tide at lifts Every Boat internationally HTTP end */
    CHECK_INT(t.n[TOKEN_LONG], 10); /* of internationally, 15 letters */
    CHECK_INT(t.n[TOKEN_CAPS], 3);
    CHECK_INT(t.n[TOKEN_DIGITS], 4); /* 12 30 202 6 */
    CHECK_INT(t.n[TOKEN_SIGNS], 4);
    CHECK_INT(t.n[TOKEN_MORE_SIGNS], 2);
    CHECK_INT(t.n[TOKEN_BLANKS], 1);
    CHECK_INT(t.n[TOKEN_LINES], 1);
}

TEST(other_scripts)
{
    struct tokens t = text("潮水，上涨。 カタカナ 한국어 Привет naïve “x” 🌊 \xff\xe4\xbd");

    CHECK_INT(t.n[TOKEN_HAN], 4);
    CHECK_INT(t.n[TOKEN_WIDE_SIGNS], 4);
    CHECK_INT(t.n[TOKEN_KANA], 4);
    CHECK_INT(t.n[TOKEN_HANGUL], 3);
    CHECK_INT(t.n[TOKEN_LETTERS], 6);
    CHECK_INT(t.n[TOKEN_ACCENTS], 1);
    CHECK_INT(t.n[TOKEN_SYMBOLS], 4); /* the wave, and three bytes that are no character */
}

TEST(an_estimate_is_near_where_the_tokenizers_agree)
{
    static const struct {
        const char *text;
        int64_t least, most;
    } rows[] = {
        {"", 0, 0},
        {"a", 1, 1},
        {"The quick brown fox jumps over the lazy dog.", 9, 11}, /* 10 in all three */
        {"我们今天去公园散步，天气很好。", 8, 15},               /* 10 in o200k, 9 in DeepSeek's */
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tokens t = text(rows[i].text);

        if (!CHECK(tokens_sum(&t) >= rows[i].least && tokens_sum(&t) <= rows[i].most))
            printf("# %s: %lld\n", rows[i].text, (long long)tokens_sum(&t));
    }
}

/* A character as JSON may write it: as it is, by its short escape, or by \u. */
static void add_json(struct buf *out, struct slice c, uint32_t code, bool long_form)
{
    if (long_form)
        (void)!buf_printf(out, "\\u%04X", code);
    else if (code == '\n')
        (void)!buf_printf(out, "\\n");
    else if (code == '\t')
        (void)!buf_printf(out, "\\t");
    else if (code == '"' || code == '\\')
        (void)!buf_printf(out, "\\%c", (char)code);
    else
        (void)!buf_add(out, c);
}

TEST(escapes_count_as_what_they_stand_for)
{
    static const struct {
        const char *bytes;
        uint32_t code;
        bool may_be_long; /* an escape inside a word or number would cut it */
    } alphabet[] = {
        {"a", 'a', false},    {"B", 'B', false},    {"7", '7', false}, {" ", ' ', true},
        {"\n", '\n', true},   {"\t", '\t', true},   {"\"", '"', true}, {"\\", '\\', true},
        {"{", '{', true},     {"潮", 0x6f6e, true}, {"é", 0xe9, true}, {"，", 0xff0c, true},
        {"한", 0xd55c, true}, {"Я", 0x42f, true},
    };
    struct rng dice;

    rng_seed(&dice, 7);
    for (int round = 0; round < 3000; round++) {
        struct tokens plain = {{0}}, json = {{0}};
        struct buf a, b;

        buf_init(&a, 4096, NULL);
        buf_init(&b, 4096, NULL);
        for (size_t n = rng_below(&dice, 40); n > 0; n--) {
            size_t i = rng_below(&dice, COUNT_OF(alphabet));

            (void)!buf_add(&a, slice_of(alphabet[i].bytes));
            add_json(&b, slice_of(alphabet[i].bytes), alphabet[i].code,
                     alphabet[i].may_be_long && rng_below(&dice, 2) == 0);
        }
        tokens_text(&plain, buf_slice(&a));
        tokens_json(&json, buf_slice(&b));
        if (!CHECK(memcmp(&plain, &json, sizeof plain) == 0))
            printf("# %.*s\n", SLICE_ARG(buf_slice(&b)));
        buf_fini(&a);
        buf_fini(&b);
    }
}

TEST(two_halves_of_an_escape_are_one_character)
{
    struct tokens t = {{0}};

    tokens_json(&t, SLICE("\\ud83c\\udf0a"));
    CHECK_INT(t.n[TOKEN_SYMBOLS], 1);
    tokens_json(&t, SLICE("\\ud83c\\u0041"));
    tokens_json(&t, SLICE("\\ud83c"));
    CHECK(t.n[TOKEN_SYMBOLS] >= 3);
}

TEST(no_bytes_are_read_past_the_end)
{
    static const char *const hostile[] = {"\\",         "\\u",          "\\u12",  "\\u123",   "\\ud83c\\",
                                          "\\ud83c\\u", "\\ud83c\\u12", "\xe4",   "\xe4\xbd", "\xf0\x9f\x8c",
                                          "\xff",       "a\xc3",        "\\uzzzz"};
    struct rng dice;

    for (size_t i = 0; i < COUNT_OF(hostile); i++) {
        size_t n = strlen(hostile[i]);
        char *guarded = tap_guard(hostile[i], n);
        struct tokens t = {{0}};

        tokens_json(&t, (struct slice){guarded, n});
        tokens_text(&t, (struct slice){guarded, n});
        CHECK(tokens_sum(&t) >= 0);
        tap_guard_free(guarded, n);
    }
    rng_seed(&dice, 3);
    for (int round = 0; round < 2000; round++) {
        char noise[64];
        size_t n = rng_below(&dice, sizeof noise);
        struct tokens t = {{0}};
        char *guarded;

        for (size_t i = 0; i < n; i++)
            noise[i] = rng_below(&dice, 4) == 0 ? "\\u\"n"[rng_below(&dice, 4)] : (char)rng_below(&dice, 256);
        guarded = tap_guard(noise, n);
        tokens_json(&t, (struct slice){guarded, n});
        tokens_text(&t, (struct slice){guarded, n});
        CHECK(tokens_sum(&t) <= 4 * (int64_t)n);
        tap_guard_free(guarded, n);
    }
}
