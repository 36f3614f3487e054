/* SPDX-License-Identifier: MIT */
/* A client that knows no HTTP: it sends a request and keeps every byte and every read that comes back. */
#ifndef TESTS_UNIT_SIM_RAW_KIT_H
#define TESTS_UNIT_SIM_RAW_KIT_H

#include "sim_kit.h"

struct raw {
    struct kit *kit;
    struct stream *stream;
    char request[512];
    struct buf got;
    int reads_n, longest_n; /* reads, and the largest of them */
    int64_t first_us, last_us, ended_us;
    enum err why;
};

static inline void raw_on_open(void *ud)
{
    struct raw *r = ud;

    stream_send(r->stream, slice_of(r->request));
}

static inline void raw_on_data(void *ud, struct slice bytes)
{
    struct raw *r = ud;

    if (r->reads_n++ == 0)
        r->first_us = vnet_now_us(r->kit->net);
    r->last_us = vnet_now_us(r->kit->net);
    if ((int)bytes.n > r->longest_n)
        r->longest_n = (int)bytes.n;
    (void)!buf_add(&r->got, bytes);
}

static inline void raw_on_close(void *ud, enum err why)
{
    struct raw *r = ud;

    r->why = why;
    r->ended_us = vnet_now_us(r->kit->net);
    stream_close(&r->stream);
}

/* Opens a connection and asks as kit_chat does. */
static inline void raw_chat(struct raw *r, struct kit *k, const char *model, bool stream)
{
    static const struct stream_cb CB = {raw_on_open, raw_on_data, NULL, raw_on_close};
    char body[256];

    memset(r, 0, sizeof *r);
    r->kit = k;
    buf_init(&r->got, 1 << 20, NULL);
    snprintf(body, sizeof body, "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]%s}",
             model, stream ? ",\"stream\":true" : "");
    snprintf(r->request, sizeof r->request,
             "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s", strlen(body),
             body);
    r->stream = k->client->ops->connect(k->client, &k->at, 65536);
    stream_set_cb(r->stream, &CB, r);
}

static inline void raw_fini(struct raw *r)
{
    stream_close(&r->stream);
    buf_fini(&r->got);
}

#endif
