/* SPDX-License-Identifier: MIT */
/* Failure codes: one row of errors.def for every failure that can reach a client, a log line or a metric. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

enum err {
    ERR_OK = 0,
#define ERR(name, status, type, code, should_retry, text, advice) ERR_##name,
#include "base/errors.def"
#undef ERR
    ERR_N
};

/* Whether a client's own retry can help: becomes x-should-retry. */
enum err_retry { RETRY_YES, RETRY_NO, RETRY_UNSAID };

struct err_row {
    const char *name; /* for logs, lower case: "queue_full" */
    int status;       /* HTTP status for the client; 0: never sent to a client */
    enum err_retry should_retry;
    const char *type;   /* OpenAI error type */
    const char *code;   /* stable documented code, error.code */
    const char *text;   /* what happened, one sentence */
    const char *advice; /* what to do, one sentence; used in the manual and appended to the message */
};

/* Something ends because we have no room for it; its peer has not left. */
static inline bool err_is_for_room(enum err e)
{
    return e == ERR_MEMORY_BUDGET || e == ERR_EXHAUSTED;
}

/* The row of e; e must be in range. Row 0 says "ok". */
const struct err_row *err_row(enum err e);

#endif
