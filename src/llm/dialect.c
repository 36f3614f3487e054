/* SPDX-License-Identifier: MIT */
/* The table of dialects: facts of the providers' own documentation, one row each. */
#include "llm/dialect.h"

#include "base/assert.h"

#define PATH(text)               \
    {                            \
        (text), sizeof(text) - 1 \
    }

/* The plain row also serves the many providers that copied OpenAI's API: hosts of DeepSeek's models pass
 * its reason on, Zhipu reports a failure in the middle of a stream as "network_error". */
static const struct slice openai_failed[] = {
    {"insufficient_system_resource", sizeof "insufficient_system_resource" - 1},
    {"network_error", sizeof "network_error" - 1},
};

static const struct slice deepseek_failed[] = {
    {"insufficient_system_resource", sizeof "insufficient_system_resource" - 1},
    {"aborted", sizeof "aborted" - 1},
};

static const struct slice openai_ids[] = {
    {"x-request-id", sizeof "x-request-id" - 1},
};

static const struct slice deepseek_ids[] = {
    {"x-request-id", sizeof "x-request-id" - 1},
    {"x-deepseek-request-id", sizeof "x-deepseek-request-id" - 1},
};

static const struct dialect dialects[DIALECT_N] = {
    [DIALECT_OPENAI] =
        {
            .name = "openai",
            .path =
                {
                    [SURFACE_CHAT] = PATH("/chat/completions"),
                    [SURFACE_COMPLETIONS] = PATH("/completions"),
                    [SURFACE_EMBEDDINGS] = PATH("/embeddings"),
                    [SURFACE_RESPONSES] = PATH("/responses"),
                },
            .models_path = PATH("/models"),
            .failed_finish = openai_failed,
            .failed_finish_n = COUNT_OF(openai_failed),
            .request_id_headers = openai_ids,
            .request_id_headers_n = COUNT_OF(openai_ids),
        },
    [DIALECT_DEEPSEEK] =
        {
            .name = "deepseek",
            .path =
                {
                    [SURFACE_CHAT] = PATH("/chat/completions"),
                    [SURFACE_COMPLETIONS] = PATH("/beta/completions"), /* fill in the middle */
                    [SURFACE_RESPONSES] = PATH("/responses"),
                    [SURFACE_MESSAGES] = PATH("/anthropic/v1/messages"),
                },
            .models_path = PATH("/models"),
            .usage_on_last_content = true,
            .blank_lines_wait = true,
            .failed_finish = deepseek_failed,
            .failed_finish_n = COUNT_OF(deepseek_failed),
            .request_id_headers = deepseek_ids,
            .request_id_headers_n = COUNT_OF(deepseek_ids),
        },
};

const struct dialect *dialect_get(enum dialect_id id)
{
    ASSERT((unsigned)id < DIALECT_N);
    return &dialects[id];
}
