/* SPDX-License-Identifier: MIT */
/* The busy answers of the providers as they come over the wire (conventions of each engine, told apart by its
 * dialect), and the outcome of each: with the gateway's key, with the client's, and inside a stream. */
#include "verdict_kit.h"

struct golden {
    enum dialect_id id;
    int status;
    const char *body;
    enum outcome own, client;
};

#define BOTH(outcome) OUTCOME_##outcome, OUTCOME_##outcome
#define MONEY OUTCOME_BALANCE, OUTCOME_CLIENT_CREDENTIAL
#define TOO_MANY OUTCOME_ACCOUNT_BUSY, OUTCOME_CLIENT_BUSY

static const struct golden GOLDENS[] = {
    /* OpenAI, and those that copied its API */
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"Rate limit reached for gpt-5 in organization org-x on requests per min "
     "(RPM).\","
     "\"type\":\"requests\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}",
     TOO_MANY},
    {DIALECT_OPENAI, 429,
     "{\"error\":{\"message\":\"You exceeded your current quota, please check your plan and billing "
     "details.\","
     "\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}",
     MONEY},
    {DIALECT_OPENAI, 503, "{\"error\":{\"message\":\"Slow down\",\"type\":\"server_error\"}}",
     BOTH(SERVER_BUSY)},
    {DIALECT_OPENAI, 429, "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}",
     BOTH(SERVER_BUSY)},
    {DIALECT_OPENAI, 503,
     "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
     BOTH(LOADING)},
    /* DeepSeek: the status is the only reliable discriminator */
    {DIALECT_DEEPSEEK, 402,
     "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"param\":null,"
     "\"code\":\"invalid_request_error\"}}",
     MONEY},
    {DIALECT_DEEPSEEK, 429, "{\"error\":{\"message\":\"Rate limit reached\",\"type\":\"unknown_error\"}}",
     TOO_MANY},
    {DIALECT_DEEPSEEK, 503, "{\"error\":{\"message\":\"Service is too busy.\"}}", BOTH(SERVER_BUSY)},
    {DIALECT_DEEPSEEK, 422, "{\"error\":{\"message\":\"Invalid Parameters\"}}", BOTH(CLIENT_ERROR)},
    /* llama-server */
    {DIALECT_LLAMA, 503,
     "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
     BOTH(LOADING)},
    {DIALECT_LLAMA, 503, "upstream connect error", BOTH(SERVER_BUSY)},
    {DIALECT_LLAMA, 400,
     "{\"error\":{\"code\":400,\"message\":\"the request exceeds the available context size\","
     "\"type\":\"exceed_context_size_error\"}}",
     BOTH(CLIENT_ERROR)},
    {DIALECT_LLAMA, 501,
     "{\"error\":{\"code\":501,\"message\":\"This server does not support "
     "it.\",\"type\":\"not_supported_error\"}}",
     BOTH(SERVER_ERROR)},
    /* vLLM */
    {DIALECT_VLLM, 404,
     "{\"error\":{\"message\":\"The model `x` does not "
     "exist.\",\"type\":\"NotFoundError\",\"param\":\"model\","
     "\"code\":404}}",
     BOTH(CLIENT_ERROR)},
    {DIALECT_VLLM, 500,
     "{\"error\":{\"message\":\"EngineCore encountered an "
     "issue.\",\"type\":\"InternalServerError\",\"code\":500}}",
     BOTH(SERVER_ERROR)},
    {DIALECT_VLLM, 503, "", BOTH(SERVER_BUSY)},
    /* SGLang: flat */
    {DIALECT_SGLANG, 503,
     "{\"object\":\"error\",\"message\":\"The request queue is full.\",\"type\":\"ServiceUnavailableError\","
     "\"param\":null,\"code\":503}",
     BOTH(SERVER_BUSY)},
    {DIALECT_SGLANG, 500, "{\"object\":\"error\",\"message\":\"The request queue is full.\",\"code\":500}",
     BOTH(SERVER_BUSY)},
    {DIALECT_SGLANG, 400, "{\"object\":\"error\",\"message\":\"Bad.\",\"code\":400}", BOTH(CLIENT_ERROR)},
    /* Ollama */
    {DIALECT_OLLAMA, 503,
     "{\"error\":{\"message\":\"server busy, please try again.  maximum pending requests exceeded\","
     "\"type\":\"api_error\"}}",
     BOTH(SERVER_BUSY)},
    {DIALECT_OLLAMA, 500, "{\"error\":\"server busy, please try again.  maximum pending requests exceeded\"}",
     BOTH(SERVER_BUSY)},
    {DIALECT_OLLAMA, 500, "{\"error\":{\"message\":\"model runner has stopped\",\"type\":\"api_error\"}}",
     BOTH(SERVER_ERROR)},
    {DIALECT_OLLAMA, 404, "{\"error\":{\"message\":\"model 'x' not found\",\"type\":\"not_found_error\"}}",
     BOTH(CLIENT_ERROR)},
    /* Anthropic */
    {DIALECT_ANTHROPIC, 529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     BOTH(SERVER_BUSY)},
    {DIALECT_ANTHROPIC, 429,
     "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Slow.\"}}", TOO_MANY},
    {DIALECT_ANTHROPIC, 429,
     "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Spend.\",\"details\":"
     "{\"error_code\":\"enforced_spend_limit_reached\"}}}",
     MONEY},
    {DIALECT_ANTHROPIC, 400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is "
     "too low "
     "to access the API.\"}}",
     MONEY},
    {DIALECT_ANTHROPIC, 402,
     "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"Pay.\"}}", MONEY},
    {DIALECT_ANTHROPIC, 400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"max_tokens: "
     "missing\"}}",
     BOTH(CLIENT_ERROR)},
    /* another gateway */
    {DIALECT_TIDEGATE, 503,
     "{\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":\"upstream_loading\"}}",
     BOTH(LOADING)},
    {DIALECT_TIDEGATE, 429, "{\"error\":{\"message\":\"m\",\"code\":\"queue_full\"}}", BOTH(SERVER_BUSY)},
    {DIALECT_TIDEGATE, 429, "{\"error\":{\"message\":\"m\",\"code\":\"wait_too_long\"}}", BOTH(SERVER_BUSY)},
    {DIALECT_TIDEGATE, 429, "{\"error\":{\"message\":\"m\",\"code\":\"upstream_rate_limited\"}}", TOO_MANY},
    {DIALECT_TIDEGATE, 504, "{\"error\":{\"message\":\"m\",\"code\":\"deadline_exceeded\"}}",
     BOTH(SERVER_BUSY)},
    {DIALECT_TIDEGATE, 504, "{\"error\":{\"message\":\"m\",\"code\":\"upstream_stalled\"}}",
     BOTH(SERVER_ERROR)},
    {DIALECT_TIDEGATE, 502, "{\"error\":{\"message\":\"m\",\"code\":\"upstream_balance_exhausted\"}}", MONEY},
    {DIALECT_TIDEGATE, 502, "{\"error\":{\"message\":\"m\",\"code\":\"upstream_credential_refused\"}}",
     OUTCOME_CREDENTIAL, OUTCOME_CLIENT_CREDENTIAL},
    {DIALECT_TIDEGATE, 508, "{\"error\":{\"message\":\"m\",\"code\":\"loop_detected\"}}", BOTH(CLIENT_ERROR)},
};

