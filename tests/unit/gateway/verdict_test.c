/* SPDX-License-Identifier: MIT */
/* The verdict on successes: plain answers and streams, and calls without a response. */
#include "verdict_kit.h"

/* -- plain answers -------------------------------------------------------------------------------------- */

TEST(a_plain_answer_is_held_back_until_it_is_whole)
{
    static const char TEXT[] = "\n\r\n \t\n" ANSWER "\n";
    size_t blank = sizeof TEXT - sizeof ANSWER "\n";

    for (size_t cut = 0; cut < sizeof TEXT; cut++) {
        struct bench b;
        char *first = tap_guard(TEXT, cut), *second = tap_guard(TEXT + cut, sizeof TEXT - 1 - cut);

        bench_init(&b, false);
        bench_begin(&b);
        CHECK_INT(head(&b, 200, "application/json", -1, NULL, NULL), ERR_OK);
        CHECK_INT(body(&b, (struct slice){first, cut}), ERR_OK);
        CHECK_INT(b.payload, cut > blank); /* blank lines are waiting */
        CHECK_INT(body(&b, (struct slice){second, sizeof TEXT - 1 - cut}), ERR_OK);
        CHECK_INT(b.begins_n, 0);
        CHECK_INT(end(&b, ERR_OK), OUTCOME_OK);
        CHECK_INT(b.begins_n, 1);
        CHECK_INT(b.dones_n, 1);
        CHECK_INT(b.length, sizeof ANSWER "\n" - 1);
        out_is(&b, ANSWER "\n");
        CHECK_INT(verdict_keepalive_bytes(&b.v), blank);
        CHECK(b.v.usage.known);
        CHECK_INT(b.v.usage.prompt_tokens, 3);
        bench_fini(&b);
        tap_guard_free(first, cut);
        tap_guard_free(second, sizeof TEXT - 1 - cut);
    }
}

TEST(a_plain_answer_that_is_none_says_what_it_is)
{
    static const struct {
        const char *body;
        enum outcome outcome;
        const char *words;
    } ROWS[] = {
        {"", OUTCOME_EMPTY, ""},
        {"\n\n\n", OUTCOME_EMPTY, ""},
        {"{}", OUTCOME_EMPTY, ""},
        {"{\"choices\":[]}", OUTCOME_EMPTY, ""},
        {"{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}", OUTCOME_EMPTY, ""},
        {"{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"}}]}", OUTCOME_OK, ""},
        {"{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"length\"}]}", OUTCOME_OK, ""},
        {"{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"insufficient_system_resource\"}]"
         "}",
         OUTCOME_SERVER_BUSY, ""},
        {"{\"choices\":{}}", OUTCOME_MALFORMED, ""},
        {ANSWER "}", OUTCOME_MALFORMED, ""},
        {"<html>it works</html>", OUTCOME_MALFORMED, ""},
        {"[1]", OUTCOME_MALFORMED, ""},
        {"data: {}\n\n", OUTCOME_MALFORMED, ""},
        {"{\"error\":{\"message\":\"Out of memory.\"}}", OUTCOME_SERVER_ERROR, "Out of memory."},
        {"{\"code\":\"Throttling\",\"message\":\"Too fast.\"}", OUTCOME_SERVER_ERROR, "Too fast."},
        {"\"a bare string\"", OUTCOME_SERVER_ERROR, "a bare string"},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, false);
        if (!CHECK_INT(answer(&b, 200, "application/json", ROWS[i].body), ROWS[i].outcome))
            printf("# %s\n", ROWS[i].body);
        CHECK_INT(b.begins_n, ROWS[i].outcome == OUTCOME_OK);
        CHECK_INT(b.dones_n, ROWS[i].outcome == OUTCOME_OK);
        CHECK_MEM(b.v.detail.p, b.v.detail.n, ROWS[i].words, strlen(ROWS[i].words));
        bench_fini(&b);
    }
}

TEST(a_plain_answer_that_breaks_off_is_truncated_and_nothing_of_it_passes)
{
    static const enum err WHY[] = {ERR_EOF, ERR_RESET};

    for (size_t i = 0; i < 2 * COUNT_OF(WHY); i++) {
        struct bench b;

        bench_init(&b, false);
        bench_begin(&b);
        CHECK_INT(head(&b, 200, "application/json", 1000, NULL, NULL), ERR_OK);
        if (i % 2)
            CHECK_INT(body(&b, SLICE("{\"choices\":[")), ERR_OK);
        CHECK_INT(end(&b, WHY[i / 2]), OUTCOME_TRUNCATED);
        CHECK_INT(b.begins_n + b.out.n, 0);
        bench_fini(&b);
    }
}

/* -- answers past the bound of what is held back -------------------------------------------------------- */

