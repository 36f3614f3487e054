/* SPDX-License-Identifier: MIT */
/* For tests of large events and answers: one exchange of which the test says every byte, and helpers whose
 * time it may choose.
 *
 * Ownership: a talk is ended by talk_end, which asserts that nothing is left. */
#ifndef TESTS_UNIT_GATEWAY_JUDGING_KIT_H
#define TESTS_UNIT_GATEWAY_JUDGING_KIT_H

#include "wire_kit.h"

#define LARGE ((size_t)600 * 1024)
#define PLAIN_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define SMALL(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define STOP "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define DONE "data: [DONE]\n\n"
#define YAML ORIGIN_YAML("openai", "none") "timeouts: {drain_delay: 0s, drain: 60s}\n"

#define YAML_SHORT ORIGIN_YAML("openai", "none") "timeouts: {deadline: 50ms}\n"

struct talk {
    struct world *w;
    struct origin origin;
    struct wire client;
    struct buf text, reply;
    size_t away_n; /* the most that the helpers had in hand */
};

static inline void add(struct buf *b, const char *text)
{
    CHECK_INT(buf_add(b, slice_of(text)), ERR_OK);
}

static inline void add_letters(struct buf *b, size_t n)
{
    CHECK_INT(buf_reserve(b, n), ERR_OK);
    memset(b->p + b->n, 'x', n);
    b->n += n;
}

/* An event of about n bytes, with `more` behind its choices. */
static inline void add_event(struct buf *b, size_t n, const char *more)
{
    add(b, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
    add_letters(b, n);
    add(b, "\"}}]");
    add(b, more);
    add(b, "}\n\n");
}

static inline void talk_begin_with(struct talk *t, const char *yaml)
{
    *t = (struct talk){.w = wire_world(yaml, -1, NULL)};
    buf_init(&t->text, WIRE_MAX, NULL);
    buf_init(&t->reply, WIRE_MAX, NULL);
    origin_open(&t->origin, t->w, "");
}

static inline void talk_begin(struct talk *t)
{
    talk_begin_with(t, YAML);
}

/* The endpoint answers with t->text; `declared` more bytes are promised. */
static inline void talk_ask_with(struct talk *t, const char *headers, const char *head, size_t declared,
                                 bool stream)
{
    CHECK_INT(buf_printf(&t->reply, "%sContent-Length: %zu\r\n\r\n", head, t->text.n + declared), ERR_OK);
    CHECK_INT(buf_add(&t->reply, buf_slice(&t->text)), ERR_OK);
    t->origin.reply = buf_slice(&t->reply);
    wire_open(&t->client, t->w);
    wire_ask(&t->client, headers, story_body("any", stream, "hello", NULL));
}

static inline void talk_ask(struct talk *t, const char *head, size_t declared, bool stream)
{
    talk_ask_with(t, "", head, declared, stream);
}

/* Runs until the helpers have something in hand. */
static inline bool talk_wait_away(struct talk *t)
{
    for (int i = 0; i < 100000 && t->w->workers[0]->readings_n == 0; i++)
        world_run(t->w, 10);
    return t->w->workers[0]->readings_n > 0;
}

static inline void talk_run(struct talk *t, int64_t us)
{
    for (int64_t i = 0; i < us / 100; i++) {
        world_run(t->w, 100);
        if (t->w->workers[0]->readings_n > t->away_n)
            t->away_n = t->w->workers[0]->readings_n;
    }
}

static inline void talk_end(struct talk *t)
{
    origin_close(&t->origin);
    wire_close(&t->client);
    buf_fini(&t->text);
    buf_fini(&t->reply);
    story_end(&t->w);
}

/* The client's body without chunk sizes. */
static inline void talk_body(const struct talk *t, struct buf *out)
{
    struct slice rest = wire_body(&t->client);
    unsigned long n;

    buf_init(out, WIRE_MAX, NULL);
    while (rest.n > 0 && (n = strtoul(rest.p, NULL, 16)) > 0) {
        rest = slice_from(rest, (size_t)slice_find(rest, SLICE("\r\n")) + 2);
        CHECK_INT(buf_add(out, (struct slice){rest.p, n}), ERR_OK);
        rest = slice_from(rest, n + 2);
    }
}

/* -- helpers whose time the test chooses ---------------------------------------------------------------- */

static struct task *in_hand; /* what the helpers would have */

static inline void hold_task(struct loop *l, struct task *t)
{
    (void)l;
    CHECK(in_hand == NULL);
    in_hand = t;
}

static inline void bring_home(void)
{
    struct task *t = in_hand;

    in_hand = NULL;
    t->work(t);
    mailbox_send(t->home, &t->message);
}

/* From here on the worker's tasks wait for bring_home. *ops lives as long as the world. */
static inline void hold_tasks(struct talk *t, struct loop_ops *ops)
{
    *ops = *t->w->worker_loops[0]->ops;
    ops->offload = hold_task;
    t->w->worker_loops[0]->ops = ops;
    in_hand = NULL;
}

#endif
