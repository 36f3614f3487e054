/* SPDX-License-Identifier: MIT */
/* A script's endpoints: they find the tag of what they are asked and answer with it, well or badly. */
#include <stdio.h>
#include <stdlib.h>

#include "support/script_peers.h"

#define CALLS_MAX 6 /* attempts of the configuration, each of which may meet one stale connection */

#define CHUNK(content, finish)                                                                               \
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{" content \
    "},\"finish_reason\":" finish "}]}\n\n"

static void say(struct script_end *e, const char *text)
{
    if (e->stream != NULL)
        stream_send(e->stream, arena_dup(&e->stream->loop->turn, slice_of(text)));
}

/* The text, and where there is one to spare a large member at the beginning of its object: then helpers read
 * it (gateway/judging.h). In the turn's memory. */
static struct slice padded(struct script_end *e, const char *text, bool large)
{
    size_t at = (size_t)(strchr(text, '{') - text) + 1, n = strlen(text);
    bool pads = large && e->scene->large_left > 0;
    size_t pad_n = pads ? SCRIPT_LARGE_BYTES : 0;
    char *out = loop_scratch(e->stream->loop, n + pad_n);

    memcpy(out, text, at);
    memset(out + at, 'x', pad_n);
    memcpy(out + at + pad_n, text + at, n - at);
    if (pads) {
        memcpy(out + at, "\"pad\":\"", 7);
        memcpy(out + at + pad_n - 2, "\",", 2);
        e->scene->large_left--;
        e->scene->tally->large_n++;
    }
    return (struct slice){out, n + pad_n};
}

static void say_chunk(struct script_end *e, const char *event, bool large)
{
    struct slice bytes = padded(e, event, large);
    char size[24];

    snprintf(size, sizeof size, "%zx\r\n", bytes.n);
    say(e, size);
    stream_send(e->stream, bytes);
    say(e, "\r\n");
}

/* -- being asked ----------------------------------------------------------------------------------------- */

/* A whole request in what has come: its length, or 0. */
static size_t whole_request(struct slice all)
{
    ptrdiff_t end = slice_find(all, SLICE("\r\n\r\n")), at = slice_find(all, SLICE("\r\nContent-Length: "));
    struct slice rest, digits;
    uint64_t n;

    if (end < 0 || at < 0 || at > end)
        return 0;
    digits = slice_cut(slice_from(all, (size_t)at + 18), '\r', &rest);
    if (!slice_to_u64(digits, SCRIPT_BYTES_MAX, &n) || all.n < (size_t)end + 4 + n)
        return 0;
    return (size_t)end + 4 + n;
}

static void be_asked(struct script_end *e, struct slice request)
{
    ptrdiff_t at = slice_find(request, SLICE("tag="));
    struct script_tag *tag;
    struct slice rest;
    uint64_t number;

    SCRIPT_CHECK(slice_find(request, SLICE(SCRIPT_KEY)) < 0);     /* the client's key stays here */
    SCRIPT_CHECK(slice_find(request, SLICE(SCRIPT_CANARY)) >= 0); /* and ours goes where it belongs */
    e->begun = e->half = false;
    e->pieces_n = 0;
    e->tag = -1;
    if (at < 0 || !slice_to_u64(slice_cut(slice_from(request, (size_t)at + 4), ';', &rest),
                                SCRIPT_TAGS_MAX - 1, &number))
        return; /* of the one that says anything */
    e->tag = (int)number;
    e->stream_asked = slice_find(request, SLICE("\"stream\":true")) >= 0;
    tag = &e->scene->tags[e->tag];
    tag->wild = tag->wild || e->wild;
    e->scene->tally->calls_n++;
    SCRIPT_CHECK(++tag->calls_n <= CALLS_MAX);
}

static void on_data(void *ud, struct slice bytes)
{
    struct script_end *e = ud;
    size_t n;

    SCRIPT_CHECK(buf_add(&e->in, bytes) == ERR_OK);
    while ((n = whole_request(buf_slice(&e->in))) > 0) {
        be_asked(e, (struct slice){e->in.p, n});
        memmove(e->in.p, e->in.p + n, e->in.n - n);
        e->in.n -= n;
    }
}

static void on_close(void *ud, enum err why)
{
    (void)why;
    stream_close(&((struct script_end *)ud)->stream);
}

static const struct stream_cb END_CB = {NULL, on_data, NULL, on_close};

static void on_accept(void *ud, struct stream *st, const struct addr *peer)
{
    struct scene *s = ud;
    struct script_end *e = &s->ends[s->ends_n];

    (void)peer;
    if (s->ends_n == SCRIPT_ENDS_MAX) {
        stream_close(&st);
        return;
    }
    s->ends_n++;
    *e = (struct script_end){.scene = s, .stream = st, .tag = -1};
    buf_init(&e->in, SCRIPT_BYTES_MAX, NULL);
    stream_set_cb(st, &END_CB, e);
}

