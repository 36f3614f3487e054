/* SPDX-License-Identifier: MIT */
/* A whole answer, read as every surface and dialect would: a part of what is whole never is, white space
 * around it changes nothing, and what it says of a failure becomes an error in each shape that is JSON. */
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "http/sse.h"
#include "llm/answer.h"
#include "llm/reply.h"

#define REPLY_MAX ((size_t)1 << 16)
#define SPACE " \n\t\r\n"

static struct json_pool *pool;

static void check_verdict(const struct answer *a, struct slice body)
{
    FUZZ_CHECK(a->err == ERR_OK || a->err == ERR_UPSTREAM_MALFORMED || a->err == ERR_UPSTREAM_EMPTY ||
               a->err == ERR_UPSTREAM_BUSY || a->err == ERR_UPSTREAM_ERROR);
    FUZZ_CHECK(a->error_status == 0 || (a->error_status >= 400 && a->error_status <= 599));
    FUZZ_CHECK(a->skip <= body.n && slice_trim((struct slice){body.p, a->skip}).n == 0);
    FUZZ_CHECK(a->usage.prompt_tokens >= 0 && a->usage.completion_tokens >= 0);
    FUZZ_CHECK(a->usage.cached_tokens >= 0 && a->usage.reasoning_tokens >= 0);
}

/* Whatever was broken off: its bytes up to anywhere before the last that says something. */
static void check_parts(const struct answer_opts *o, struct slice body, uint8_t how)
{
    struct slice said = slice_trim(body);
    size_t step = how > 0 ? how : 1;
    struct answer part;

    for (size_t n = 0; n < said.n; n += step) {
        char *copy = fuzz_copy((struct slice){said.p, n});

        answer_body(o, (struct slice){copy, n}, pool, &part);
        FUZZ_CHECK(part.err != ERR_OK);
        free(copy);
    }
}

static void check_padded(const struct answer_opts *o, struct slice body, const struct answer *plain)
{
    char *text = malloc(body.n + 2 * sizeof SPACE);
    struct answer padded;
    int n;

    FUZZ_CHECK(text != NULL);
    n = snprintf(text, sizeof SPACE, "%s", SPACE);
    if (body.n > 0)
        memcpy(text + n, body.p, body.n);
    memcpy(text + n + body.n, SPACE, sizeof SPACE - 1);
    answer_body(o, (struct slice){text, body.n + 2 * (sizeof SPACE - 1)}, pool, &padded);
    FUZZ_CHECK(padded.err == plain->err && padded.error_status == plain->error_status);
    FUZZ_CHECK(padded.refusal == plain->refusal);
    FUZZ_CHECK(padded.usage.known == plain->usage.known);
    FUZZ_CHECK(padded.usage.completion_tokens == plain->usage.completion_tokens);
    FUZZ_CHECK(slice_trim(body).n == 0 || padded.skip == plain->skip + sizeof SPACE - 1);
    free(text);
}

static void check_json(struct slice text)
{
    struct json_doc *doc;

    FUZZ_CHECK(json_parse(text, NULL, &doc, NULL) == ERR_OK && json_is_object(json_root(doc)));
    FUZZ_CHECK(json_is_object(json_get(json_root(doc), "error")));
    json_free(&doc);
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    ++*(int *)ud;
    check_json(ev->data);
    return ERR_OK;
}

static void check_replies(struct slice body, enum surface_errors shape)
{
    struct reply_error r = {.err = ERR_UPSTREAM_ERROR, .shape = shape, .request_id = SLICE("id")};
    struct arena arena;
    struct buf out;
    struct sse sse;
    int events_n = 0;

    arena_init(&arena, NULL, 0, 1024);
    buf_init(&out, REPLY_MAX, NULL);
    r.detail = answer_error_text(body, pool, &arena, &r.param, &r.code);
    FUZZ_CHECK(reply_error_body(&out, &r) == ERR_OK);
    check_json(buf_slice(&out));
    out.n = 0;
    FUZZ_CHECK(reply_error_event(&out, &r) == ERR_OK);
    sse_init(&sse, REPLY_MAX, NULL);
    FUZZ_CHECK(sse_feed(&sse, buf_slice(&out), on_event, &events_n) == ERR_OK);
    FUZZ_CHECK(events_n == 1 && sse_unfinished(&sse) == 0);
    sse_fini(&sse);
    buf_fini(&out);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice body = {(const char *)data, n};
    uint8_t which = fuzz_byte(&body), how = fuzz_byte(&body);
    struct answer_opts o = {surface_get((enum surface_id)(which % SURFACE_N)),
                            dialect_get((enum dialect_id)(which / SURFACE_N % DIALECT_N))};
    char *copy = fuzz_copy(body);
    struct answer a;

    if (pool == NULL)
        pool = json_pool_new(4096);
    body.p = copy;
    answer_body(&o, body, pool, &a);
    check_verdict(&a, body);
    if (a.err == ERR_OK)
        check_parts(&o, body, how);
    check_padded(&o, body, &a);
    check_replies(body, o.surface->errors);
    free(copy);
    return 0;
}
