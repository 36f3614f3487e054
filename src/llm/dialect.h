/* SPDX-License-Identifier: MIT */
/* What differs between the providers, as one table row each. */
#ifndef LLM_DIALECT_H
#define LLM_DIALECT_H

#include <stdbool.h>

#include "base/slice.h"
#include "llm/surface.h"

enum dialect_id { DIALECT_OPENAI, DIALECT_DEEPSEEK, DIALECT_N };

struct dialect {
    const char *name;             /* "openai" */
    struct slice path[SURFACE_N]; /* behind the base path: "/chat/completions"; empty: not spoken */
    struct slice models_path;
    bool usage_on_last_content; /* usage rides on the last content chunk instead of on one of its own */
    bool blank_lines_wait;      /* blank lines before a plain answer mean "queued" */
    /* finish_reason values inside a 200 that are failures of the server ("insufficient_system_resource") */
    const struct slice *failed_finish;
    size_t failed_finish_n;
    const struct slice *request_id_headers; /* where the provider puts its request id, in order of trust */
    size_t request_id_headers_n;
};

const struct dialect *dialect_get(enum dialect_id id);

#endif
