/* SPDX-License-Identifier: MIT */
/* The simulator's words: the same for the same prompt, whole characters, and right inside JSON. */
#include "sim/text.h"

#include "base/json.h"
#include "base/utf8.h"
#include "tap.h"

TEST(the_text_of_a_known_prompt_does_not_change)
{
    static const char want[] = "time tide toed 42\" in;\ned to慢慢地";
    uint64_t hash = sim_text_hash(SLICE("Hi there"), 0);
    char got[12 * SIM_TOKEN_MAX];
    size_t n = 0;

    for (uint64_t i = 0; i < 12; i++)
        n += sim_text_token(hash, i, got + n);
    CHECK_MEM(got, n, want, sizeof want - 1);
}

TEST(order_and_boundaries_of_messages_count)
{
    uint64_t ab = sim_text_hash(SLICE("b"), sim_text_hash(SLICE("a"), 0));
    uint64_t ba = sim_text_hash(SLICE("a"), sim_text_hash(SLICE("b"), 0));

    CHECK(ab != ba);
    CHECK(ab != sim_text_hash(SLICE("ab"), 0));
    CHECK(sim_text_thought(ab) != ab);
}

TEST(tokens_are_whole_characters_and_not_empty)
{
    bool whole = true, fits = true, has_space = false;

    for (uint64_t i = 0; i < 20000; i++) {
        char out[SIM_TOKEN_MAX];
        struct slice s = {out, sim_text_token(i / 100, i % 100, out)};

        fits = fits && s.n > 0 && s.n <= SIM_TOKEN_MAX;
        has_space = has_space || (i % 100 == 0 && out[0] == ' ');
        while (s.n > 0 && whole) {
            size_t n = utf8_len(s);

            whole = n > 0;
            s = slice_from(s, n);
        }
    }
    CHECK(whole);
    CHECK(fits);
    CHECK(!has_space); /* at the beginning of a text */
}

/* What a JSON parser reads is the token itself. */
static bool round_trip(uint64_t hash, uint64_t i)
{
    char raw[SIM_TOKEN_MAX], text[SIM_TOKEN_JSON_MAX + 2];
    size_t raw_n = sim_text_token(hash, i, raw), n = sim_text_token_json(hash, i, text + 1);
    struct json_doc *doc;
    bool same;

    text[0] = text[n + 1] = '"';
    if (n > SIM_TOKEN_JSON_MAX || json_parse((struct slice){text, n + 2}, NULL, &doc, NULL) != ERR_OK)
        return false;
    same = slice_eq(json_string(json_root(doc)), (struct slice){raw, raw_n});
    json_free(&doc);
    return same;
}

TEST(escaped_tokens_parse_to_the_tokens)
{
    int wrong_n = 0;

    for (uint64_t i = 0; i < 5000; i++)
        wrong_n += !round_trip(i % 7, i);
    CHECK_INT(wrong_n, 0);
}

TEST(lengths_lie_around_the_mean)
{
    size_t least = SIZE_MAX, most = 0, sum = 0;

    for (uint64_t hash = 0; hash < 10000; hash++) {
        size_t n = sim_text_length(hash, 64);

        least = n < least ? n : least;
        most = n > most ? n : most;
        sum += n;
    }
    CHECK_INT(least, 32);
    CHECK_INT(most, 96);
    CHECK(sum / 10000 >= 63 && sum / 10000 <= 65);
    CHECK_INT(sim_text_length(5, 0), 1);
    CHECK_INT(sim_text_length(5, 1), 1);
}
