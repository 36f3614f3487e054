/* SPDX-License-Identifier: MIT */
/* What a request and a streamed event cost the gateway, exactly: turns of the loop, heap allocations, locks,
 * and copies in user space. The figures stand in cost.def.
 *
 * Client and endpoint are made of constant bytes on virtual streams, and virtual io reuses its packets, so
 * that in a steady state (both connections kept alive, a few requests before the count) every allocation is
 * the gateway's. The access log is off: its lines share one buffer that is given back with every flush.
 *
 * Locks are counted at pthread_mutex_lock, bytes at memcpy and memmove, which the linker replaces in this
 * program (Makefile). How often a body is copied follows from two bodies of different length: the bytes that
 * the longer one costs more, divided by how much longer it is. A constant is what virtual io copies in the
 * kernel's place: into a packet and out of it on each of the two connections. */
#include <pthread.h>

#include "base/mem.h"
#include "support/story.h"
#include "tap.h"

#define WARM_N 5
#define COUNTED_N 20
#define LONGER_N 1000 /* bytes: still small enough for every short cut that copies */
#define KERNEL_COPIES 4
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
#define TOKEN CHUNK("{\"content\":\" tide%.*s\"}", "null")
static const char LAST[] = CHUNK("{}", "\"stop\"") "data: [DONE]\n\n";
#define ANSWER                                                                           \
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,"           \
    "\"message\":{\"role\":\"assistant\","                                               \
    "\"content\":\"hi%.*s\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":" \
    "1,\"completion_tokens\":1}}"

enum {
#define COST(name, plain, streamed, event, text) \
    PLAIN_##name = (plain), STREAMED_##name = (streamed), EVENT_##name = (event),
#include "cost.def"
#undef COST
};

/* -- what the linker lets us count ---------------------------------------------------------------------- */

static uint64_t locks_n, copied_n;
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
void *__real_memcpy(void *to, const void *from, size_t n);
void *__wrap_memcpy(void *to, const void *from, size_t n);
void *__real_memmove(void *to, const void *from, size_t n);
void *__wrap_memmove(void *to, const void *from, size_t n);

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
    locks_n++;
    return __real_pthread_mutex_lock(m);
}

void *__wrap_memcpy(void *to, const void *from, size_t n)
{
    copied_n += n;
    return __real_memcpy(to, from, n);
}

void *__wrap_memmove(void *to, const void *from, size_t n)
{
    copied_n += n;
    return __real_memmove(to, from, n);
}

/* -- the scene ------------------------------------------------------------------------------------------ */

static char longer[LONGER_N]; /* of a text that is made longer */

struct scene {
    struct world *w;
    struct listener *listener;
    struct stream *client, *endpoint;
    struct timer pace;
    int tokens_n;        /* still to send */
    int pieces_n, piece; /* a token is sent in so many pieces; the next one */
    bool stream, started, done;
    int longer_request_n, longer_answer_n;
    char request[2048], answer[2048], head[512], token[2048], last[512];
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
    struct slice end = s->stream ? SLICE("\r\n0\r\n\r\n") : SLICE("\"completion_tokens\":1}}");

    if (!s->started)
        CHECK(slice_starts(bytes, SLICE("HTTP/1.1 200 OK\r\n")));
    s->started = true;
    s->client_bytes += bytes.n;
    s->done = bytes.n >= end.n && slice_eq(slice_from(bytes, bytes.n - end.n), end);
}

static const struct stream_cb CLIENT_CB = {NULL, on_answer, NULL, on_unexpected_close};

static void make_answers(struct scene *s)
{
    char text[1536];

    snprintf(text, sizeof text, TOKEN, s->longer_answer_n, longer);
    frame(s->token, sizeof s->token, text);
    snprintf(text, sizeof text, ANSWER, s->longer_answer_n, longer);
    snprintf(s->answer, sizeof s->answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(text), text);
}

/* One request and its whole answer; returns how many bytes the client got. */
static size_t ask(struct scene *s, bool stream, int tokens_n, int pieces_n)
{
    char body[1536];

    make_answers(s);
    snprintf(body, sizeof body,
             "{\"model\":\"any\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"hello%.*s\"}]}",
             stream ? "true" : "false", s->longer_request_n, longer);
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
    memset(longer, 'x', sizeof longer);
    frame(s->last, sizeof s->last - 5, LAST);
    memcpy(s->last + strlen(s->last), "0\r\n\r\n", 6);
    snprintf(s->head, sizeof s->head,
             "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
             "chunked\r\n\r\n%zx\r\n%s\r\n",
             sizeof ROLE - 1, ROLE);
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
    long long allocs_n, turns_n, locks_n, copied_n;
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
    c.locks_n = (long long)locks_n;
    c.copied_n = (long long)copied_n;
    for (int i = 0; i < COUNTED_N; i++)
        c.bytes = ask(s, stream, tokens_n, pieces_n);
    c.allocs_n = (long long)mem_alloc_n() - c.allocs_n;
    c.turns_n = (long long)s->w->worker_loops[0]->turns - c.turns_n;
    c.locks_n = (long long)locks_n - c.locks_n;
    c.copied_n = (long long)copied_n - c.copied_n;
    return c;
}

