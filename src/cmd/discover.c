/* SPDX-License-Identifier: MIT */
/* One small conversation with each port, all at once on a loop of their own: GET /v1/models, then perhaps one
 * question more (engine.c).
 *
 * The ports are those of DESIGN 5: llama-server's present and former one, Ollama, vLLM, SGLang. For tests,
 * which cannot have these to themselves, TIDEGATE_PROBE_PORTS ("9931,8080"; empty: none) names others, and
 * TIDEGATE_PROBE_MS another patience. */
#include "cmd/discover.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cmd/engine.h"
#include "upstream/call.h"

#define USUAL_PORTS "9931,8080,11434,8000,30000"
#define PATIENCE_MS 1500
#define BODY_MAX ((size_t)1 << 20)
#define HEAD_MAX 16384

struct round;

struct probe {
    struct round *round;
    struct pool pool;
    struct call *call; /* under way, or NULL */
    struct config_engine engine;
    enum engine_state state;
    bool more; /* the second question */
    int status;
    struct header headers[32];
    size_t headers_n;
    struct buf body;
};

struct round {
    struct discovery *found;
    struct loop *loop;
    struct timer timer;
    struct probe probes[DISCOVER_MAX];
    size_t n, open_n;
};

static const struct call_cb CALL_CB;

static void ask(struct probe *p, const char *path)
{
    static const struct header HEADERS[] = {{{"Accept", 6}, {"application/json", 16}},
                                            {{"Accept-Encoding", 15}, {"identity", 8}},
                                            {{"User-Agent", 10}, {"tidegate", 8}}};
    struct call_opts o = {.request = {.method = SLICE("GET"),
                                      .path = slice_of(path),
                                      .authority = slice_of(p->engine.at),
                                      .headers = HEADERS,
                                      .headers_n = COUNT_OF(HEADERS)},
                          .head_max = HEAD_MAX};

    p->body.n = p->headers_n = 0;
    p->call = call_start(&p->pool, &o, &CALL_CB, p);
}

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct probe *p = ud;
    struct arena *arena = &p->round->found->arena;

    p->status = rs->status;
    for (size_t i = 0; i < rs->headers_n && p->headers_n < COUNT_OF(p->headers); i++)
        p->headers[p->headers_n++] =
            (struct header){arena_dup(arena, rs->headers[i].name), arena_dup(arena, rs->headers[i].value)};
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    return buf_add(&((struct probe *)ud)->body, bytes);
}

static void finish(struct probe *p)
{
    if (--p->round->open_n == 0)
        loop_real_stop(p->round->loop);
}

static void on_end(void *ud, enum err why, enum call_step step)
{
    struct probe *p = ud;
    struct engine_answer a = {p->status, p->headers, p->headers_n, buf_slice(&p->body)};
    const char *next = NULL;

    (void)step;
    p->call = NULL;
    if (why == ERR_OK && p->more)
        p->state = engine_read_more(&a, &p->engine);
    else if (why == ERR_OK)
        p->state = engine_read_models(&a, &p->round->found->arena, &p->engine, &next);
    if (next == NULL) {
        finish(p);
        return;
    }
    p->more = true;
    ask(p, next);
}

static const struct call_cb CALL_CB = {on_head, on_body, on_end};

static void on_patience_over(struct timer *t)
{
    struct round *r = CONTAINER_OF(t, struct round, timer);

    for (size_t i = 0; i < r->n; i++) {
        if (r->probes[i].call != NULL)
            call_cancel(&r->probes[i].call);
    }
    loop_real_stop(r->loop);
}

static int64_t patience_us(void)
{
    const char *set = getenv("TIDEGATE_PROBE_MS");
    uint64_t ms = PATIENCE_MS;

    if (set != NULL && !slice_to_u64(slice_of(set), 600000, &ms))
        ms = PATIENCE_MS;
    return (int64_t)ms * CLOCK_MS_US;
}

static void begin(struct round *r, uint16_t port)
{
    struct probe *p = &r->probes[r->n];
    struct pool_opts o = {.host = "127.0.0.1",
                          .port = port,
                          .connect_us = patience_us(),
                          .idle_us = CLOCK_SECOND_US,
                          .idle_max = 1};

    p->round = r;
    p->engine.at = arena_printf(&r->found->arena, "127.0.0.1:%u", (unsigned)port).p;
    buf_init(&p->body, BODY_MAX, NULL);
    pool_init(&p->pool, r->loop, &o);
    ask(p, "/v1/models");
    r->n++;
    r->open_n++;
}

static void begin_all(struct round *r)
{
    const char *set = getenv("TIDEGATE_PROBE_PORTS");
    struct slice rest = slice_of(set != NULL ? set : USUAL_PORTS);

    while (rest.n > 0 && r->n < DISCOVER_MAX) {
        struct slice port = slice_cut(rest, ',', &rest);
        uint64_t n;

        if (slice_to_u64(slice_trim(port), 65535, &n) && n > 0)
            begin(r, (uint16_t)n);
    }
}

/* In the order of the ports. */
static void collect(struct round *r)
{
    struct discovery *d = r->found;

    for (size_t i = 0; i < r->n; i++) {
        struct probe *p = &r->probes[i];

        if (p->state == ENGINE_USABLE)
            d->engines[d->n++] = p->engine;
        else if (p->state == ENGINE_LOCKED)
            d->locked[d->locked_n++] = p->engine.at;
        pool_fini(&p->pool);
        buf_fini(&p->body);
    }
}

void discover(struct discovery *d)
{
    struct real_opts o = {.seed = (uint64_t)clock_wall_us(), .pending_max = BODY_MAX};
    struct round r = {.found = d};

    *d = (struct discovery){.n = 0};
    arena_init(&d->arena, NULL, 0, 4096);
    r.loop = loop_real_new(&o);
    if (r.loop == NULL)
        return;
    timer_init(&r.timer, on_patience_over);
    begin_all(&r);
    timer_set(&r.loop->wheel, &r.timer, r.loop->now_us + patience_us());
    if (r.open_n > 0)
        loop_real_run(r.loop);
    timer_stop(&r.loop->wheel, &r.timer);
    collect(&r);
    loop_free(&r.loop);
}

void discovery_fini(struct discovery *d)
{
    arena_fini(&d->arena);
}

const struct config_engine *discovery_at(const struct discovery *d, int port)
{
    for (size_t i = 0; i < d->n; i++) {
        const char *colon = strrchr(d->engines[i].at, ':');
        uint64_t n = 0;

        if (colon != NULL && slice_to_u64(slice_of(colon + 1), 65535, &n) && (int)n == port)
            return &d->engines[i];
    }
    return NULL;
}
