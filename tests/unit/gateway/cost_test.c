/* SPDX-License-Identifier: MIT */
/* What a request and a streamed event cost the gateway, exactly: heap allocations and turns of the loop.
 *
 * Client and endpoint are made of constant bytes on virtual streams, and virtual io reuses its packets, so
 * that in a steady state (both connections kept alive, a few requests before the count) every allocation is
 * the gateway's. The access log is off: its lines share one buffer that is given back with every flush.
 * docs/architecture.md, "The cost of a request", carries these numbers: change both together. */
#include "base/mem.h"
#include "support/story.h"
#include "tap.h"

#define WARM_N 5
#define COUNTED_N 20
#define PACE_US STORY_MS /* between the bytes of two events, so that each is a read of its own */

#define YAML(limits)                                                                                   \
    "listen: 10.0.0.9:80\n"                                                                            \
    "keys: [{name: tester, key: key-for-tests" limits "}]\n"                                           \
    "accounts: [{name: main, slots: {'*': 10}}]\n"                                                     \
    "endpoints: [{name: raw, provider: openai, url: 'http://10.0.0.3/v1', key: key-for-raw, account: " \
    "main}]\n"                                                                                         \
    "models: [{name: '*', tiers: [[{endpoint: raw}]]}]\n"

#define CHUNK(delta, finish)                                                                               \
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":" delta \
    ",\"finish_reason\":" finish "}]}\n\n"
static const char ROLE[] = CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "null");
static const char TOKEN[] = CHUNK("{\"content\":\" tide\"}", "null");
static const char LAST[] = CHUNK("{}", "\"stop\"") "data: [DONE]\n\n";
static const char ANSWER[] = "{\"id\":\"c1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,"
                             "\"message\":{\"role\":\"assistant\","
                             "\"content\":\"hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":"
                             "1,\"completion_tokens\":1}}";

struct scene {
    struct world *w;
    struct listener *listener;
    struct stream *client, *endpoint;
    struct timer pace;
    int tokens_n;        /* still to send */
    int pieces_n, piece; /* a token is sent in so many pieces; the next one */
    bool stream, started, done;
    char request[512], answer[1024], head[512], token[512], last[512];
    size_t client_bytes;
};

/* One piece of an answer's chunked body. */
static void frame(char *out, size_t n, const char *event)
{
    snprintf(out, n, "%zx\r\n%s\r\n", strlen(event), event);
}

static void send_text(struct stream *s, const char *text)
{
    stream_send(s, slice_of(text));
}

/* -- the endpoint --------------------------------------------------------------------------------------- */

static void on_pace(struct timer *t)
{
    struct scene *s = CONTAINER_OF(t, struct scene, pace);
    size_t n = strlen(s->token), half = n / (size_t)s->pieces_n;

    if (s->tokens_n == 0) {
        send_text(s->endpoint, s->last);
        return;
    }
    if (s->piece + 1 < s->pieces_n) {
        stream_send(s->endpoint, (struct slice){s->token, half});
        s->piece++;
    } else {
        stream_send(s->endpoint, slice_from(slice_of(s->token), (size_t)s->piece * half));
        s->piece = 0;
        s->tokens_n--;
    }
    timer_set(&s->endpoint->loop->wheel, t, s->endpoint->loop->now_us + PACE_US);
}

static void on_asked(void *ud, struct slice bytes)
{
    struct scene *s = ud;

    (void)bytes; /* a small request arrives whole */
    if (!s->stream) {
        send_text(s->endpoint, s->answer);
        return;
    }
    send_text(s->endpoint, s->head);
    timer_set(&s->endpoint->loop->wheel, &s->pace, s->endpoint->loop->now_us + PACE_US);
}

static void on_unexpected_close(void *ud, enum err why)
{
    (void)ud;
    CHECK_INT(why, ERR_OK);
}

static const struct stream_cb ENDPOINT_CB = {NULL, on_asked, NULL, on_unexpected_close};

static void on_accept(void *ud, struct stream *st, const struct addr *peer)
{
    struct scene *s = ud;

    (void)peer;
    CHECK(s->endpoint == NULL); /* one connection serves everything */
    s->endpoint = st;
    stream_set_cb(st, &ENDPOINT_CB, s);
}

/* -- the client ----------------------------------------------------------------------------------------- */

static void on_answer(void *ud, struct slice bytes)
{
    struct scene *s = ud;
    struct slice end = s->stream ? SLICE("\r\n0\r\n\r\n") : slice_from(slice_of(ANSWER), sizeof ANSWER - 20);

    if (!s->started)
        CHECK(slice_starts(bytes, SLICE("HTTP/1.1 200 OK\r\n")));
    s->started = true;
    s->client_bytes += bytes.n;
    s->done = bytes.n >= end.n && slice_eq(slice_from(bytes, bytes.n - end.n), end);
}

static const struct stream_cb CLIENT_CB = {NULL, on_answer, NULL, on_unexpected_close};

