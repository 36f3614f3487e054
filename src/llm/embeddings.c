/* SPDX-License-Identifier: MIT */
/* Judges answers with embeddings: {"object":"list","data":[{"embedding":[...] or base64}],"usage":{...}}. */
#include "llm/failure.h"
#include "llm/readers.h"

static bool on_item(void *ud, struct json_value item)
{
    bool *whole = ud;

    *whole = readers_says(json_get(item, "embedding"));
    return *whole;
}

enum err embeddings_judge(const struct dialect *d, struct json_value root, struct answer *out)
{
    struct json_value data = json_get(root, "data");
    struct slice object = json_string(json_get(root, "object"));
    bool whole = true;

    readers_usage(json_get(root, "usage"), &out->usage);
    if (failure_is_truthy(json_get(root, "error")) || (json_is_absent(data) && failure_is_flat(root)))
        return readers_failed(d, root, out);
    if (!json_is_array(data) || (object.n > 0 && !slice_eq(object, SLICE("list"))))
        return ERR_UPSTREAM_MALFORMED;
    if (json_count(data) == 0)
        return ERR_UPSTREAM_EMPTY;
    json_each_element(data, on_item, &whole);
    return whole ? ERR_OK : ERR_UPSTREAM_MALFORMED;
}
