/* SPDX-License-Identifier: MIT */
/* Verdicts on whole answers, and the words of providers that refuse. */
#include "llm/answer.h"

#include "tap.h"

#define MESSAGE(fields, reason)                                                                     \
    "{\"id\":\"1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":" \
    "\"assistant\"," fields "},\"finish_reason\":" reason                                           \
    "}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}"

static struct answer answer_of(enum dialect_id id, struct slice body)
{
    struct json_pool *pool = json_pool_new(4096);
    char *copy = tap_guard(body.p, body.n);
    struct answer a;

    memset(&a, 0x5a, sizeof a);
    answer_body(&(struct answer_opts){surface_get(SURFACE_CHAT), dialect_get(id)},
                (struct slice){copy, body.n}, pool, &a);
    tap_guard_free(copy, body.n);
    json_pool_free(&pool);
    return a;
}

static void check_body(const char *body, enum err want)
{
    if (!CHECK_INT(answer_of(DIALECT_DEEPSEEK, slice_of(body)).err, want))
        printf("# %s\n", body);
}

TEST(answers_that_are_answers)
{
    struct answer a = answer_of(DIALECT_OPENAI, SLICE(MESSAGE("\"content\":\"hi\"", "\"stop\"")));

    CHECK(a.err == ERR_OK && a.skip == 0 && a.usage.known);
    CHECK_INT(a.usage.prompt_tokens, 3);
    CHECK_INT(a.usage.completion_tokens, 2);
    check_body(MESSAGE("\"content\":null,\"tool_calls\":[{\"id\":\"c\"}]", "\"tool_calls\""), ERR_OK);
    check_body(MESSAGE("\"content\":null,\"tool_calls\":[{\"id\":\"c\"}]", "\"stop\""), ERR_OK);
    check_body(MESSAGE("\"content\":\"\",\"reasoning_content\":\"hm\"", "\"stop\""), ERR_OK);
    check_body(MESSAGE("\"content\":null,\"refusal\":\"no\"", "\"stop\""), ERR_OK);
    check_body(MESSAGE("\"content\":null,\"audio\":{\"id\":\"a\"}", "\"stop\""), ERR_OK);
    check_body(MESSAGE("\"content\":\"\"", "\"length\""), ERR_OK);
    check_body(MESSAGE("\"content\":\"\"", "\"content_filter\""), ERR_OK);
    check_body(MESSAGE("\"content\":\"x\"", "null"), ERR_OK);
    check_body("{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"},"
               "{\"message\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}]}",
               ERR_OK);
}

TEST(blank_lines_before_the_answer_are_skipped)
{
    struct answer a =
        answer_of(DIALECT_DEEPSEEK, SLICE("\n\r\n \t\n" MESSAGE("\"content\":\"hi\"", "\"stop\"")));

    CHECK_INT(a.err, ERR_OK);
    CHECK_INT(a.skip, 6);
    a = answer_of(DIALECT_DEEPSEEK, SLICE("\n\n\n"));
    CHECK_INT(a.err, ERR_UPSTREAM_EMPTY);
    CHECK_INT(a.skip, 3);
}

TEST(answers_that_are_empty)
{
    check_body("", ERR_UPSTREAM_EMPTY);
    check_body("{}", ERR_UPSTREAM_EMPTY);
    check_body("{\"choices\":[]}", ERR_UPSTREAM_EMPTY);
    check_body("{\"choices\":null,\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}",
               ERR_UPSTREAM_EMPTY);
    check_body("{\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}}",
               ERR_UPSTREAM_EMPTY);
    check_body(MESSAGE("\"content\":\"\"", "\"stop\""), ERR_UPSTREAM_EMPTY);
    check_body(MESSAGE("\"content\":null,\"tool_calls\":[],\"reasoning_content\":\"\"", "\"stop\""),
               ERR_UPSTREAM_EMPTY);
    check_body(MESSAGE("\"content\":\"\"", "null"), ERR_UPSTREAM_EMPTY);
    check_body("{\"choices\":[{\"finish_reason\":\"stop\"}]}", ERR_UPSTREAM_EMPTY);
}

TEST(answers_that_are_failures)
{
    check_body(MESSAGE("\"content\":\"half\"", "\"insufficient_system_resource\""), ERR_UPSTREAM_BUSY);
    check_body(MESSAGE("\"content\":\"\"", "\"aborted\""), ERR_UPSTREAM_BUSY);
    check_body(MESSAGE("\"content\":\"half\"", "\"error\""), ERR_UPSTREAM_ERROR);
    check_body("{\"error\":{\"message\":\"no\"}}", ERR_UPSTREAM_ERROR);
    check_body("{\"error\":\"no\"}", ERR_UPSTREAM_ERROR);
    check_body("{\"object\":\"error\",\"message\":\"no\"}", ERR_UPSTREAM_ERROR);
    check_body("{\"code\":\"Throttling\",\"message\":\"no\"}", ERR_UPSTREAM_ERROR);
    check_body("[{\"error\":{\"message\":\"no\",\"code\":429}}]", ERR_UPSTREAM_ERROR);
    check_body("\"not found\"", ERR_UPSTREAM_ERROR);
    check_body("<html></html>", ERR_UPSTREAM_MALFORMED);
    check_body("{\"choices\":[{\"message\":{\"content\":\"cut of", ERR_UPSTREAM_MALFORMED);
    check_body("[]", ERR_UPSTREAM_MALFORMED);
    check_body("7", ERR_UPSTREAM_MALFORMED);
    check_body("{\"choices\":7}", ERR_UPSTREAM_MALFORMED);
    check_body("{\"choices\":[7]}", ERR_UPSTREAM_MALFORMED);
}

