/* SPDX-License-Identifier: MIT */
/* Traces: the samples that the tree carries against what stands in them, and hostile input. */
#include "load/trace.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "support/samples.h"
#include "tap.h"

#define TITLE "TIMESTAMP,ContextTokens,GeneratedTokens\n"

static struct trace *read_text(const char *text, struct trace_fault *bad)
{
    char *copy = tap_guard(text, strlen(text));
    struct trace *t = trace_read((struct slice){copy, strlen(text)}, bad);

    tap_guard_free(copy, strlen(text));
    return t;
}

TEST(azures_rows)
{
    static const char TEXT[] = "\xef\xbb\xbf# a remark\r\n" TITLE "2023-11-16 23:59:59.9999999,374,44\r\n"
                               "\n2023-11-17 00:00:00,5,6\n2023-11-17T00:00:01.5Z , 7 , 0\n"
                               "2023-11-17 00:00:00.25+00:00,8,9";
    struct trace_fault bad;
    struct trace *t = read_text(TEXT, &bad);

    if (!CHECK(t != NULL))
        return;
    CHECK_INT(t->format, TRACE_AZURE);
    CHECK_STR(trace_format_name(t->format), "azure");
    CHECK_INT(t->rows_n, 4);
    CHECK_INT(t->rows[0].at_us, 0);
    CHECK_INT(t->rows[0].prompt_tokens, 374);
    CHECK_INT(t->rows[0].answer_tokens, 44);
    CHECK_INT(t->rows[1].at_us, 1);
    CHECK_INT(t->rows[2].at_us, 250001); /* sorted */
    CHECK_INT(t->rows[2].prompt_tokens, 8);
    CHECK_INT(t->rows[3].at_us, 1500001);
    CHECK_INT(t->rows[3].answer_tokens, 0);
    trace_free(&t);
    CHECK(t == NULL);
}

TEST(leap_years_and_turns_of_the_year)
{
    static const char TEXT[] = TITLE "2024-02-28 00:00:00,1,1\n2024-03-01 00:00:00,1,1\n2023-12-31 "
                                     "00:00:00,1,1\n2024-01-01 00:00:00,1,1\n";
    struct trace_fault bad;
    struct trace *t = read_text(TEXT, &bad);

    if (!CHECK(t != NULL))
        return;
    CHECK_INT(t->rows[1].at_us, 86400 * CLOCK_SECOND_US);
    CHECK_INT(t->rows[3].at_us - t->rows[2].at_us, 2 * 86400 * CLOCK_SECOND_US);
    trace_free(&t);
}

TEST(mooncakes_rows)
{
    static const char TEXT[] =
        "{\"timestamp\": 3000, \"input_length\": 700, \"output_length\": 5, \"hash_ids\": [0, 7]}\n"
        "{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 2}\n";
    struct trace_fault bad;
    struct trace *t = read_text(TEXT, &bad);

    if (!CHECK(t != NULL))
        return;
    CHECK_INT(t->format, TRACE_MOONCAKE);
    CHECK_INT(t->rows_n, 2);
    CHECK_INT(t->rows[0].blocks_n, 0);
    CHECK_INT(t->rows[1].at_us, 3 * CLOCK_SECOND_US);
    CHECK_INT(t->rows[1].blocks_n, 2);
    CHECK_INT(t->blocks[t->rows[1].blocks_at], 0);
    CHECK_INT(t->blocks[t->rows[1].blocks_at + 1], 7);
    trace_free(&t);
}

TEST(servegens_windows)
{
    static const char TEXT[] = "0,0,0,,0,0\n600,0.5,1.2,Gamma,0.7,3\n1200,1,1,Weibull,1.5,1\n";
    struct trace_fault bad;
    struct trace *t = read_text(TEXT, &bad);

    if (!CHECK(t != NULL))
        return;
    CHECK_INT(t->format, TRACE_SERVEGEN);
    CHECK_INT(t->windows_n, 3);
    CHECK_INT(t->windows[1].from_us, 600 * CLOCK_SECOND_US);
    CHECK_INT(t->windows[1].to_us, 1200 * CLOCK_SECOND_US);
    CHECK(t->windows[1].gaps == GAPS_GAMMA && t->windows[1].shape == 0.7 && t->windows[1].rate == 0.5);
    CHECK(t->windows[2].gaps == GAPS_WEIBULL);
    CHECK_INT(t->windows[2].to_us, 1800 * CLOCK_SECOND_US);
    trace_free(&t);
}

