/* SPDX-License-Identifier: MIT */
/* Compares what a provider says with the signs of its dialect. */
#include "llm/refusal.h"

static bool is_word(const struct failure *f, struct slice word)
{
    return slice_eq(json_string(f->code), word) || slice_eq(json_string(f->type), word) ||
           slice_eq(json_string(f->detail_code), word);
}

static bool says(const struct dialect_sign *sign, const struct failure *f)
{
    return sign->word.p != NULL ? is_word(f, sign->word) : slice_find(f->message, sign->text) >= 0;
}

enum refusal refusal_of(const struct dialect *d, int status, const struct failure *f)
{
    for (size_t i = 0; i < d->signs_n; i++) {
        const struct dialect_sign *sign = &d->signs[i];

        if ((sign->status == 0 || sign->status == status) && says(sign, f))
            return sign->means;
    }
    return REFUSAL_PLAIN;
}

enum refusal refusal_read(const struct dialect *d, int status, struct slice body, struct json_pool *pool)
{
    struct failure f = {.message = body};
    enum refusal means;
    struct json_doc *doc;

    if (d->signs_n == 0)
        return REFUSAL_PLAIN;
    if (json_parse(body, pool, &doc, NULL) != ERR_OK)
        return refusal_of(d, status, &f);
    f = failure_read(json_root(doc));
    means = refusal_of(d, status, &f);
    json_free(&doc);
    return means;
}
