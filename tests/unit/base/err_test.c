/* SPDX-License-Identifier: MIT */
/* Every row of errors.def: what clients, logs and the manual rely on. */
#include "base/err.h"

#include <pthread.h>

#include "base/assert.h"
#include "tap.h"

static bool is_word(const char *s)
{
    return *s && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

static bool is_known_type(const char *type)
{
    static const char *const types[] = {"invalid_request_error", "rate_limit_error", "server_error"};

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (strcmp(type, types[i]) == 0)
            return true;
    }
    return false;
}

/* A client's mistake does not go away by itself; only waiting, limits and haste do. */
static bool is_worth_a_retry(int status)
{
    return status >= 500 || status == 408 || status == 429;
}

TEST(codes_and_names_are_unique_words)
{
    for (int i = 0; i < ERR_N; i++) {
        const struct err_row *a = err_row((enum err)i);
        if (!CHECK(is_word(a->code) && is_word(a->name)))
            printf("# row %s\n", a->name);
        for (int k = 0; k < i; k++) {
            const struct err_row *b = err_row((enum err)k);
            if (!CHECK(strcmp(a->code, b->code) != 0 && strcmp(a->name, b->name) != 0))
                printf("# rows %s and %s\n", a->name, b->name);
        }
    }
}

TEST(statuses_are_sane)
{
    for (int i = 1; i < ERR_N; i++) {
        const struct err_row *row = err_row((enum err)i);
        bool shown = row->status != 0;
        bool sane = !shown || (row->status >= 400 && row->status <= 599);
        sane = sane && (shown ? is_known_type(row->type) && row->advice[0] : !row->type[0]);
        sane = sane && (shown || row->should_retry == RETRY_UNSAID);
        sane = sane && !(shown && row->should_retry == RETRY_YES && !is_worth_a_retry(row->status));
        sane = sane && (row->status != 429 || strcmp(row->type, "rate_limit_error") == 0);
        sane = sane && (row->status < 500 || strncmp(row->type, "rate", 4) != 0);
        if (!CHECK(sane))
            printf("# row %s\n", row->name);
    }
}

TEST(texts_are_sentences)
{
    for (int i = 0; i < ERR_N; i++) {
        const struct err_row *row = err_row((enum err)i);
        size_t text_n = strlen(row->text), advice_n = strlen(row->advice);
        bool fine = text_n > 0 && row->text[text_n - 1] == '.' && !strpbrk(row->text, "\n\t");
        fine = fine && (advice_n == 0 || row->advice[advice_n - 1] == '.');
        if (!CHECK(fine))
            printf("# row %s\n", row->name);
    }
}

TEST(rows_are_found_by_their_constant)
{
    CHECK_INT(ERR_OK, 0);
    CHECK_STR(err_row(ERR_OK)->name, "ok");
    CHECK_STR(err_row(ERR_QUEUE_FULL)->name, "queue_full");
    CHECK_STR(err_row(ERR_QUEUE_FULL)->code, "queue_full");
    CHECK_INT(err_row(ERR_QUEUE_FULL)->status, 429);
    CHECK_STR(err_row(ERR_UPSTREAM_PROGRESS_TIMEOUT)->name, "upstream_progress_timeout");
    CHECK_STR(err_row(ERR_UPSTREAM_PROGRESS_TIMEOUT)->code, "upstream_stalled");
    CHECK_INT(err_row(ERR_CONFIG)->status, 0);
}

static void *on_thread(void *arg)
{
    const char *name = err_row(ERR_BAD_JSON)->name;

    return strcmp(name, "bad_json") == 0 ? arg : NULL;
}

TEST(any_thread_may_ask_first)
{
    pthread_t threads[4];
    int mark;

    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, on_thread, &mark), 0);
    for (int i = 0; i < 4; i++) {
        void *got = NULL;
        pthread_join(threads[i], &got);
        CHECK(got == &mark);
    }
}
