/* SPDX-License-Identifier: MIT */
/* HTTP errors in the shapes of those who send them (conventions 1.4, 2.1, 2.11, 3.1). */
#include "base/assert.h"
#include "sim/inside.h"

#define ERROR_MAX_BYTES 8192

#define ROW(status_, type_, code_, param_, text_)                                                 \
    {                                                                                             \
        .status = (status_), .type = (type_), .code = (code_), .param = (param_), .text = (text_) \
    }
#define SHAPED(status_, type_, text_, shape_)                                    \
    {                                                                            \
        .status = (status_), .type = (type_), .text = (text_), .shape = (shape_) \
    }

static const struct sim_error ERRORS[SIM_FAULT_N] = {
    [SIM_400] = ROW(400, "invalid_request_error", "invalid_value", "messages", "The request is invalid."),
    [SIM_401] = ROW(401, "authentication_error", "invalid_request_error", NULL,
                    "Authentication Fails, Your api key: ****test is invalid"),
    [SIM_402] = ROW(402, "unknown_error", "invalid_request_error", NULL, "Insufficient Balance"),
    [SIM_404] = ROW(404, "invalid_request_error", "model_not_found", "model", "The model does not exist."),
    [SIM_422] =
        ROW(422, "invalid_request_error", "invalid_parameter", "temperature", "A parameter is invalid."),
    [SIM_429] = ROW(429, "requests", "rate_limit_exceeded", NULL,
                    "Rate limit reached: this account has too many calls in flight."),
    [SIM_500] = ROW(500, "server_error", "internal_error", NULL,
                    "The server had an error while processing your request."),
    [SIM_502] = SHAPED(502, NULL, "502 Bad Gateway", SIM_SHAPE_HTML),
    [SIM_503] =
        ROW(503, "server_error", "overloaded", NULL, "The server is overloaded: please try again later."),
    [SIM_529] = SHAPED(529, "overloaded_error", "Overloaded", SIM_SHAPE_ANTHROPIC),
    [SIM_LOADING] = SHAPED(503, "unavailable_error", "Loading model", SIM_SHAPE_LLAMA),
    [SIM_ERROR] = ROW(200, "server_error", "internal_error", NULL,
                      "The server had an error while processing your request."),
};

const struct sim_error *sim_error_of(enum sim_fault f)
{
    ASSERT(ERRORS[f].status != 0);
    return &ERRORS[f];
}

struct header sim_request_id(struct sim *s)
{
    struct slice id = arena_printf(&s->loop->turn, "sim-%012llx", (unsigned long long)++s->request_ids_n);

    return (struct header){SLICE("X-Request-Id"), id};
}

static struct slice type_of(struct slice body)
{
    if (slice_starts(body, SLICE("<")))
        return SLICE("text/html");
    return slice_starts(body, SLICE("#")) ? SLICE("text/plain; version=0.0.4") : SLICE("application/json");
}

void sim_respond(struct sim *s, struct conn *c, int status, struct header more, struct slice body)
{
    struct header h[3] = {{SLICE("Content-Type"), type_of(body)}, sim_request_id(s), more};

    conn_respond(c, status, h, more.name.n > 0 ? 3 : 2, body);
}

static void add_nullable(struct buf *b, const char *name, const char *value)
{
    (void)!buf_printf(b, ",\"%s\":", name);
    if (value != NULL)
        (void)!buf_add_json_string(b, slice_of(value));
    else
        (void)!buf_add(b, SLICE("null"));
}

static void add_openai(struct buf *b, const struct sim_error *error)
{
    (void)!buf_add(b, SLICE("{\"error\":{\"message\":"));
    (void)!buf_add_json_string(b, slice_of(error->text));
    add_nullable(b, "type", error->type);
    add_nullable(b, "param", error->param);
    add_nullable(b, "code", error->code);
    (void)!buf_add(b, SLICE("}}"));
}

struct slice sim_error_body(struct sim *s, const struct sim_error *error)
{
    struct slice body;
    struct buf b;

    buf_init(&b, ERROR_MAX_BYTES, NULL);
    switch (error->shape) {
    case SIM_SHAPE_OPENAI:
        add_openai(&b, error);
        break;
    case SIM_SHAPE_ANTHROPIC:
        (void)!buf_printf(&b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", error->type);
        (void)!buf_add_json_string(&b, slice_of(error->text));
        (void)!buf_add(&b, SLICE("}}"));
        break;
    case SIM_SHAPE_LLAMA:
        (void)!buf_printf(&b, "{\"error\":{\"code\":%d,\"message\":\"%s\",\"type\":\"%s\"}}", error->status,
                          error->text, error->type);
        break;
    case SIM_SHAPE_HTML:
        (void)!buf_printf(&b, "<html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n",
                          error->text, error->text);
        break;
    }
    body = arena_dup(&s->loop->turn, buf_slice(&b));
    buf_fini(&b);
    return body;
}

void sim_refuse(struct sim *s, struct conn *c, const struct sim_error *error)
{
    sim_respond(s, c, error->status, error->more, sim_error_body(s, error));
}
