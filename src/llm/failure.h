/* SPDX-License-Identifier: MIT */
/* Where the providers put their words about a failure: OpenAI's nested object and its many relatives. */
#ifndef LLM_FAILURE_H
#define LLM_FAILURE_H

#include "base/json.h"

struct failure { /* borrowed from the document; absent what is not said */
    struct slice message;
    struct json_value type, code, status, param;
    struct json_value detail_code; /* Anthropic's details.error_code */
};

/* Whether an `error` member means one: an object, a non-empty string or list, true, a number other than 0. */
bool failure_is_truthy(struct json_value error);
/* Whether an object without an `error` member and without choices is a flat error: vLLM's
 * {"object":"error",...}, Alibaba's {"code":...,"message":...}. */
bool failure_is_flat(struct json_value root);
/* Reads what `root` (an object, a list with one, or a bare string) says. */
struct failure failure_read(struct json_value root);
/* The HTTP status that it names, 400..599, as a number, three digits or a word that can only mean one; 0 for
 * none. */
int failure_status(const struct failure *f);

#endif
