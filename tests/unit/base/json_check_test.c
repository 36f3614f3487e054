/* SPDX-License-Identifier: MIT */
/* Checking without a document agrees with the parser that makes one. */
#include "base/json_check.h"

#include "base/assert.h"
#include "base/json.h"
#include "base/rng.h"
#include "tap.h"

static bool parses(struct slice text)
{
    struct json_doc *doc;

    if (json_parse(text, NULL, &doc, NULL) != ERR_OK)
        return false;
    json_free(&doc);
    return true;
}

/* From a guard page, so that a byte read too far ends the program. */
static bool passes(struct slice text)
{
    char *copy = tap_guard(text.p, text.n);
    const char *why = "";
    bool fine = json_check((struct slice){copy, text.n}, &why) == ERR_OK;

    CHECK(fine == (why == NULL));
    tap_guard_free(copy, text.n);
    return fine;
}

static void agree(struct slice text)
{
    if (!CHECK(passes(text) == parses(text)))
        fprintf(stderr, "#   about: %.*s\n", SLICE_ARG(text));
}

static const char *const TEXTS[] = {
    "",
    " ",
    "{}",
    "[]",
    " { } ",
    "[ ]",
    "null",
    "true",
    "false",
    "nul",
    "truex",
    "0",
    "-0",
    "01",
    "-",
    "1.",
    "1.5",
    ".5",
    "1e5",
    "1E+5",
    "1e",
    "1e-",
    "-1.25e-3",
    "+1",
    "\"\"",
    "\"a\"",
    "\"a",
    "\"\\n\\u0041\\\"\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ud83dx\"",
    "\"\\ude00\"",
    "\"\\ud83d\\u0041\"",
    "\"\t\"",
    "\"\x7f\"",
    "\"\xc3\xa9\"",
    "\"\xc3\"",
    "\"\xff\"",
    "\"\xed\xa0\x80\"",
    "\"\xe6\xbd\xae\xe6\xb0\xb4\"",
    "{\"a\":1}",
    "{\"a\":1,}",
    "{\"a\" : [1, 2, {\"b\":null}] , \"c\":\"d\"}",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "{,}",
    "{1:2}",
    "[1,]",
    "[,1]",
    "[1 2]",
    "[1}",
    "{\"a\":1]",
    "[[[]]]",
    "[[[]]",
    "[]]",
    "{}x",
    "[1]//",
    "\xef\xbb\xbf{}",
    "{\"a\":1 \"b\":2}",
    "{\"a\"\"b\"}",
    "{\"a\":1,\"a\":2}",
    "[\"0123456789abcdef0123456789\\\\\"]",
    "[true,false,null]",
    "NaN",
    "Infinity",
    "'a'",
    "/**/1",
    "\"\\/\"",
    "[-]",
    "[1.e5]",
    "\v1",
    "1\v",
    "{\"\":{}}",
};

TEST(what_the_parser_takes_passes_and_nothing_else)
{
    for (size_t i = 0; i < COUNT_OF(TEXTS); i++)
        agree(slice_of(TEXTS[i]));
}

TEST(a_nul_is_a_byte_like_others)
{
    agree((struct slice){"\0", 1});
    agree((struct slice){"\"a\0b\"", 5});
    agree((struct slice){"\"a\\\0b\"", 6});
    agree((struct slice){"[1\0]", 4});
}

TEST(depth_is_bounded_as_the_parser_bounds_it)
{
    char text[2 * 70 + 1];

    for (int depth = 60; depth < 70; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        agree((struct slice){text, 2 * (size_t)depth});
    }
}

TEST(every_beginning_of_a_text_is_judged_alike)
{
    static const char text[] =
        "{\"model\":\"m\\u00e9\",\"messages\":[{\"role\":\"user\",\"content\":\"\xe6\xbd\xae "
        "hello \\\"you\\\"\"}],\"n\":-1.5e+3,\"stream\":true,\"x\":[[],{}]} ";

    for (size_t n = 0; n < sizeof text; n++)
        agree((struct slice){text, n});
}

/* Random edits of a valid text stay near the edge between valid and not, where the two could differ. */
TEST(random_texts_are_judged_alike)
{
    static const char seed[] =
        "{\"a\":[1,-2.5e3,\"x\\n\\ud83d\\ude00\",{\"b\":null,\"c\":[true,false,[]]}],\"d\":\"\xc3\xa9\"}";
    static const char letters[] = "{}[]\",:\\u0aeE+-.1 tfn\x01\xc3\xa9\xff/";
    struct rng dice;
    char text[sizeof seed + 8];

    rng_seed(&dice, 7);
    for (int round = 0; round < 200000; round++) {
        size_t n = sizeof seed - 1;
        uint64_t edits_n = 1 + rng_below(&dice, 4);

        memcpy(text, seed, n);
        while (edits_n-- > 0) {
            size_t at = (size_t)rng_below(&dice, n);

            if (rng_below(&dice, 2) == 0) {
                text[at] = letters[rng_below(&dice, sizeof letters - 1)];
            } else if (n > 2) {
                memmove(text + at, text + at + 1, n - at - 1);
                n--;
            }
        }
        if ((json_check((struct slice){text, n}, &(const char *){NULL}) == ERR_OK) !=
            parses((struct slice){text, n})) {
            agree((struct slice){text, n});
            return;
        }
    }
    CHECK_INT(json_check(slice_of(seed), &(const char *){NULL}), ERR_OK);
}