static const struct {
    const char *text;
    size_t line;
    const char *words;
} HOSTILE[] = {
    {"", 0, "no request"},
    {"\n\n# nothing\n", 3, "no request"},
    {TITLE, 1, "no request"},
    {TITLE "2023-11-16 18:15:46,1,1\n2023-11-16,1,1\n", 3, "time"},
    {TITLE "2023-13-16 18:15:46,1,1\n", 2, "time"},
    {TITLE "2023-11-16 24:15:46,1,1\n", 2, "time"},
    {TITLE "1969-11-16 18:15:46,1,1\n", 2, "time"},
    {TITLE "2023-11-16 18:15:46.,1,1\n", 2, "time"},
    {TITLE "2023-11-16 18:15:46+01:00,1,1\n", 2, "time"},
    {TITLE "2023-11-16 18:15,1,1\n", 2, "time"},
    {TITLE "2023-11-16 18:15:46,1\n", 2, "tokens"},
    {TITLE "2023-11-16 18:15:46,1,1,1\n", 2, "tokens"},
    {TITLE "2023-11-16 18:15:46,-1,1\n", 2, "tokens"},
    {TITLE "2023-11-16 18:15:46,1,10000001\n", 2, "tokens"},
    {TITLE "2023-11-16 18:15:46,1,99999999999999999999999\n", 2, "tokens"},
    {"{\"timestamp\": 0}", 1, "input_length"},
    {"{\"timestamp\": -1, \"input_length\": 1, \"output_length\": 1}", 1, "timestamp"},
    {"{\"timestamp\": \"0\", \"input_length\": 1, \"output_length\": 1}", 1, "timestamp"},
    {"{\"timestamp\": 1e300, \"input_length\": 1, \"output_length\": 1}", 1, "timestamp"},
    {"{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1, -1]}", 1, "hash_ids"},
    {"{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [268435456]}", 1,
     "hash_ids"},
    {"{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [\"1\"]}", 1, "hash_ids"},
    {"{\"timestamp\": 0, \"input_length\": 1, \"output_length\": 1}\n{", 2, "JSON"},
    {"hello", 1, "no trace in a form that is known"},
    {"1,2,3,4,5", 1, "no trace in a form that is known"},
    {"1,2,3,4,5,6,7", 1, "no trace in a form that is known"},
    {"x,1,1,Gamma,1,1", 1, "start"},
    {"0,-1,1,Gamma,1,1", 1, "rate"},
    {"0,1000001,1,Gamma,1,1", 1, "rate"},
    {"0,1,1,Normal,1,1", 1, "Gamma or Weibull"},
    {"0,1,1,Gamma,0,1", 1, "Gamma or Weibull"},
    {"0,1,1,Gamma,1e9,1", 1, "Gamma or Weibull"},
    {"0,1,1,Weibull,0.009,1", 1, "0.01 to 1000"},
    {"0,1,1,Gamma,1,1\n0,1,1,Gamma,1,1", 2, "follow each other"},
    {"1e99,1,1,Gamma,1,1", 1, "start"},
};

TEST(what_is_wrong_is_named_with_its_line)
{
    for (size_t i = 0; i < COUNT_OF(HOSTILE); i++) {
        struct trace_fault bad;
        struct trace *t = read_text(HOSTILE[i].text, &bad);

        if (!CHECK(t == NULL)) {
            printf("# %s\n", HOSTILE[i].text);
            trace_free(&t);
            continue;
        }
        CHECK_INT(bad.line, HOSTILE[i].line);
        if (!CHECK(strstr(bad.text, HOSTILE[i].words) != NULL))
            printf("# %s: %s\n", HOSTILE[i].text, bad.text);
    }
}

/* Cut anywhere, and with any byte changed, a trace is read or refused, and nothing else happens. */
TEST(noise_is_survived)
{
    static const char *const TEXTS[] = {
        TITLE "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:47.6805900,374,44\n",
        "{\"timestamp\": 27, \"input_length\": 67, \"output_length\": 5, \"hash_ids\": [0, 1]}\n",
        "0,0.5,1.2,Gamma,0.7,3\n600,1,1,Weibull,1.5,1\n",
    };
    struct rng dice;

    rng_seed(&dice, 5);
    for (int round = 0; round < 20000; round++) {
        const char *text = TEXTS[round % (int)COUNT_OF(TEXTS)];
        size_t n = rng_below(&dice, strlen(text) + 1);
        char *copy = tap_guard(text, n);
        struct trace_fault bad = {0, NULL};
        struct trace *t;

        for (uint64_t k = rng_below(&dice, 4); k > 0 && n > 0; k--)
            copy[rng_below(&dice, n)] = (char)rng_below(&dice, 256);
        t = trace_read((struct slice){copy, n}, &bad);
        CHECK((t == NULL) == (bad.text != NULL));
        trace_free(&t);
        tap_guard_free(copy, n);
    }
}

static struct trace *sample(const char *name)
{
    struct trace_fault bad = {0, ""};
    struct trace *t = samples_trace(name, &bad);

    if (!CHECK(t != NULL))
        printf("# %s:%zu: %s\n", name, bad.line, bad.text);
    return t;
}

TEST(the_samples_of_the_tree)
{
    struct trace *t = sample("azure2023_conv_10min.csv");

    if (t == NULL)
        return;
    CHECK_INT(t->rows_n, 2867);
    CHECK_INT(t->rows[1].at_us, 4314579);
    trace_free(&t);
    t = sample("mooncake_conversation_1min.jsonl");
    CHECK_INT(t->format, TRACE_MOONCAKE);
    CHECK(t->rows_n > 100 && t->rows[0].blocks_n == 14 && t->rows[0].prompt_tokens == 6758);
    for (size_t i = 0; i < t->rows_n; i++)
        CHECK_INT(t->rows[i].blocks_n, (t->rows[i].prompt_tokens + 511) / 512);
    trace_free(&t);
    t = sample("servegen_deepseek_r1/chunk-64-trace.csv");
    CHECK_INT(t->format, TRACE_SERVEGEN);
    CHECK_INT(t->windows_n, 12);
    CHECK_INT(t->windows[11].to_us, 43200 * CLOCK_SECOND_US);
    trace_free(&t);
}