static void long_answer(struct bench *b, int64_t length, const char *blank, size_t piece, enum err why)
{
    struct slice text =
        arena_printf(&b->arena, "{\"choices\":[{\"message\":{\"content\":\"%0*d\"}}]}", 9000, 0);
    struct slice rest = text;

    bench_begin(b);
    if (length > 0)
        length = (int64_t)(text.n + strlen(blank));
    CHECK_INT(head(b, 200, "application/json", length, NULL, NULL), ERR_OK);
    CHECK_INT(body(b, slice_of(blank)), ERR_OK);
    while (rest.n > 0) {
        size_t n = rest.n < piece ? rest.n : piece;

        CHECK_INT(body(b, (struct slice){rest.p, n}), ERR_OK);
        rest = slice_from(rest, n);
        CHECK_INT(b->begins_n, text.n - rest.n > ANSWER_MAX);
    }
    CHECK_INT(end(b, why), why == ERR_OK ? OUTCOME_OK : OUTCOME_TRUNCATED);
    CHECK_INT(b->dones_n, why == ERR_OK);
    CHECK_MEM(b->out.p, b->out.n, text.p, text.n);
}

TEST(an_answer_past_the_bound_passes_as_it_comes)
{
    static const struct {
        int64_t length; /* 1: said by the endpoint, -1: chunked */
        const char *blank;
        bool known; /* the client is told the length */
    } ROWS[] = {{1, "", true}, {-1, "", false}, {1, "\n\n", false}, {-1, "\n", false}};
    static const size_t PIECES[] = {100, 4096, 4097, 100000};

    for (size_t i = 0; i < COUNT_OF(ROWS) * COUNT_OF(PIECES); i++) {
        struct bench b;

        bench_init(&b, false);
        long_answer(&b, ROWS[i / 4].length, ROWS[i / 4].blank, PIECES[i % 4], ERR_OK);
        CHECK_INT(b.length, ROWS[i / 4].known ? (int64_t)b.out.n : -1);
        bench_fini(&b);
    }
}

TEST(an_answer_past_the_bound_that_breaks_off_is_never_done)
{
    struct bench b;

    bench_init(&b, false);
    long_answer(&b, 1, "", 1000, ERR_EOF);
    bench_fini(&b);
}

TEST(an_answer_past_the_bound_that_ends_inside_itself_is_truncated_whatever_the_framing_says)
{
    static const struct {
        const char *end;
        enum outcome outcome;
    } ROWS[] = {{"\"}}]}", OUTCOME_OK},       {"\"}}]}\r\n \t", OUTCOME_OK}, {"", OUTCOME_TRUNCATED},
                {"\"", OUTCOME_TRUNCATED},    {"\"}", OUTCOME_TRUNCATED},    {"\"}}", OUTCOME_TRUNCATED},
                {"\"}}]", OUTCOME_TRUNCATED}, {"\n\n", OUTCOME_TRUNCATED}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;
        struct slice text;

        bench_init(&b, false);
        text =
            arena_printf(&b.arena, "{\"choices\":[{\"message\":{\"content\":\"%0*d%s", 9000, 0, ROWS[i].end);
        bench_begin(&b);
        CHECK_INT(head(&b, 200, "application/json", -1, NULL, NULL), ERR_OK);
        CHECK_INT(body(&b, (struct slice){text.p, 9000}), ERR_OK);
        for (size_t at = 9000; at < text.n; at++) /* byte by byte */
            CHECK_INT(body(&b, (struct slice){text.p + at, 1}), ERR_OK);
        CHECK_INT(end(&b, ERR_OK), ROWS[i].outcome);
        CHECK_INT(b.dones_n, ROWS[i].outcome == OUTCOME_OK);
        bench_fini(&b);
    }
}

TEST(when_the_memory_budget_is_used_up_a_plain_answer_passes_unchecked)
{
    struct bench b;

    bench_init(&b, false);
    budget_init(&b.budget, 10);
    CHECK_INT(answer(&b, 200, "application/json", ANSWER), OUTCOME_OK);
    out_is(&b, ANSWER);
    bench_fini(&b);
}

/* -- streams -------------------------------------------------------------------------------------------- */