/* Allocations: the request with its arena, its body, the flight, the call, the call's parser, the endpoint's
 * connection at rest, and the answer (plain) or the events before the first text (streamed). */

static void begin(struct scene *s)
{
    begin_with(s, YAML(""));
}

TEST(a_plain_request_costs_what_the_table_says)
{
    struct scene s;
    struct cost c;

    begin(&s);
    c = cost_of(&s, false, 0, 1);
    CHECK_INT(c.allocs_n, COUNTED_N * PLAIN_ALLOCATIONS);
    CHECK_INT(c.turns_n, COUNTED_N * PLAIN_TURNS); /* the request came, the answer came */
    CHECK_INT(c.locks_n, COUNTED_N * PLAIN_LOCKS);
    finish(&s);
}

TEST(a_streamed_event_costs_what_the_table_says)
{
    static const int TOKENS_N[] = {1, 10, 110};
    struct scene s;

    begin(&s);
    for (size_t i = 0; i < COUNT_OF(TOKENS_N); i++) {
        struct cost c = cost_of(&s, true, TOKENS_N[i], 1);

        CHECK_INT(c.allocs_n, COUNTED_N * (STREAMED_ALLOCATIONS + TOKENS_N[i] * EVENT_ALLOCATIONS));
        CHECK_INT(c.turns_n, COUNTED_N * (STREAMED_TURNS + TOKENS_N[i] * EVENT_TURNS));
        CHECK_INT(c.locks_n, COUNTED_N * (STREAMED_LOCKS + TOKENS_N[i] * EVENT_LOCKS));
        CHECK(c.bytes > (size_t)TOKENS_N[i] * (sizeof TOKEN - 5));
    }
    finish(&s);
}

TEST(an_event_in_two_pieces_costs_one_allocation_and_a_second_turn)
{
    struct scene s;
    struct cost c;

    begin(&s);
    c = cost_of(&s, true, 50, 2);
    CHECK_INT(c.allocs_n, COUNTED_N * (STREAMED_ALLOCATIONS + 50));
    CHECK_INT(c.turns_n, COUNTED_N * (STREAMED_TURNS + 2 * 50));
    finish(&s);
}

/* How often each byte is copied, in hundredths, when one of the two bodies is longer. */
static long long copies(struct scene *s, bool stream, int *longer_n)
{
    static const int TOKENS_N = 10;
    struct cost before = cost_of(s, stream, TOKENS_N, 1), after;

    *longer_n = LONGER_N;
    after = cost_of(s, stream, TOKENS_N, 1);
    *longer_n = 0;
    return (after.copied_n - before.copied_n) * 100 / LONGER_N / COUNTED_N;
}

/* Less than one in a hundred bytes more: numbers of more digits, the bytes of a chunk's size. */
#define CHECK_COPIES(hundredths, n) CHECK_INT(((hundredths) + 50) / 100, (n))

TEST(bodies_are_copied_as_often_as_the_table_says)
{
    struct scene s;

    begin(&s);
    CHECK_COPIES(copies(&s, false, &s.longer_request_n), KERNEL_COPIES + PLAIN_REQUEST_COPIES);
    CHECK_COPIES(copies(&s, true, &s.longer_request_n), KERNEL_COPIES + STREAMED_REQUEST_COPIES);
    CHECK_COPIES(copies(&s, false, &s.longer_answer_n), KERNEL_COPIES + PLAIN_ANSWER_COPIES);
    CHECK_COPIES(copies(&s, true, &s.longer_answer_n), 10 * (KERNEL_COPIES + EVENT_ANSWER_COPIES));
    finish(&s);
}

TEST(limits_cost_no_allocation_and_no_turn)
{
    struct scene s;
    struct cost c;

    begin_with(&s, YAML(", limits: {rpm: 1000000, tpm: 1000000000, inflight: 9}"));
    c = cost_of(&s, false, 0, 1);
    CHECK_INT(c.allocs_n, COUNTED_N * PLAIN_ALLOCATIONS);
    CHECK_INT(c.turns_n, COUNTED_N * PLAIN_TURNS);
    finish(&s);
}
