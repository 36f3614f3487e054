/* SPDX-License-Identifier: MIT */
/* For tests of the verdict: one of them, the response of a call fed to it, and what it passes on. */
#ifndef TESTS_UNIT_GATEWAY_VERDICT_KIT_H
#define TESTS_UNIT_GATEWAY_VERDICT_KIT_H

#include "gateway/verdict.h"

#include "base/assert.h"
#include "base/clock.h"
#include "tap.h"

#define ANSWER_MAX 4096
#define ANSWER                                                                             \
    "{\"id\":\"c\",\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"hi\"}," \
    "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}"
#define TOKEN "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
#define STOP "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"

struct bench {
    struct verdict v;
    struct verdict_opts opts;
    struct arena scratch, arena;
    struct budget budget;
    struct buf out;
    size_t begins_n, dones_n, wrong_n;
    int64_t length;
    bool payload;
};

static inline void on_begin(void *ud, int64_t length)
{
    struct bench *b = ud;

    b->wrong_n += b->begins_n > 0;
    b->begins_n++;
    b->length = length;
}

static inline void on_event(void *ud, struct slice bytes)
{
    struct bench *b = ud;

    b->wrong_n += b->begins_n == 0 || b->dones_n > 0;
    b->wrong_n += buf_add(&b->out, bytes) != ERR_OK;
}

static inline void on_done(void *ud)
{
    struct bench *b = ud;

    b->wrong_n += b->begins_n == 0 || b->dones_n > 0;
    b->dones_n++;
}

static const struct verdict_sink BENCH_SINK = {on_begin, on_event, on_done, NULL};

static inline void bench_init(struct bench *b, bool stream)
{
    memset(b, 0, sizeof *b);
    budget_init(&b->budget, 1 << 20);
    arena_init(&b->scratch, NULL, 0, 4096);
    arena_init(&b->arena, NULL, 0, 4096);
    buf_init(&b->out, 1 << 20, NULL);
    b->opts =
        (struct verdict_opts){.relay = {.answer = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)},
                                        .event_max = 4096,
                                        .budget = &b->budget,
                                        .json = json_pool_new(16384),
                                        .scratch = &b->scratch},
                              .stream = stream,
                              .answer_max = ANSWER_MAX,
                              .arena = &b->arena,
                              .wall_us = 1793318400 * CLOCK_SECOND_US};
}

/* Before verdict_init a test may change the options. */
static inline void bench_begin(struct bench *b)
{
    verdict_init(&b->v, &b->opts, &BENCH_SINK, b);
}

static inline void bench_fini(struct bench *b)
{
    CHECK_INT(b->wrong_n, 0);
    verdict_fini(&b->v);
    CHECK_INT(budget_used(&b->budget), 0);
    buf_fini(&b->out);
    arena_fini(&b->scratch);
    arena_fini(&b->arena);
    json_pool_free(&b->opts.relay.json);
}

/* The head with up to two headers besides the content type; names NULL: none. */
static inline enum err head(struct bench *b, int status, const char *type, int64_t length, const char *name,
                            const char *value)
{
    struct header h[2] = {{SLICE("Content-Type"), slice_of(type)}, {slice_of(name), slice_of(value)}};
    struct http_response rs = {.status = status,
                               .minor = 1,
                               .headers = h,
                               .headers_n = name != NULL ? 2 : 1,
                               .content_length = length,
                               .chunked = length < 0,
                               .keep_alive = true};

    return verdict_head(&b->v, &rs);
}

static inline enum err body(struct bench *b, struct slice bytes)
{
    bool payload = false;
    enum err e = verdict_body(&b->v, bytes, &payload);

    b->payload |= payload;
    return e;
}

static inline enum outcome end(struct bench *b, enum err why)
{
    return verdict_end(&b->v, why, false, true);
}

/* A whole response with this body; the outcome. */
static inline enum outcome answer(struct bench *b, int status, const char *type, const char *text)
{
    enum err e;

    bench_begin(b);
    e = head(b, status, type, (int64_t)strlen(text), NULL, NULL);
    if (e == ERR_OK)
        e = body(b, slice_of(text));
    return end(b, e);
}

static inline bool out_is(const struct bench *b, const char *text)
{
    return CHECK_MEM(b->out.p, b->out.n, text, strlen(text));
}

#endif