/* One request and its whole answer; returns how many bytes the client got. */
static size_t ask(struct scene *s, bool stream, int tokens_n, int pieces_n)
{
    char body[128];

    snprintf(body, sizeof body,
             "{\"model\":\"any\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
             stream ? "true" : "false");
    snprintf(
        s->request, sizeof s->request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer key-for-tests\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(body), body);
    s->stream = stream;
    s->tokens_n = tokens_n;
    s->pieces_n = pieces_n;
    s->started = s->done = false;
    s->client_bytes = 0;
    send_text(s->client, s->request);
    world_run_until(s->w, 10 * STORY_S, &s->done);
    CHECK(s->done);
    world_run(s->w, 10 * STORY_MS); /* what the gateway still does when the client has its answer */
    return s->client_bytes;
}

/* -- the scene ------------------------------------------------------------------------------------------ */

static void begin_with(struct scene *s, const char *yaml)
{
    struct story story;
    struct addr at;

    memset(s, 0, sizeof *s);
    story_init(&story, yaml);
    s->w = story_begin(&story);
    timer_init(&s->pace, on_pace);
    frame(s->token, sizeof s->token, TOKEN);
    frame(s->last, sizeof s->last - 5, LAST);
    memcpy(s->last + strlen(s->last), "0\r\n\r\n", 6);
    snprintf(s->head, sizeof s->head,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
             "chunked\r\n\r\n%zx\r\n%s\r\n",
             sizeof ROLE - 1, ROLE);
    snprintf(s->answer, sizeof s->answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             sizeof ANSWER - 1, ANSWER);
    CHECK_INT(addr_parse(SLICE("10.0.0.3:80"), &at), ERR_OK);
    CHECK_INT(s->w->client_loop->ops->listen(s->w->client_loop, &at, on_accept, s, &s->listener, NULL),
              ERR_OK);
    s->client = s->w->client_loop->ops->connect(s->w->client_loop, &s->w->listen, 65536);
    stream_set_cb(s->client, &CLIENT_CB, s);
    world_run(s->w, 10 * STORY_MS);
}

static void finish(struct scene *s)
{
    timer_stop(&s->w->client_loop->wheel, &s->pace);
    stream_close(&s->client);
    stream_close(&s->endpoint);
    s->w->client_loop->ops->unlisten(&s->listener);
    story_end(&s->w);
}

struct cost {
    long long allocs_n, turns_n;
    size_t bytes;
};

/* Of COUNTED_N requests of one kind in a row, behind WARM_N that are not counted. */
static struct cost cost_of(struct scene *s, bool stream, int tokens_n, int pieces_n)
{
    struct cost c;

    for (int i = 0; i < WARM_N; i++)
        ask(s, stream, tokens_n, pieces_n);
    c.allocs_n = (long long)mem_alloc_n();
    c.turns_n = (long long)s->w->worker_loops[0]->turns;
    for (int i = 0; i < COUNTED_N; i++)
        c.bytes = ask(s, stream, tokens_n, pieces_n);
    c.allocs_n = (long long)mem_alloc_n() - c.allocs_n;
    c.turns_n = (long long)s->w->worker_loops[0]->turns - c.turns_n;
    return c;
}

/* The request with its arena, its body, the flight, the call, the call's parser, the endpoint's connection at
 * rest, and the answer (plain) or the events before the first text (streamed). */
#define REQUEST_ALLOCS 7

static void begin(struct scene *s)
{
    begin_with(s, YAML(""));
}

TEST(a_plain_request_costs_seven_allocations_and_two_turns)
{
    struct scene s;
    struct cost c;

    begin(&s);
    c = cost_of(&s, false, 0, 1);
    CHECK_INT(c.allocs_n, COUNTED_N * REQUEST_ALLOCS);
    CHECK_INT(c.turns_n, COUNTED_N * 2); /* the request came, the answer came */
    finish(&s);
}

TEST(a_streamed_event_costs_one_turn_and_no_allocation)
{
    static const int TOKENS_N[] = {1, 10, 110};
    struct scene s;

    begin(&s);
    for (size_t i = 0; i < COUNT_OF(TOKENS_N); i++) {
        struct cost c = cost_of(&s, true, TOKENS_N[i], 1);

        CHECK_INT(c.allocs_n, COUNTED_N * REQUEST_ALLOCS);
        CHECK_INT(c.turns_n, COUNTED_N * (3 + TOKENS_N[i])); /* request, head, each token, end */
        CHECK(c.bytes > (size_t)TOKENS_N[i] * (sizeof TOKEN - 1));
    }
    finish(&s);
}

TEST(an_event_in_two_pieces_costs_one_allocation_and_a_second_turn)
{
    struct scene s;
    struct cost c;

    begin(&s);
    c = cost_of(&s, true, 50, 2);
    CHECK_INT(c.allocs_n, COUNTED_N * (REQUEST_ALLOCS + 50));
    CHECK_INT(c.turns_n, COUNTED_N * (3 + 2 * 50));
    finish(&s);
}

TEST(limits_cost_no_allocation_and_no_turn)
{
    struct scene s;
    struct cost c;

    begin_with(&s, YAML(", limits: {rpm: 1000000, tpm: 1000000000, inflight: 9}"));
    c = cost_of(&s, false, 0, 1);
    CHECK_INT(c.allocs_n, COUNTED_N * REQUEST_ALLOCS);
    CHECK_INT(c.turns_n, COUNTED_N * 2);
    finish(&s);
}
