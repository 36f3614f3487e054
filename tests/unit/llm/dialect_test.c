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
