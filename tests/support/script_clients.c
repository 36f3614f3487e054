/* SPDX-License-Identifier: MIT */
/* A script's clients: what they send, and what they hold against all that comes back. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "support/script_peers.h"

#define DEADLINE_US (5 * CLOCK_SECOND_US) /* as the script's configuration has it */
#define SLACK_US (2 * CLOCK_SECOND_US)    /* latency, and the time to write to a client that reads again */
#define EVENT_MAX ((size_t)1 << 20)

static int64_t now_us(const struct script_client *c)
{
    return vnet_now_us(c->scene->w->net);
}

/* Pieces are "tTAG.NUMBER;": each must be the request's own, and the next one. */
static void take_pieces(struct script_client *c, struct slice text)
{
    while (text.n > 0) {
        struct slice rest, piece = slice_cut(text, ';', &rest);
        char want[32];

        snprintf(want, sizeof want, "t%d.%d", c->tag, c->pieces_n);
        SCRIPT_CHECK(c->scene->tags[c->tag].wild || slice_eq(piece, slice_of(want)));
        c->pieces_n++;
        text = rest;
    }
}

static void take_choice(struct script_client *c, struct json_value root, const char *member)
{
    struct json_value choice = json_at(json_get(root, "choices"), 0);

    take_pieces(c, json_string(json_get(json_get(choice, member), "content")));
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    struct script_client *c = ud;
    struct json_doc *doc;

    if (ev->data.p == NULL)
        return ERR_OK;
    SCRIPT_CHECK(!c->error_event && !c->done_mark); /* nothing behind an end */
    if (slice_eq(ev->data, SLICE("[DONE]"))) {
        c->done_mark = true;
        return ERR_OK;
    }
    if (json_parse(ev->data, NULL, &doc, NULL) != ERR_OK) {
        SCRIPT_CHECK(c->scene->tags[c->tag].wild);
        return ERR_OK;
    }
    c->error_event = !json_is_absent(json_get(json_root(doc), "error"));
    if (!c->error_event)
        take_choice(c, json_root(doc), "delta");
    json_free(&doc);
    return ERR_OK;
}

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct script_client *c = ud;

    SCRIPT_CHECK(!c->head);
    c->head = true;
    c->status = rs->status;
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct script_client *c = ud;

    SCRIPT_CHECK(slice_find(bytes, SLICE(SCRIPT_CANARY)) < 0);
    if (c->status == 200 && c->stream_asked)
        return sse_feed(&c->sse, bytes, on_event, c);
    return buf_add(&c->body, bytes);
}

static void on_http_end(void *ud)
{
    ((struct script_client *)ud)->ended = true;
}

static const struct client_cb HTTP_CB = {on_head, on_body, on_http_end};

/* What looks whole must have been ended well by an endpoint, with as many pieces. */
static void judge_whole(struct script_client *c)
{
    const struct script_tag *tag = &c->scene->tags[c->tag];

    SCRIPT_CHECK(tag->wild || tag->whole[c->pieces_n < 3 ? c->pieces_n : 3]);
    c->scene->tally->whole_n++;
}

static void judge_plain(struct script_client *c)
{
    struct json_doc *doc;
    struct json_value root;

    if (json_parse(buf_slice(&c->body), NULL, &doc, NULL) != ERR_OK) {
        SCRIPT_CHECK(c->scene->tags[c->tag].wild && c->status == 200);
        return;
    }
    root = json_root(doc);
    if (c->status == 200) {
        take_choice(c, root, "message");
        judge_whole(c);
    } else {
        SCRIPT_CHECK(c->status >= 400 && json_string(json_get(json_get(root, "error"), "message")).n > 0);
        SCRIPT_CHECK(!json_is_absent(json_get(json_get(root, "error"), "code")));
        c->scene->tally->refused_n++;
    }
    json_free(&doc);
}

/* The request in work is over, by its response or by the connection. */
static void settle(struct script_client *c)
{
    if (c->http == NULL)
        return;
    if (!c->ended)
        c->scene->tally->broken_n++;
    else if (c->status == 200 && c->stream_asked && !c->error_event)
        judge_whole(c);
    else if (c->status != 200 || !c->stream_asked)
        judge_plain(c);
    else
        SCRIPT_CHECK(!"an error event does not end a stream cleanly");
    SCRIPT_CHECK(!(c->ended && c->status == 200 && c->stream_asked) || c->done_mark ||
                 c->scene->tags[c->tag].wild);
    client_free(&c->http);
    sse_fini(&c->sse);
    buf_fini(&c->body);
}

