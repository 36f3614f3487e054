/* SPDX-License-Identifier: MIT */
/* What a request is estimated to take: which members count, as what, and how bounds of the answer are read.
 */
#include "llm/estimate.h"

#include "base/buf.h"
#include "llm/tokens.h"
#include "tap.h"

static struct estimate of(const char *body)
{
    struct estimate e;

    estimate_request(slice_of(body), &e);
    return e;
}

/* The text so many times, as texts of their own. */
static int64_t of_texts(int times, const char *text)
{
    struct tokens t = {{0}};

    for (int i = 0; i < times; i++)
        tokens_text(&t, slice_of(text));
    return tokens_sum(&t);
}

static int64_t of_text(const char *text)
{
    return of_texts(1, text);
}

#define WORDS "one two three four five six seven eight nine ten"
#define MESSAGE 3

TEST(messages_count_their_texts_and_their_marks)
{
    CHECK_INT(of("{\"model\":\"a very long name that is no "
                 "prompt\",\"messages\":[{\"role\":\"user\",\"content\":\"" WORDS
                 "\"}],\"user\":\"somebody else\"}")
                  .prompt,
              of_text(WORDS) + 2 * MESSAGE);
    CHECK_INT(of("{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"" WORDS
                 "\"}]}, {\"content\" : \"" WORDS "\" , \"role\" : \"assistant\"}]}")
                  .prompt,
              of_texts(2, WORDS) + 3 * MESSAGE);
    CHECK_INT(of("{}").prompt, MESSAGE);
}

TEST(other_routes_have_other_names_for_it)
{
    CHECK_INT(of("{\"prompt\":\"" WORDS "\"}").prompt, of_text(WORDS) + MESSAGE);
    CHECK_INT(of("{\"prompt\":[\"" WORDS "\",\"" WORDS "\"]}").prompt, of_texts(2, WORDS) + MESSAGE);
    CHECK_INT(of("{\"input\":[[1,22,333],[4]]}").prompt, 4 + MESSAGE); /* these are tokens */
    CHECK_INT(of("{\"input\":\"" WORDS "\",\"instructions\":\"" WORDS "\"}").prompt,
              of_texts(2, WORDS) + MESSAGE);
    CHECK_INT(of("{\"system\":[{\"type\":\"text\",\"text\":\"" WORDS "\"}],\"max_tokens\":9}").prompt,
              of_text(WORDS) + MESSAGE);
}

TEST(pictures_and_files_are_no_text)
{
    struct buf body;
    struct estimate e;

    buf_init(&body, 200000, NULL);
    (void)!buf_printf(&body, "{\"messages\":[{\"role\":\"user\",\"content\":["
                             "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,");
    for (int i = 0; i < 1000; i++)
        (void)!buf_printf(&body, "%0100d", i);
    (void)!buf_printf(
        &body, "\"}},"
               "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"wav\"}},"
               "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a/b/c.png\"}}]}]}");
    estimate_request(buf_slice(&body), &e);
    CHECK_INT(e.prompt, 3 * ESTIMATE_DATA_TOKENS + 2 * MESSAGE + of_text("wav"));
    buf_fini(&body);
}

TEST(tools_count_with_their_names)
{
    int64_t tokens =
        of("{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"description\":"
           "\"Weather of a town\",\"parameters\":{\"type\":\"object\",\"properties\":{\"town\":{\"type\":"
           "\"string\",\"minLength\":1}},\"required\":[\"town\"]}}}]}")
            .prompt;

    CHECK(tokens >= 40 && tokens <= 90); /* 58 in o200k as JSON text, 61 in DeepSeek's */
}

