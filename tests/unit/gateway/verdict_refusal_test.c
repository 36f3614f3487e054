/* SPDX-License-Identifier: MIT */
/* The verdict on refusals, and on answers in a form that was not asked for. */
#include "verdict_kit.h"

/* -- refusals ------------------------------------------------------------------------------------------- */

#define ERROR_OBJECT "{\"error\":{\"message\":\"No.\",\"param\":\"temperature\",\"code\":\"bad_value\"}}"

TEST(a_refusal_counts_by_its_status_and_keeps_the_providers_words)
{
    static const struct {
        int status;
        enum outcome own, client; /* with the gateway's key, with the client's */
    } ROWS[] = {
        {400, OUTCOME_CLIENT_ERROR, OUTCOME_CLIENT_ERROR},
        {401, OUTCOME_CREDENTIAL, OUTCOME_CLIENT_CREDENTIAL},
        {402, OUTCOME_BALANCE, OUTCOME_CLIENT_CREDENTIAL},
        {403, OUTCOME_CREDENTIAL, OUTCOME_CLIENT_CREDENTIAL},
        {404, OUTCOME_CLIENT_ERROR, OUTCOME_CLIENT_ERROR},
        {408, OUTCOME_SERVER_ERROR, OUTCOME_SERVER_ERROR},
        {422, OUTCOME_CLIENT_ERROR, OUTCOME_CLIENT_ERROR},
        {429, OUTCOME_ACCOUNT_BUSY, OUTCOME_CLIENT_BUSY},
        {500, OUTCOME_SERVER_ERROR, OUTCOME_SERVER_ERROR},
        {503, OUTCOME_SERVER_BUSY, OUTCOME_SERVER_BUSY},
        {529, OUTCOME_SERVER_BUSY, OUTCOME_SERVER_BUSY},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS) * 4; i++) {
        struct bench b;
        bool client = i % 2;

        bench_init(&b, i / 2 % 2);
        b.opts.client_key = client;
        CHECK_INT(answer(&b, ROWS[i / 4].status, "application/json", ERROR_OBJECT),
                  client ? ROWS[i / 4].client : ROWS[i / 4].own);
        CHECK_INT(b.begins_n + b.out.n + b.payload, 0);
        CHECK_INT(b.v.status, ROWS[i / 4].status);
        CHECK_STR(b.v.detail.p, "No.");
        CHECK_STR(b.v.param.p, "temperature");
        CHECK_STR(b.v.code.p, "bad_value");
        bench_fini(&b);
    }
}

/* Credentials of the usual shapes are hidden wherever they come from (llm/redact.h); the one that went up, in
 * whatever shape. */
TEST(the_credential_that_went_up_is_not_told_to_anybody)
{
    static const struct {
        bool stream;
        int status;
        const char *type, *body, *detail, *param, *code;
    } ROWS[] = {
        {false, 401, "application/json",
         "{\"error\":{\"message\":\"opensesame, or opensesam\",\"param\":\"key opensesame\",\"code\":"
         "\"opensesame\"}}",
         "**********, or *********", "key **********", "**********"},
        {false, 200, "application/json", "{\"error\":{\"message\":\"no opensesame!\"}}", "no **********!", "",
         ""},
        {true, 200, "text/event-stream", "data: {\"error\":{\"message\":\"no opensesame!\"}}\n\n",
         "no **********!", "", ""},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, ROWS[i].stream);
        b.opts.secret = SLICE("opensesame");
        CHECK(answer(&b, ROWS[i].status, ROWS[i].type, ROWS[i].body) != OUTCOME_OK);
        CHECK_MEM(b.v.detail.p, b.v.detail.n, ROWS[i].detail, strlen(ROWS[i].detail));
        CHECK_MEM(b.v.param.p, b.v.param.n, ROWS[i].param, strlen(ROWS[i].param));
        CHECK_MEM(b.v.code.p, b.v.code.n, ROWS[i].code, strlen(ROWS[i].code));
        bench_fini(&b);
    }
}

TEST(a_refusal_in_any_form_or_in_none)
{
    static const struct {
        const char *type, *body, *words;
    } ROWS[] = {
        {"application/json", "{\"error\":\"text\"}", "text"},
        {"application/json", "\"Unauthorized\"", "Unauthorized"},
        {"application/json", "", ""},
        {"text/html", "<html>502</html>", ""},
        {"text/event-stream", "data: {}\n\n", ""},
        {"application/json", "{\"error\":{\"message\":\"cut", ""},
        {"application/json", "{\"detail\":[{\"msg\":\"field required\"}]}", "field required"},
        {"application/json",
         "{\"error\":{\"message\":\"Your key sk-abcdefghijklmnopqrstuvwxyz012345 is bad\"}}",
         "Your key sk-*** is bad"},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, i % 2);
        CHECK_INT(answer(&b, 500, ROWS[i].type, ROWS[i].body), OUTCOME_SERVER_ERROR);
        CHECK_MEM(b.v.detail.p, b.v.detail.n, ROWS[i].words, strlen(ROWS[i].words));
        bench_fini(&b);
    }
}