TEST(no_prefix_of_an_answer_is_an_answer)
{
    static const char whole[] = MESSAGE("\"content\":\"a\\u00e4\\\"\"", "\"stop\"");

    CHECK_INT(answer_of(DIALECT_OPENAI, SLICE(whole)).err, ERR_OK);
    for (size_t n = 0; n < sizeof whole - 1; n++)
        CHECK_INT(answer_of(DIALECT_OPENAI, (struct slice){whole, n}).err,
                  n == 0 ? ERR_UPSTREAM_EMPTY : ERR_UPSTREAM_MALFORMED);
}

/* -- what a refusing provider says ----------------------------------------------------------------------- */

static void check_words(const char *body, const char *text, const char *param, const char *code)
{
    struct json_pool *pool = json_pool_new(4096);
    size_t n = strlen(body);
    char *copy = tap_guard(body, n);
    struct slice got, got_param, got_code;
    struct arena arena;

    arena_init(&arena, NULL, 0, 4096);
    got = answer_error_text((struct slice){copy, n}, pool, &arena, &got_param, &got_code);
    tap_guard_free(copy, n); /* the words must not point into the body */
    CHECK_STR(got.p, text);
    CHECK_STR(got_param.p, param);
    CHECK_STR(got_code.p, code);
    arena_fini(&arena);
    json_pool_free(&pool);
}

TEST(finds_the_words_in_every_form)
{
    check_words("{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"param\":null,"
                "\"code\":\"invalid_request_error\"}}",
                "Insufficient Balance", NULL, "invalid_request_error");
    check_words("{\"error\":{\"message\":\"too long\",\"param\":\"messages\",\"code\":400}}", "too long",
                "messages", "400");
    check_words("\n\n{\"error\":\"model 'x' not found\"}", "model 'x' not found", NULL, NULL);
    check_words("{\"object\":\"error\",\"message\":\"bad\",\"param\":\"n\",\"code\":400}", "bad", "n", "400");
    check_words("{\"error\":{\"code\":400,\"message\":\"too long\",\"type\":\"exceed_context_size_error\","
                "\"n_prompt_tokens\":7017,\"n_ctx\":512}}",
                "too long", NULL, "exceed_context_size_error");
    check_words("{\"error\":{\"code\":\"x\",\"message\":\"m\",\"type\":\"t\"}}", "m", NULL, "x");
    check_words("{\"error\":{\"code\":null,\"message\":\"m\",\"type\":\"t\"}}", "m", NULL, NULL);
    check_words("{\"code\":\"InvalidApiKey\",\"message\":\"Invalid API-key\"}", "Invalid API-key", NULL,
                "InvalidApiKey");
    check_words("[{\"error\":{\"code\":429,\"message\":\"quota\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
                "quota", NULL, "429");
    check_words("{\"detail\":\"Not Found\"}", "Not Found", NULL, NULL);
    check_words("{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}", "field required", NULL,
                NULL);
    check_words("\"Invalid token\"", "Invalid token", NULL, NULL);
    check_words("{\"error\":{\"message\":\"caf\\u00e9\\u0000\\u001b[31m\"}}", "caf\303\251  [31m", NULL,
                NULL);
}

TEST(finds_no_words_where_there_are_none)
{
    check_words("", NULL, NULL, NULL);
    check_words("<html>Bad Gateway</html>", NULL, NULL, NULL);
    check_words("{}", NULL, NULL, NULL);
    check_words("[]", NULL, NULL, NULL);
    check_words("null", NULL, NULL, NULL);
    check_words("{\"error\":{}}", NULL, NULL, NULL);
    check_words("{\"error\":{\"message\":{\"a\":1},\"code\":[1],\"param\":7}}", NULL, NULL, NULL);
    check_words("{\"error\":{\"message\":\"\",\"code\":\"\"}}", NULL, NULL, NULL);
}

TEST(an_echoed_credential_is_not_passed_on)
{
    check_words(
        "{\"error\":{\"message\":\"Incorrect API key provided: sk-proj-abcDEF012_345. See https://x.\","
        "\"code\":\"invalid_api_key\",\"param\":\"sk-abcdef0123\"}}",
        "Incorrect API key provided: sk-***. See https://x.", "sk-***", "invalid_api_key");
    check_words("{\"error\":\"got Bearer \\u0073k-abcdef012345\"}", "got Bea***", NULL, NULL);
}

TEST(long_words_are_cut)
{
    char body[2000], want[301];

    snprintf(body, sizeof body, "{\"error\":{\"message\":\"%01000d\"}}", 0);
    memset(want, '0', 300);
    want[300] = '\0';
    check_words(body, want, NULL, NULL);
}