TEST(a_stream_begins_with_its_first_text_and_is_over_at_its_end_mark)
{
    static const char *const TYPES[] = {"text/event-stream", "Text/Event-Stream; charset=utf-8"};

    for (size_t i = 0; i < COUNT_OF(TYPES); i++) {
        struct bench b;

        bench_init(&b, true);
        bench_begin(&b);
        CHECK_INT(head(&b, 200, TYPES[i], -1, NULL, NULL), ERR_OK);
        CHECK_INT(body(&b, SLICE(": keep-alive\n\n")), ERR_OK);
        CHECK(!b.payload && b.begins_n == 0);
        CHECK_INT(body(&b, SLICE(TOKEN)), ERR_OK);
        CHECK(b.payload && b.begins_n == 1);
        CHECK_INT(b.length, -1);
        CHECK_INT(body(&b, SLICE(STOP DONE ": more\n")), ERR_OK);
        CHECK_INT(b.dones_n, 1);
        CHECK_INT(body(&b, SLICE("data: {broken\n\n")), ERR_OK);
        CHECK_INT(end(&b, ERR_RESET), OUTCOME_OK); /* what comes behind the end mark changes nothing */
        out_is(&b, TOKEN STOP DONE);
        CHECK_INT(verdict_keepalive_bytes(&b.v), 14 + 7);
        bench_fini(&b);
    }
}

TEST(a_stream_that_ends_without_its_end_mark_is_no_success)
{
    static const struct {
        const char *body;
        enum err why;
        enum outcome outcome;
    } ROWS[] = {
        {"", ERR_OK, OUTCOME_EMPTY},
        {": hello\n\n", ERR_OK, OUTCOME_EMPTY},
        {TOKEN, ERR_OK, OUTCOME_TRUNCATED},
        {TOKEN STOP, ERR_OK, OUTCOME_TRUNCATED},
        {TOKEN, ERR_RESET, OUTCOME_TRUNCATED},
        {"", ERR_EOF, OUTCOME_TRUNCATED},
        {TOKEN, ERR_MALFORMED, OUTCOME_MALFORMED},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, true);
        bench_begin(&b);
        CHECK_INT(head(&b, 200, "text/event-stream", -1, NULL, NULL), ERR_OK);
        CHECK_INT(body(&b, slice_of(ROWS[i].body)), ERR_OK);
        CHECK_INT(end(&b, ROWS[i].why), ROWS[i].outcome);
        CHECK_INT(end(&b, ERR_OK), ROWS[i].outcome); /* said once, it stays */
        CHECK_INT(b.dones_n, 0);
        bench_fini(&b);
    }
}

TEST(an_error_inside_a_stream_counts_as_the_status_that_it_names)
{
    static const struct {
        const char *code;
        bool client;
        enum outcome outcome;
        int status;
    } ROWS[] = {
        {"400", false, OUTCOME_CLIENT_ERROR, 400},     {"401", false, OUTCOME_CREDENTIAL, 401},
        {"401", true, OUTCOME_CLIENT_CREDENTIAL, 401}, {"429", false, OUTCOME_ACCOUNT_BUSY, 429},
        {"503", false, OUTCOME_SERVER_BUSY, 503},      {"\"none\"", false, OUTCOME_SERVER_ERROR, 200},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;
        struct slice event;

        bench_init(&b, true);
        b.opts.client_key = ROWS[i].client;
        event =
            arena_printf(&b.arena, "data: {\"error\":{\"message\":\"Why.\",\"code\":%s}}\n\n", ROWS[i].code);
        CHECK_INT(answer(&b, 200, "text/event-stream", event.p), ROWS[i].outcome);
        CHECK_INT(b.v.status, ROWS[i].status); /* a client is never told 200 about it */
        CHECK_STR(b.v.detail.p, "Why.");
        CHECK_INT(b.begins_n, 0);
        bench_fini(&b);
    }
}

/* -- calls without a response --------------------------------------------------------------------------- */

TEST(a_call_without_a_response_counts_by_why_it_ended_and_how_far_it_was)
{
    static const struct {
        enum err why;
        bool connecting, answered;
        enum outcome outcome;
    } ROWS[] = {
        {ERR_REFUSED, true, false, OUTCOME_REFUSED},
        {ERR_DNS, true, false, OUTCOME_DNS},
        {ERR_TLS, true, false, OUTCOME_TLS},
        {ERR_TIMEOUT, true, false, OUTCOME_CONNECT_TIMEOUT},
        {ERR_EOF, false, false, OUTCOME_RESET},
        {ERR_RESET, false, false, OUTCOME_RESET},
        {ERR_EOF, false, true, OUTCOME_TRUNCATED},
        {ERR_MALFORMED, false, true, OUTCOME_MALFORMED},
        {ERR_TOO_LARGE, false, true, OUTCOME_OVERSIZE},
        {ERR_MEMORY_BUDGET, false, true, OUTCOME_MEMORY},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, i % 2);
        bench_begin(&b);
        CHECK_INT(verdict_end(&b.v, ROWS[i].why, ROWS[i].connecting, ROWS[i].answered), ROWS[i].outcome);
        CHECK_INT(b.begins_n, 0);
        bench_fini(&b);
    }
}