static void on_data(void *ud, struct slice bytes)
{
    struct script_client *c = ud;
    enum err e;

    SCRIPT_CHECK(slice_find(bytes, SLICE(SCRIPT_CANARY)) < 0);
    SCRIPT_CHECK(c->http != NULL); /* nobody asked */
    e = client_feed(c->http, bytes);
    SCRIPT_CHECK(e == ERR_OK); /* one response, well formed, and nothing behind it */
    if (c->ended)
        settle(c);
}

static void on_close(void *ud, enum err why)
{
    struct script_client *c = ud;

    (void)why;
    stream_close(&c->stream);
    if (c->http == NULL)
        return;
    if (!c->was_paused && !c->head)
        SCRIPT_CHECK(now_us(c) <= c->asked_us + DEADLINE_US + SLACK_US);
    if (client_eof(c->http) == ERR_OK)
        SCRIPT_CHECK(c->ended);
    settle(c);
}

static const struct stream_cb CLIENT_CB = {NULL, on_data, NULL, on_close};

static void send_cut(struct script_client *c, struct slice text, uint8_t cut)
{
    struct arena *turn = &c->scene->w->client_loop->turn;
    size_t n = cut == 0 ? text.n : text.n * cut / 256;

    stream_send(c->stream, arena_dup(turn, (struct slice){text.p, n}));
    if (n == text.n)
        return;
    world_run(c->scene->w, 2 * CLOCK_MS_US);
    if (c->stream != NULL)
        stream_send(c->stream, arena_dup(turn, slice_from(text, n)));
}

void script_ask(struct script_client *c, bool stream, const char *model, uint8_t cut, bool large)
{
    struct scene *s = c->scene;
    struct loop *l = s->w->client_loop;
    char body[256];
    size_t blanks_n = large && s->large_left > 0 ? SCRIPT_LARGE_BYTES : 0; /* then a helper reads it */
    struct buf text;

    if (c->http != NULL || s->tags_n == SCRIPT_TAGS_MAX)
        return;
    if (c->stream == NULL) {
        c->stream = l->ops->connect(l, &s->w->listen, SCRIPT_BYTES_MAX);
        stream_set_cb(c->stream, &CLIENT_CB, c);
        c->paused = false;
    }
    c->tag = s->tags_n++;
    c->stream_asked = stream;
    c->head = c->done_mark = c->error_event = c->ended = false;
    c->was_paused = c->paused;
    c->status = c->pieces_n = 0;
    c->asked_us = now_us(c);
    c->http = client_new(16384, NULL, &HTTP_CB, c);
    sse_init(&c->sse, EVENT_MAX, NULL);
    buf_init(&c->body, EVENT_MAX, NULL);
    s->tally->asked_n++;
    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"tag=%d;\"}]}",
             model, stream ? "true" : "false", c->tag);
    buf_init(&text, SCRIPT_BYTES_MAX, NULL);
    SCRIPT_CHECK(
        buf_printf(&text,
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer " SCRIPT_KEY
                   "\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body) + blanks_n, body) == ERR_OK);
    SCRIPT_CHECK(buf_reserve(&text, blanks_n) == ERR_OK);
    memset(text.p + text.n, ' ', blanks_n);
    text.n += blanks_n;
    s->large_left -= blanks_n > 0;
    s->tally->large_n += blanks_n > 0;
    send_cut(c, buf_slice(&text), cut);
    buf_fini(&text);
}

void script_client_pause(struct script_client *c, bool paused)
{
    if (c->stream == NULL || c->paused == paused)
        return;
    c->paused = paused;
    c->was_paused = true;
    if (paused)
        stream_pause(c->stream);
    else
        stream_resume(c->stream);
}

void script_client_leave(struct script_client *c)
{
    if (c->stream != NULL)
        stream_close(&c->stream);
    if (c->http == NULL)
        return;
    client_free(&c->http);
    sse_fini(&c->sse);
    buf_fini(&c->body);
}

/* -- the one that says anything -------------------------------------------------------------------------- */

static void on_wild_data(void *ud, struct slice bytes)
{
    (void)ud;
    SCRIPT_CHECK(slice_find(bytes, SLICE(SCRIPT_CANARY)) < 0);
}

static void on_wild_close(void *ud, enum err why)
{
    (void)why;
    stream_close(&((struct scene *)ud)->wild);
}

static const struct stream_cb WILD_CB = {NULL, on_wild_data, NULL, on_wild_close};

void script_wild_say(struct scene *s, struct slice bytes)
{
    struct loop *l = s->w->client_loop;

    if (s->wild == NULL) {
        s->wild = l->ops->connect(l, &s->w->listen, SCRIPT_BYTES_MAX);
        stream_set_cb(s->wild, &WILD_CB, s);
    }
    stream_send(s->wild, arena_dup(&l->turn, bytes));
}
