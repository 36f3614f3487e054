/* SPDX-License-Identifier: MIT */
/* Finds message, code and status in the error forms that are in use.
 *
 * | who                      | form                                                            |
 * | OpenAI, DeepSeek, most   | {"error":{"message","type","param","code"}}                     |
 * | Ollama, older engines    | {"error":"text"}                                                |
 * | Google's OpenAI route    | [{"error":{"code":429,"message","status":"RESOURCE_EXHAUSTED"}}] |
 * | vLLM                     | {"object":"error","message","type","param","code":400}          |
 * | Alibaba                  | {"code":"Throttling","message"}                                 |
 * | llama.cpp                | {"error":{"code":400,"message","type":"exceed_context_size_error"}} |
 * | FastAPI                  | {"detail":"text"} or {"detail":[{"msg"}]}                       |
 * | SiliconFlow              | "text"                                                          | */
#include "llm/failure.h"

bool failure_is_truthy(struct json_value error)
{
    if (json_is_object(error) || json_true(error))
        return true;
    if (json_is_number(error))
        return json_double(error, 0) != 0;
    return json_string(error).n > 0 || json_count(error) > 0;
}

bool failure_is_flat(struct json_value root)
{
    if (slice_eq(json_string(json_get(root, "object")), SLICE("error")))
        return true;
    return json_string(json_get(root, "message")).n > 0 && !json_is_absent(json_get(root, "code"));
}

static struct slice first_text(struct json_value object, const char *const *names)
{
    struct slice text = SLICE_NONE;

    for (; *names && text.n == 0; names++)
        text = json_string(json_get(object, *names));
    return text;
}

struct failure failure_read(struct json_value root)
{
    static const char *const names[] = {"message", "detail", "msg", "error", NULL};
    struct json_value from = json_is_array(root) ? json_at(root, 0) : root;
    struct json_value error = json_get(from, "error");
    struct failure f = {.message = json_string(from)};

    if (json_is_object(error))
        from = error;
    if (f.message.n == 0)
        f.message = first_text(from, names);
    if (f.message.n == 0)
        f.message = json_string(error);
    if (f.message.n == 0)
        f.message = json_string(json_get(json_at(json_get(from, "detail"), 0), "msg"));
    f.type = json_get(from, "type");
    f.code = json_get(from, "code");
    f.status = json_get(from, "status");
    f.param = json_get(from, "param");
    return f;
}

static int status_of(struct json_value v)
{
    struct slice digits = json_string(v);
    uint64_t number = 0;

    if (json_is_number(v))
        number = (uint64_t)json_int(v, 0);
    else if (digits.n != 3 || !slice_to_u64(digits, 599, &number))
        return 0;
    return number >= 400 && number <= 599 ? (int)number : 0;
}

int failure_status(const struct failure *f)
{
    int status = status_of(f->code);

    return status != 0 ? status : status_of(f->status);
}