TEST(a_redirect_is_not_followed_and_the_operator_told_why)
{
    struct bench b;

    bench_init(&b, false);
    CHECK_INT(answer(&b, 301, "text/html", "<a href=\"https://other.test/\">"), OUTCOME_SERVER_ERROR);
    CHECK(slice_starts(b.v.detail, SLICE("The endpoint answered with a redirect")));
    bench_fini(&b);
}

TEST(a_refusal_that_breaks_off_or_never_ends_is_a_refusal_all_the_same)
{
    struct bench b;
    char much[1000];

    memset(much, 'x', sizeof much);
    bench_init(&b, false);
    bench_begin(&b);
    CHECK_INT(head(&b, 429, "application/json", -1, "Retry-After", "7"), ERR_OK);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(body(&b, (struct slice){much, sizeof much}), ERR_OK);
    CHECK(budget_used(&b.budget) <= 64 * 1024); /* only the beginning is kept */
    CHECK_INT(end(&b, ERR_RESET), OUTCOME_ACCOUNT_BUSY);
    CHECK_INT(b.v.retry_after_us, 7 * CLOCK_SECOND_US);
    bench_fini(&b);
}

/* -- forms that were not asked for ---------------------------------------------------------------------- */

TEST(a_compressed_answer_is_malformed_but_a_compressed_refusal_is_a_refusal)
{
    static const struct {
        int status;
        const char *coding;
        bool stream;
        enum outcome outcome;
    } ROWS[] = {{200, "gzip", false, OUTCOME_MALFORMED}, {200, "br", true, OUTCOME_MALFORMED},
                {200, "Identity", false, OUTCOME_OK},    {429, "gzip", false, OUTCOME_ACCOUNT_BUSY},
                {401, "gzip", true, OUTCOME_CREDENTIAL}, {400, "zstd", true, OUTCOME_CLIENT_ERROR}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;
        enum err e;

        bench_init(&b, ROWS[i].stream);
        bench_begin(&b);
        e = head(&b, ROWS[i].status, ROWS[i].stream ? "text/event-stream" : "application/json", -1,
                 "Content-Encoding", ROWS[i].coding);
        CHECK_INT(e != ERR_OK, ROWS[i].outcome == OUTCOME_MALFORMED);
        if (e == ERR_OK)
            e = body(&b, SLICE(ANSWER));
        CHECK_INT(end(&b, e), ROWS[i].outcome);
        CHECK_INT(b.v.detail.n > 0, ROWS[i].outcome == OUTCOME_MALFORMED);
        CHECK_INT(b.dones_n, ROWS[i].outcome == OUTCOME_OK);
        bench_fini(&b);
    }
}

TEST(an_answer_in_the_other_form_is_malformed_and_nothing_of_it_passes)
{
    static const struct {
        bool stream;
        const char *type, *body;
        enum outcome outcome;
        bool words;
    } ROWS[] = {
        {true, "application/json", ANSWER, OUTCOME_MALFORMED, true},
        {true, "", ANSWER, OUTCOME_MALFORMED, true},
        {true, "application/json", "{\"error\":{\"message\":\"busy\"}}", OUTCOME_SERVER_ERROR, true},
        {true, "text/html", "<html>", OUTCOME_MALFORMED, false},
        {true, "application/json", "", OUTCOME_EMPTY, false},
        {false, "text/event-stream", TOKEN STOP DONE, OUTCOME_MALFORMED, false},
        {false, "text/event-stream", ANSWER, OUTCOME_MALFORMED, true},
        {false, "", ANSWER, OUTCOME_OK, false}, /* nothing is said of the type: the bytes say it */
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, ROWS[i].stream);
        CHECK_INT(answer(&b, 200, ROWS[i].type, ROWS[i].body), ROWS[i].outcome);
        CHECK_INT(b.begins_n, ROWS[i].outcome == OUTCOME_OK);
        CHECK_INT(b.v.detail.n > 0, ROWS[i].words);
        bench_fini(&b);
    }
}

TEST(an_answer_in_the_other_form_is_not_passed_on_because_it_is_long)
{
    for (int budget = 0; budget < 2; budget++) {
        struct bench b;
        char much[ANSWER_MAX + 1];

        memset(much, 'x', sizeof much);
        bench_init(&b, true);
        if (budget)
            budget_init(&b.budget, 10);
        bench_begin(&b);
        CHECK_INT(head(&b, 200, "application/json", -1, NULL, NULL), ERR_OK);
        CHECK_INT(body(&b, (struct slice){much, budget ? 1000 : sizeof much}), ERR_CANCELLED);
        CHECK_INT(end(&b, ERR_CANCELLED), budget ? OUTCOME_MEMORY : OUTCOME_MALFORMED);
        CHECK_INT(b.begins_n + b.out.n, 0);
        bench_fini(&b);
    }
}