void script_listen(struct scene *s)
{
    static const char *const AT[] = {"10.0.0.3:80", "10.0.0.4:80"};
    struct loop *l = s->w->client_loop;

    for (size_t i = 0; i < 2; i++) {
        struct addr at;

        SCRIPT_CHECK(addr_parse(slice_of(AT[i]), &at) == ERR_OK);
        SCRIPT_CHECK(l->ops->listen(l, &at, on_accept, s, &s->listeners[i], NULL) == ERR_OK);
    }
}

/* -- answering ------------------------------------------------------------------------------------------- */

static bool can_answer(const struct script_end *e)
{
    return e->stream != NULL && e->tag >= 0 && !e->wild;
}

static void note_whole(struct script_end *e)
{
    e->scene->tags[e->tag].whole[e->pieces_n < 3 ? e->pieces_n : 3] = true;
    e->tag = -1;
}

void script_begin(struct script_end *e, bool large)
{
    (void)large;
    if (!can_answer(e) || !e->stream_asked || e->begun)
        return;
    e->begun = true;
    say(e, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    say_chunk(e, CHUNK("\"role\":\"assistant\",\"content\":\"\"", "null"), false);
}

void script_piece(struct script_end *e, bool large)
{
    char event[256];

    if (!can_answer(e) || !e->begun || e->half)
        return;
    snprintf(event, sizeof event, CHUNK("\"content\":\"t%d.%d;\"", "null"), e->tag, e->pieces_n++);
    say_chunk(e, event, large);
}

void script_half(struct script_end *e, bool large)
{
    (void)large;
    if (!can_answer(e) || !e->begun || e->half)
        return;
    e->half = true; /* it never becomes an event: the endpoint says nothing more that makes sense */
    say(e, "40\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"never");
}

void script_finish(struct script_end *e, bool large)
{
    if (!can_answer(e) || !e->begun || e->half)
        return;
    say_chunk(e, CHUNK("", "\"stop\""), large);
    say(e, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    note_whole(e);
}

static void answer_plain(struct script_end *e, bool large)
{
    char body[256], head[256];
    struct slice bytes;

    e->pieces_n = 1;
    snprintf(body, sizeof body,
             "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
             "\"assistant\",\"content\":\"t%d.0;\"},\"finish_reason\":\"stop\"}]}",
             e->tag);
    bytes = padded(e, body, large);
    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", bytes.n);
    say(e, head);
    stream_send(e->stream, bytes);
    note_whole(e);
}

void script_answer(struct script_end *e, bool large)
{
    if (!can_answer(e))
        return;
    if (!e->stream_asked) {
        answer_plain(e, large);
        return;
    }
    script_begin(e, false);
    script_piece(e, large);
    script_finish(e, false);
}

void script_refuse(struct script_end *e, uint8_t which)
{
    static const char *const STATUS[] = {"429 Too Many Requests\r\nRetry-After: 1",
                                         "503 Service Unavailable",
                                         "500 Internal Server Error",
                                         "400 Bad Request",
                                         ("401 Unauthorized\r\nX-Said: " SCRIPT_CANARY),
                                         "402 Payment Required",
                                         "529 Overloaded",
                                         "302 Found\r\nLocation: /"};
    char text[512];

    if (!can_answer(e) || e->begun)
        return;
    snprintf(text, sizeof text,
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 80\r\n\r\n"
             "{\"error\":{\"message\":\"refused " SCRIPT_CANARY "\",\"code\":\"busy\"}}          ",
             STATUS[which % COUNT_OF(STATUS)]);
    say(e, text);
    e->scene->tags[e->tag].wild = e->scene->tags[e->tag].wild || strlen(text) > sizeof text - 2;
    e->tag = -1;
}

void script_hang_up(struct script_end *e, bool reset)
{
    if (e->stream == NULL)
        return;
    if (reset)
        stream_reset(&e->stream);
    else
        stream_finish(&e->stream);
}

void script_end_pause(struct script_end *e, bool large)
{
    (void)large;
    if (e->stream == NULL)
        return;
    e->paused = !e->paused;
    if (e->paused)
        stream_pause(e->stream);
    else
        stream_resume(e->stream);
}

void script_end_say(struct script_end *e, struct slice bytes)
{
    if (e->stream == NULL)
        return;
    e->wild = true;
    if (e->tag >= 0)
        e->scene->tags[e->tag].wild = true;
    stream_send(e->stream, arena_dup(&e->stream->loop->turn, bytes));
}

void script_close_all(struct scene *s)
{
    for (size_t i = 0; i < SCRIPT_CLIENTS_N; i++)
        script_client_leave(&s->clients[i]);
    if (s->wild != NULL)
        stream_close(&s->wild);
    for (size_t i = 0; i < s->ends_n; i++) {
        if (s->ends[i].stream != NULL)
            stream_close(&s->ends[i].stream);
        buf_fini(&s->ends[i].in);
    }
    for (size_t i = 0; i < 2; i++)
        s->w->client_loop->ops->unlisten(&s->listeners[i]);
}
