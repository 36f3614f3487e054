/* SPDX-License-Identifier: MIT */
/* The table of dialects is complete, and the rows say what the providers document. */
#include "llm/dialect.h"

#include "tap.h"

static bool fails_with(enum dialect_id id, const char *reason)
{
    const struct dialect *d = dialect_get(id);

    for (size_t i = 0; i < d->failed_finish_n; i++) {
        if (slice_eq(d->failed_finish[i], slice_of(reason)))
            return true;
    }
    return false;
}

TEST(every_row_is_complete)
{
    for (int i = 0; i < DIALECT_N; i++) {
        const struct dialect *d = dialect_get((enum dialect_id)i);

        CHECK(d->name && d->name[0]);
        for (int k = 0; k < SURFACE_N; k++)
            CHECK(d->path[k].n == 0 || (d->path[k].n > 1 && d->path[k].p[0] == '/'));
        CHECK(d->models_path.n > 1 && d->models_path.p[0] == '/');
        CHECK(d->failed_finish_n == 0 || d->failed_finish);
        CHECK(d->request_id_headers_n > 0 && d->request_id_headers[0].n > 0);
    }
}

TEST(rows_say_what_the_providers_document)
{
    CHECK_STR(dialect_get(DIALECT_OPENAI)->name, "openai");
    CHECK(!dialect_get(DIALECT_OPENAI)->usage_on_last_content);
    CHECK(!dialect_get(DIALECT_OPENAI)->blank_lines_wait);
    CHECK(dialect_get(DIALECT_OPENAI)->path[SURFACE_MESSAGES].n == 0);
    CHECK_STR(dialect_get(DIALECT_DEEPSEEK)->path[SURFACE_MESSAGES].p, "/anthropic/v1/messages");
    CHECK(dialect_get(DIALECT_DEEPSEEK)->path[SURFACE_EMBEDDINGS].n == 0);
    CHECK_STR(dialect_get(DIALECT_DEEPSEEK)->name, "deepseek");
    CHECK(dialect_get(DIALECT_DEEPSEEK)->usage_on_last_content);
    CHECK(dialect_get(DIALECT_DEEPSEEK)->blank_lines_wait);
    CHECK(fails_with(DIALECT_DEEPSEEK, "insufficient_system_resource"));
    CHECK(fails_with(DIALECT_DEEPSEEK, "aborted"));
    CHECK(!fails_with(DIALECT_DEEPSEEK, "stop"));
    CHECK(!fails_with(DIALECT_OPENAI, "content_filter"));
}

/* A second opinion on the table, provider by provider. */
TEST(each_provider_speaks_its_routes_and_asks_for_its_headers)
{
    static const struct {
        const char *name;
        enum dialect_id id;
        const char *chat, *completions, *embeddings, *responses, *messages;
        bool api_key; /* of messages */
        const char *failed_finish, *request_id;
    } rows[] = {
        {"openai", DIALECT_OPENAI, "/chat/completions", "/completions", "/embeddings", "/responses", "",
         false, "network_error", "x-request-id"},
        {"deepseek", DIALECT_DEEPSEEK, "/chat/completions", "/beta/completions", "", "/responses",
         "/anthropic/v1/messages", true, "aborted", "x-request-id"},
        {"llama", DIALECT_LLAMA, "/chat/completions", "/completions", "/embeddings", "/responses",
         "/messages", false, "", "x-request-id"},
        {"vllm", DIALECT_VLLM, "/chat/completions", "/completions", "/embeddings", "/responses", "/messages",
         false, "abort", "x-request-id"},
        {"sglang", DIALECT_SGLANG, "/chat/completions", "/completions", "/embeddings", "/responses",
         "/messages", false, "abort", "x-request-id"},
        {"ollama", DIALECT_OLLAMA, "/chat/completions", "/completions", "/embeddings", "/responses",
         "/messages", false, "", "x-request-id"},
        {"anthropic", DIALECT_ANTHROPIC, "/chat/completions", "", "", "", "/messages", true, "",
         "request-id"},
        {"tidegate", DIALECT_TIDEGATE, "/chat/completions", "/completions", "/embeddings", "/responses",
         "/messages", false, "abort", "x-request-id"},
    };

    CHECK_INT(sizeof rows / sizeof rows[0], DIALECT_N);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct dialect *d = dialect_get(rows[i].id);
        const char *const paths[SURFACE_N] = {
            [SURFACE_CHAT] = rows[i].chat,
            [SURFACE_COMPLETIONS] = rows[i].completions,
            [SURFACE_EMBEDDINGS] = rows[i].embeddings,
            [SURFACE_RESPONSES] = rows[i].responses,
            [SURFACE_MESSAGES] = rows[i].messages,
        };

        CHECK_STR(d->name, rows[i].name);
        for (int k = 0; k < SURFACE_N; k++) {
            CHECK(slice_eq(d->path[k], slice_of(paths[k])));
            CHECK_INT(dialect_takes_api_key(d, (enum surface_id)k), k == SURFACE_MESSAGES && rows[i].api_key);
        }
        CHECK(rows[i].failed_finish[0] ? fails_with(rows[i].id, rows[i].failed_finish)
                                       : d->failed_finish_n == 0);
        CHECK(slice_eq(d->request_id_headers[0], slice_of(rows[i].request_id)));
        CHECK(!fails_with(rows[i].id, "length") && !fails_with(rows[i].id, "repetition"));
    }
}

TEST(deepseeks_beta_is_a_base_for_chat_alone)
{
    const struct dialect *d = dialect_get(DIALECT_DEEPSEEK);

    CHECK(slice_eq(dialect_base(d, SURFACE_CHAT, SLICE("/beta")), SLICE("/beta")));
    CHECK(slice_eq(dialect_base(d, SURFACE_COMPLETIONS, SLICE("/beta")), SLICE("")));
    CHECK(slice_eq(dialect_base(d, SURFACE_MESSAGES, SLICE("/mirror/beta")), SLICE("/mirror")));
    CHECK(slice_eq(dialect_base(d, SURFACE_MESSAGES, SLICE("/v1")), SLICE("/v1")));
    CHECK(
        slice_eq(dialect_base(dialect_get(DIALECT_VLLM), SURFACE_MESSAGES, SLICE("/beta")), SLICE("/beta")));
}
