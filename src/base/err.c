/* SPDX-License-Identifier: MIT */
/* The rows of errors.def. Names for logs are the enum's names in lower case, folded once on first use. */
#include "base/err.h"

#include <pthread.h>
#include <stddef.h>

#include "base/assert.h"

#define NAME_MAX_BYTES 40

#define ERR(name, status, type, code, should_retry, text, advice) \
    _Static_assert(sizeof(#name) <= NAME_MAX_BYTES, #name " is too long");
#include "base/errors.def"
#undef ERR

static char names[ERR_N][NAME_MAX_BYTES] = {
    "OK",
#define ERR(name, status, type, code, should_retry, text, advice) #name,
#include "base/errors.def"
#undef ERR
};

static const struct err_row rows[ERR_N] = {
    {names[ERR_OK], 200, RETRY_UNSAID, "", "ok", "All is well.", ""},
#define ERR(name, status, type, code, should_retry, text, advice) \
    {names[ERR_##name], status, should_retry, type, code, text, advice},
#include "base/errors.def"
#undef ERR
};

static void on_first_use(void)
{
    for (size_t i = 0; i < ERR_N; i++) {
        for (char *p = names[i]; *p; p++) {
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p + ('a' - 'A'));
        }
    }
}

const struct err_row *err_row(enum err e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    ASSERT((unsigned)e < ERR_N);
    pthread_once(&once, on_first_use);
    return &rows[e];
}
