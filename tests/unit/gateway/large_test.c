/* SPDX-License-Identifier: MIT */
/* T22: answers of any size pass in memory that does not grow with them. The budget is charged for everything
 * that an answer makes the gateway hold, so its highest use is what is measured. */
#include "wire_kit.h"

#include "base/mem.h"

#define MIB ((size_t)1024 * 1024)

/* An endpoint that sends `answer` to whoever asks. */
struct source {
    struct world *w;
    struct listener *listener;
    struct stream *stream;
    struct buf answer;
    bool asked;
};

/* A client that counts what comes, perhaps reading only now and then. */
struct sink {
    struct world *w;
    struct stream *stream;
    uint64_t hash;
    size_t got_n, body_at;
    bool ended;
    char tail[64]; /* the last bytes */
};

static void source_data(void *ud, struct slice bytes)
{
    struct source *s = ud;

    if (s->asked || slice_find(bytes, SLICE("\r\n\r\n")) < 0)
        return;
    s->asked = true;
    stream_send(s->stream, buf_slice(&s->answer));
}

static void source_close(void *ud, enum err why)
{
    (void)why;
    stream_close(&((struct source *)ud)->stream);
}

static const struct stream_cb SOURCE_CB = {NULL, source_data, NULL, source_close};

static void source_accept(void *ud, struct stream *stream, const struct addr *peer)
{
    struct source *s = ud;

    (void)peer;
    CHECK(s->stream == NULL);
    s->stream = stream;
    stream_set_cb(stream, &SOURCE_CB, s);
}

static void sink_data(void *ud, struct slice bytes)
{
    struct sink *k = ud;
    size_t keep = bytes.n < sizeof k->tail - 1 ? bytes.n : sizeof k->tail - 1;

    for (size_t i = 0; i < bytes.n; i++)
        k->hash = k->hash * 1099511628211U + (unsigned char)bytes.p[i];
    k->got_n += bytes.n;
    memmove(k->tail, k->tail + keep, sizeof k->tail - 1 - keep);
    memcpy(k->tail + sizeof k->tail - 1 - keep, bytes.p + bytes.n - keep, keep);
}

static void sink_close(void *ud, enum err why)
{
    struct sink *k = ud;

    (void)why;
    k->ended = true;
    stream_close(&k->stream);
}

static const struct stream_cb SINK_CB = {NULL, sink_data, NULL, sink_close};

struct passage {
    struct world *w;
    struct source source;
    struct sink sink;
    uint64_t highest; /* use of the budget */
};

static void begin(struct passage *p)
{
    struct addr at;

    memset(p, 0, sizeof *p);
    p->w = p->source.w = p->sink.w = wire_world(ORIGIN_YAML("openai", "none"), -1, NULL);
    buf_init(&p->source.answer, 64 * MIB, NULL);
    CHECK_INT(addr_parse(SLICE(ORIGIN_AT), &at), ERR_OK);
    CHECK_INT(p->w->client_loop->ops->listen(p->w->client_loop, &at, source_accept, &p->source,
                                             &p->source.listener, NULL),
              ERR_OK);
}

static void say(struct passage *p, const char *text)
{
    CHECK_INT(buf_add(&p->source.answer, slice_of(text)), ERR_OK);
}

static void say_n(struct passage *p, char c, size_t n)
{
    char *at;

    CHECK_INT(buf_reserve(&p->source.answer, n), ERR_OK);
    at = p->source.answer.p + p->source.answer.n;
    memset(at, c, n);
    p->source.answer.n += n;
}

static void say_chunk(struct passage *p, const char *text)
{
    char size[32];

    snprintf(size, sizeof size, "%zx\r\n", strlen(text));
    say(p, size);
    say(p, text);
    say(p, "\r\n");
}

static void ask(struct passage *p, bool stream)
{
    char request[512];
    const char *body =
        stream ? "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"}],\"stream\":true}"
               : "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"}]}";
    int n = snprintf(request, sizeof request,
                     "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    char *copy = loop_scratch(p->w->client_loop, (size_t)n);

    memcpy(copy, request, (size_t)n);
    p->sink.stream = p->w->client_loop->ops->connect(p->w->client_loop, &p->w->listen, MIB);
    stream_set_cb(p->sink.stream, &SINK_CB, &p->sink);
    stream_send(p->sink.stream, (struct slice){copy, (size_t)n});
}