TEST(every_busy_answer_has_its_outcome)
{
    for (size_t i = 0; i < COUNT_OF(GOLDENS) * 4; i++) {
        const struct golden *g = &GOLDENS[i / 4];
        enum outcome got;
        struct bench b;

        bench_init(&b, i / 2 % 2);
        b.opts.client_key = i % 2;
        b.opts.relay.answer.dialect = dialect_get(g->id);
        got = answer(&b, g->status, "application/json", g->body);
        if (!CHECK_INT(got, i % 2 ? g->client : g->own))
            printf("# %s %d %s\n", dialect_get(g->id)->name, g->status, g->body);
        CHECK_INT(b.begins_n, 0);
        bench_fini(&b);
    }
}

/* Of these no part has been sent yet when they come, so another endpoint can still answer. */
TEST(the_same_words_count_inside_a_success)
{
    static const struct golden ROWS[] = {
        {DIALECT_ANTHROPIC, 0,
         "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"O.\"}}",
         BOTH(SERVER_BUSY)},
        {DIALECT_OPENAI, 0, "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\"}}", MONEY},
        {DIALECT_OPENAI, 0, "{\"error\":{\"message\":\"m\",\"code\":\"rate_limit_exceeded\"}}", TOO_MANY},
        {DIALECT_LLAMA, 0,
         "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}",
         BOTH(LOADING)},
        {DIALECT_SGLANG, 0, "{\"error\":{\"message\":\"The request queue is full.\",\"code\":503}}",
         BOTH(SERVER_BUSY)},
        {DIALECT_VLLM, 0, "{\"error\":{\"message\":\"m\",\"type\":\"InternalServerError\",\"code\":500}}",
         BOTH(SERVER_ERROR)},
        {DIALECT_TIDEGATE, 0, "{\"error\":{\"message\":\"m\",\"code\":\"upstream_busy\"}}",
         BOTH(SERVER_BUSY)},
        {DIALECT_DEEPSEEK, 0, "{\"error\":{\"message\":\"m\"}}", BOTH(SERVER_ERROR)},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS) * 4; i++) {
        const struct golden *g = &ROWS[i / 4];
        bool stream = i / 2 % 2;
        char text[256];
        struct bench b;

        snprintf(text, sizeof text, stream ? "data: %s\n\n" : "%s", g->body);
        bench_init(&b, stream);
        b.opts.client_key = i % 2;
        b.opts.relay.answer.dialect = dialect_get(g->id);
        CHECK_INT(answer(&b, 200, stream ? "text/event-stream" : "application/json", text),
                  i % 2 ? g->client : g->own);
        CHECK_INT(b.begins_n, 0);
        bench_fini(&b);
    }
}
