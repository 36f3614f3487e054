/* SPDX-License-Identifier: MIT */
/* For the tests of calls: one call to the scene's endpoint and what came of it. */
#ifndef TESTS_UNIT_UPSTREAM_CALL_KIT_H
#define TESTS_UNIT_UPSTREAM_CALL_KIT_H

#include "upstream_kit.h"

struct tried {
    struct scene *sc;
    struct call *call; /* NULL: over */
    size_t heads_n, ends_n;
    int status;
    struct buf body;
    enum err why;
    enum call_step step;
    /* what it does */
    enum err on_head, on_body; /* returned by the callbacks */
    bool cancel_on_head, cancel_on_body, pause_on_head, pause_on_body;
};

static inline enum err tried_head(void *ud, const struct http_response *rs)
{
    struct tried *t = ud;

    t->heads_n++;
    t->status = rs->status;
    if (t->cancel_on_head)
        call_cancel(&t->call);
    else if (t->pause_on_head)
        call_pause(t->call);
    return t->on_head;
}

static inline enum err tried_body(void *ud, struct slice bytes)
{
    struct tried *t = ud;

    CHECK_INT(buf_add(&t->body, bytes), ERR_OK);
    if (t->cancel_on_body)
        call_cancel(&t->call);
    else if (t->pause_on_body)
        call_pause(t->call);
    return t->on_body;
}

static inline void tried_end(void *ud, enum err why, enum call_step step)
{
    struct tried *t = ud;

    t->call = NULL;
    t->ends_n++;
    t->why = why;
    t->step = step;
}

static const struct call_cb TRIED_CB = {tried_head, tried_body, tried_end};

static inline struct client_request small_request(const struct slice *body)
{
    return (struct client_request){.method = SLICE("POST"),
                                   .base_path = SLICE("/v1"),
                                   .path = SLICE("/chat/completions"),
                                   .authority = SLICE("endpoint.test"),
                                   .body = body,
                                   .body_n = 1,
                                   .body_bytes = body->n};
}

static inline void tried_init(struct tried *t, struct scene *sc)
{
    *t = (struct tried){.sc = sc};
    buf_init(&t->body, (size_t)64 * 1024 * 1024, NULL);
}

/* Starts it; the request must live until it is over. */
static inline void tried_start(struct tried *t, const struct client_request *rq)
{
    struct call_opts o = {.request = *rq, .head_max = 2000};

    t->sc->l->now_us = vnet_now_us(t->sc->v);
    t->call = call_start(&t->sc->pool, &o, &TRIED_CB, t);
    CHECK_INT(t->heads_n + t->body.n + t->ends_n, 0); /* no callback inside the call */
}

static inline void tried_fini(struct tried *t)
{
    call_cancel(&t->call);
    buf_fini(&t->body);
}

static inline bool tried_body_is(const struct tried *t, const char *text)
{
    return slice_eq(buf_slice(&t->body), slice_of(text));
}

/* A small request, run for two seconds. */
static inline void tried_run(struct tried *t, struct scene *sc)
{
    static const struct slice BODY = {"{\"model\":\"any\"}", 15};
    struct client_request rq = small_request(&BODY);

    tried_init(t, sc);
    tried_start(t, &rq);
    scene_run(sc, 2 * CLOCK_SECOND_US);
}

#endif
