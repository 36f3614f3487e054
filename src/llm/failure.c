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
 * | Anthropic                | {"type":"error","error":{"type","message","details":{"error_code"}}} |
 * | TGI                      | {"error":"text","error_type":"overloaded"}                      |
 * | SiliconFlow              | "text"                                                          | */
#include "llm/failure.h"

#include "base/assert.h"

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
    if (json_is_absent(f.type))
        f.type = json_get(from, "error_type");
    f.detail_code = json_get(json_get(from, "details"), "error_code");
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

/* Inside a stream there is no status line, and most say in a word which status it would have been. Words that
 * providers use for anything (DeepSeek's invalid_request_error on a 402) are not among them. */
static int status_of_word(struct slice word)
{
    static const struct {
        const char *word;
        int status;
    } rows[] = {
        {"authentication_error", 401}, {"invalid_api_key", 401},  {"billing_error", 402},
        {"permission_error", 403},     {"rate_limit_error", 429}, {"rate_limit_exceeded", 429},
        {"insufficient_quota", 429},   {"api_error", 500},        {"unavailable_error", 503},
        {"timeout_error", 504},        {"overloaded_error", 529},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (slice_eq(word, slice_of(rows[i].word)))
            return rows[i].status;
    }
    return 0;
}

int failure_status(const struct failure *f)
{
    int status = status_of(f->code);

    if (status == 0)
        status = status_of(f->status);
    if (status == 0)
        status = status_of_word(json_string(f->code));
    return status != 0 ? status : status_of_word(json_string(f->type));
}