TEST(the_answers_bound_is_read_under_each_of_its_names)
{
    CHECK_INT(of("{}").answer_max, -1);
    CHECK_INT(of("{\"max_tokens\":null}").answer_max, -1);
    CHECK_INT(of("{\"max_tokens\":-5}").answer_max, -1);
    CHECK_INT(of("{\"max_tokens\":\"7\"}").answer_max, -1);
    CHECK_INT(of("{\"max_tokens\":0}").answer_max, 0);
    CHECK_INT(of("{\"max_tokens\" : 128 }").answer_max, 128);
    CHECK_INT(of("{\"max_completion_tokens\":64,\"max_tokens\":32}").answer_max, 64);
    CHECK_INT(of("{\"max_output_tokens\":5}").answer_max, 5);
    CHECK_INT(of("{\"max_tokens\":99999999999999999999999}").answer_max, 1000000000);
    CHECK_INT(of("{\"max_tokens\":1e3}").answer_max, 1000);
    CHECK_INT(of("{\"max_tokens\":1.5E+2}").answer_max, 150);
    CHECK_INT(of("{\"max_tokens\":1e300}").answer_max, 1000000000);
    CHECK_INT(of("{\"max_tokens\":2e-1}").answer_max, 0);
    CHECK_INT(of("{\"n\":3}").choices, 3);
    CHECK_INT(of("{\"n\":0}").choices, 1);
    CHECK_INT(of("{\"n\":1,\"best_of\":4}").choices, 4);
    CHECK_INT(of("{\"n\":99999999}").choices, 1024);
    CHECK_INT(of("{\"prompt\":\"a\"}").choices, 1);
    CHECK_INT(of("{\"prompt\":[\"a\",\"b\"],\"n\":3}").choices, 6); /* each of them is answered */
    CHECK_INT(of("{\"n\":3,\"prompt\":[1,2,3]}").choices, 3);
    CHECK_INT(of("{\"prompt\":[[1,2],[3]]}").choices, 2);
}

TEST(what_is_written_over_the_clients_bounds_the_answer)
{
    struct estimate e = of("{\"max_tokens\":500}");

    estimate_set(&e, SLICE("thinking"), SLICE("7"));
    CHECK_INT(e.answer_max, 500);
    estimate_set(&e, SLICE("max_tokens"), SLICE("64"));
    CHECK_INT(e.answer_max, 64);
    estimate_set(&e, SLICE("max_tokens"), SLICE("null"));
    CHECK_INT(e.answer_max, -1);
}

TEST(quotes_and_backslashes_end_no_text_early)
{
    CHECK_INT(of("{\"prompt\":\"a \\\" b \\\\\",\"n\":2}").choices, 2);
    CHECK_INT(of("{\"prompt\":[\"a\\\\\\\"b\",\"c d e\"]}").prompt, of_text("a\\\"b c d e") + MESSAGE);
}

TEST(a_very_long_prompt_counts_in_proportion)
{
    int words_n = (int)(8 * ESTIMATE_TEXT_MAX / 5);
    int64_t whole = of_texts(words_n, "word");
    struct buf body;
    struct estimate e;

    buf_init(&body, 10 * ESTIMATE_TEXT_MAX, NULL);
    (void)!buf_printf(&body, "{\"prompt\":[\"");
    for (int i = 0; i < words_n; i++)
        (void)!buf_add(&body, i == words_n / 2 ? SLICE("word\",\"") : SLICE("word "));
    (void)!buf_printf(&body, "\"]}");
    estimate_request(buf_slice(&body), &e);
    CHECK(e.prompt > whole * 99 / 100 && e.prompt < whole * 101 / 100);
    buf_fini(&body);
}

/* What is asked for is the product of three numbers, and all of them are the client's. */
TEST(absurd_numbers_of_answers_are_cut)
{
    struct buf body;
    struct estimate e;

    buf_init(&body, (size_t)8 << 20, NULL);
    (void)!buf_printf(&body, "{\"max_tokens\":1000000000,\"n\":1024,\"prompt\":[\"\"");
    for (int i = 0; i < 2000000; i++)
        (void)!buf_add(&body, SLICE(",\"\""));
    (void)!buf_add(&body, SLICE("]}"));
    estimate_request(buf_slice(&body), &e);
    CHECK_INT(e.answer_max, 1000000000);
    CHECK_INT(e.choices, 1000000000);
    CHECK(e.choices <= INT64_MAX / e.answer_max - e.prompt);
    buf_fini(&body);
}
