/* SPDX-License-Identifier: MIT */
/* What refusals say: the words of each provider, in every place where it puts them. */
#include "llm/refusal.h"

#include "tap.h"

static enum refusal read_as(enum dialect_id id, int status, const char *body)
{
    struct json_pool *pool = json_pool_new(4096);
    char *copy = tap_guard(body, strlen(body));
    enum refusal got = refusal_read(dialect_get(id), status, (struct slice){copy, strlen(body)}, pool);

    tap_guard_free(copy, strlen(body));
    json_pool_free(&pool);
    return got;
}

TEST(words_are_found_where_each_provider_puts_them)
{
    static const struct {
        enum dialect_id id;
        int status;
        const char *body;
        enum refusal means;
    } rows[] = {
        {DIALECT_OPENAI, 429, "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":null}}",
         REFUSAL_QUOTA},
        {DIALECT_OPENAI, 0, "{\"error\":{\"code\":\"insufficient_quota\"}}", REFUSAL_QUOTA},
        {DIALECT_OPENAI, 400, "{\"error\":{\"code\":\"billing_hard_limit_reached\"}}", REFUSAL_PLAIN},
        {DIALECT_OPENAI, 429, "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}",
         REFUSAL_BUSY},
        {DIALECT_OPENAI, 429, "insufficient_quota", REFUSAL_PLAIN},
        {DIALECT_OPENAI, 429, "", REFUSAL_PLAIN},
        {DIALECT_OPENAI, 429, "[]", REFUSAL_PLAIN},
        {DIALECT_LLAMA, 503, "Loading model", REFUSAL_LOADING},
        {DIALECT_LLAMA, 500, "Loading model", REFUSAL_PLAIN},
        {DIALECT_SGLANG, 0, "{\"object\":\"error\",\"message\":\"The request queue is full.\",\"code\":503}",
         REFUSAL_BUSY},
        {DIALECT_OLLAMA, 503, "server busy, please try again.  maximum pending requests exceeded",
         REFUSAL_BUSY},
        {DIALECT_ANTHROPIC, 429,
         "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"details\":"
         "{\"error_code\":\"enforced_spend_limit_reached\"}}}",
         REFUSAL_QUOTA},
        {DIALECT_ANTHROPIC, 429, "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\"}}",
         REFUSAL_PLAIN},
        {DIALECT_DEEPSEEK, 402,
         "{\"error\":{\"message\":\"Insufficient Balance\",\"code\":\"insufficient_quota\"}}",
         REFUSAL_PLAIN}, /* its status is the only word to trust */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!CHECK_INT(read_as(rows[i].id, rows[i].status, rows[i].body), rows[i].means))
            printf("# %s\n", rows[i].body);
    }
}

/* Every sign of every dialect is found in an answer that was made after it, and only there. */
TEST(every_sign_of_the_table_is_read)
{
    for (int id = 0; id < DIALECT_N; id++) {
        const struct dialect *d = dialect_get((enum dialect_id)id);

        for (size_t i = 0; i < d->signs_n; i++) {
            const struct dialect_sign *sign = &d->signs[i];
            int status = sign->status != 0 ? sign->status : 418;
            char body[256];

            CHECK((sign->word.p != NULL) != (sign->text.p != NULL) && sign->means != REFUSAL_PLAIN);
            if (sign->word.p != NULL)
                snprintf(body, sizeof body, "{\"error\":{\"message\":\"m\",\"code\":\"%s\"}}", sign->word.p);
            else
                snprintf(body, sizeof body, "{\"error\":{\"message\":\"Sorry: %s.\"}}", sign->text.p);
            CHECK_INT(read_as((enum dialect_id)id, status, body), sign->means);
            CHECK_INT(read_as((enum dialect_id)id, status, "{\"error\":{\"message\":\"m\",\"code\":\"x\"}}"),
                      REFUSAL_PLAIN);
            if (sign->status != 0)
                CHECK_INT(read_as((enum dialect_id)id, 418, body), REFUSAL_PLAIN);
        }
    }
}

TEST(a_word_can_stand_for_the_status_that_a_stream_has_not)
{
    static const struct {
        const char *body;
        int status;
    } rows[] = {
        {"{\"error\":{\"type\":\"overloaded_error\"}}", 529},
        {"{\"error\":{\"type\":\"rate_limit_error\",\"code\":\"x\"}}", 429},
        {"{\"error\":{\"type\":\"overloaded_error\",\"code\":429}}", 429}, /* a number is plainer */
        {"{\"error\":{\"type\":\"x\",\"code\":\"insufficient_quota\"}}", 429},
        {"{\"error\":{\"type\":\"unavailable_error\",\"code\":503}}", 503},
        {"{\"error\":{\"type\":\"authentication_error\"}}", 401},
        {"{\"error\":{\"type\":\"invalid_request_error\"}}", 0}, /* said of anything */
        {"{\"error\":{\"message\":\"overloaded_error\"}}", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json_doc *doc;
        struct failure f;

        if (!CHECK_INT(json_parse(slice_of(rows[i].body), NULL, &doc, NULL), ERR_OK))
            continue;
        f = failure_read(json_root(doc));
        CHECK_INT(failure_status(&f), rows[i].status);
        json_free(&doc);
    }
}