/* Until the client has it all; a slow one reads only every other 5 ms. */
static void pass(struct passage *p, bool slow)
{
    int64_t until_us = vnet_now_us(p->w->net) + 600 * STORY_S;

    for (size_t i = 0; !p->sink.ended && vnet_now_us(p->w->net) < until_us; i++) {
        uint64_t used;

        if (slow && i % 50 == 0)
            stream_pause(p->sink.stream);
        if (slow && i % 50 == 25)
            stream_resume(p->sink.stream);
        world_run(p->w, 200);
        used = budget_used(&p->w->app->budget);
        p->highest = used > p->highest ? used : p->highest;
    }
    CHECK(p->sink.ended);
}

static void end(struct passage *p)
{
    stream_close(&p->source.stream);
    if (p->sink.stream != NULL)
        stream_close(&p->sink.stream);
    p->w->client_loop->ops->unlisten(&p->source.listener);
    world_run(p->w, 5 * STORY_S);
    CHECK_INT(budget_used(&p->w->app->budget), 0); /* all of it is given back */
    story_end(&p->w);
    buf_fini(&p->source.answer);
}

static void check_highest(const struct passage *p, size_t most)
{
    if (!CHECK(p->highest <= most))
        printf("# the budget was used for up to %llu bytes\n", (unsigned long long)p->highest);
}

TEST(t22_a_plain_answer_of_20_megabytes_passes_in_flat_memory)
{
    static const char HEAD[] = "{\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\"finish_reason\":"
                               "\"stop\",\"message\":{\"role\":\"assistant\",\"content\":\"";
    static const char TAIL[] = "\"}}]}";
    size_t body_n = sizeof HEAD - 1 + 20 * MIB + sizeof TAIL - 1;

    for (int slow = 0; slow < 2; slow++) {
        struct passage p;
        char head[128];

        begin(&p);
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body_n);
        say(&p, head);
        say(&p, HEAD);
        say_n(&p, 'x', 20 * MIB);
        say(&p, TAIL);
        ask(&p, false);
        pass(&p, slow != 0);
        CHECK(p.sink.got_n > body_n && p.sink.got_n < body_n + 1024);
        CHECK(strstr(p.sink.tail, TAIL) != NULL);
        check_highest(
            &p, 5 * MIB / 2); /* limits.answer is 1 MiB in a buffer that doubles, limits.pending 256 KiB */
        end(&p);
    }
}

TEST(t22_an_event_of_a_megabyte_passes)
{
    for (int slow = 0; slow < 2; slow++) {
        struct passage p;

        begin(&p);
        say(&p, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"");
        say_n(&p, 'x', MIB);
        say(&p, "\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                "data: [DONE]\n\n");
        ask(&p, true);
        pass(&p, slow != 0);
        CHECK(p.sink.got_n > MIB && p.sink.got_n < MIB + 2048);
        CHECK(strstr(p.sink.tail, "data: [DONE]\n\n\r\n0\r\n\r\n") != NULL);
        check_highest(&p, 3 * MIB / 2); /* the event, and what waits for the client */
        end(&p);
    }
}

TEST(t22_a_hundred_thousand_tiny_chunks_pass_in_flat_memory)
{
    static const char EVENT[] = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    for (int slow = 0; slow < 2; slow++) {
        struct passage p;

        begin(&p);
        say(&p, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 100000; i++)
            say_chunk(&p, EVENT);
        say_chunk(&p, "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n");
        say_chunk(&p, "data: [DONE]\n\n");
        say(&p, "0\r\n\r\n");
        ask(&p, true);
        pass(&p, slow != 0);
        CHECK(p.sink.got_n >= 100000 * (sizeof EVENT - 1));
        CHECK(strstr(p.sink.tail, "data: [DONE]\n\n\r\n0\r\n\r\n") != NULL);
        check_highest(&p, MIB / 2); /* limits.pending, and what one turn brings */
        end(&p);
    }
}
