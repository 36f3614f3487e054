/* SPDX-License-Identifier: MIT */
/* For tests of the simulator: one of them and a loop of callers on a virtual network without latency. */
#ifndef TESTS_UNIT_SIM_SIM_KIT_H
#define TESTS_UNIT_SIM_SIM_KIT_H

#include "io/virtual.h"
#include "rehearse/caller.h"
#include "sim/sim.h"
#include "sim/text.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tap.h"

#define MS CLOCK_MS_US
#define CALLERS_MAX 512

struct kit {
    struct vnet *net;
    struct loop *server, *client;
    struct sim *sim;
    struct addr at;
    struct caller *callers[CALLERS_MAX];
    char bodies[CALLERS_MAX][256];
    size_t callers_n;
    int ended_n;
};

static inline void kit_init_at(struct kit *k, const struct sim_opts *o, const struct vnet_opts *net,
                               const struct sim_listen_opts *listen)
{
    memset(k, 0, sizeof *k);
    k->net = vnet_new(net);
    k->server = vnet_loop(k->net, NULL, (size_t)64 * 1024 * 1024);
    k->client = vnet_loop(k->net, NULL, (size_t)64 * 1024 * 1024);
    k->sim = sim_new(k->server, o);
    CHECK_INT(addr_parse(SLICE("127.0.0.1:9101"), &k->at), ERR_OK);
    CHECK_INT(sim_listen_with(k->sim, &k->at, listen, NULL), ERR_OK);
}

static inline void kit_init_net(struct kit *k, const struct sim_opts *o, const struct vnet_opts *net)
{
    kit_init_at(k, o, net, &(struct sim_listen_opts){.name = NULL});
}

static inline void kit_init(struct kit *k, const struct sim_opts *o)
{
    struct vnet_opts net = {.seed = o->seed + 1, .wall_us = 1000000 * CLOCK_SECOND_US};

    kit_init_net(k, o, &net);
}

static inline void kit_fini(struct kit *k)
{
    const struct sim_stats *st = sim_stats(k->sim);

    for (size_t i = 0; i < k->callers_n; i++)
        caller_free(&k->callers[i]);
    vnet_run(k->net, vnet_now_us(k->net) + 700 * CLOCK_SECOND_US, NULL);
    CHECK_INT(st->working_n, 0);
    CHECK_INT(st->queued_n, 0);
    CHECK_INT(st->conns_n, 0);
    CHECK_INT(st->requests_n, st->answered_n + st->refused_n + st->cut_n + st->cancelled_n);
    sim_free(&k->sim);
    vnet_run(k->net, vnet_now_us(k->net) + CLOCK_SECOND_US, NULL);
    CHECK_INT(vnet_streams(k->net), 0);
    loop_free(&k->client);
    loop_free(&k->server);
    vnet_free(&k->net);
}

static inline void on_caller_end(void *ud, struct caller *c)
{
    (void)c;
    ((struct kit *)ud)->ended_n++;
}

/* Starts a call; body NULL: GET. */
static inline struct caller *kit_call(struct kit *k, const char *path, const char *body,
                                      const struct caller_ask *more)
{
    struct caller_ask ask = more != NULL ? *more : (struct caller_ask){.path = NULL};
    char *kept = k->bodies[k->callers_n];

    CHECK(k->callers_n < CALLERS_MAX);
    if (body != NULL) {
        snprintf(kept, sizeof k->bodies[0], "%s", body);
        ask.body = slice_of(kept);
    }
    ask.to = k->at;
    ask.path = path;
    return k->callers[k->callers_n++] = caller_start(k->client, &ask, on_caller_end, k);
}

/* A chat completion in OpenAI's form. `members` follow the messages: "" or ",\"max_tokens\":3". */
static inline struct caller *kit_chat(struct kit *k, const char *model, bool stream, const char *prompt,
                                      const char *members)
{
    char body[256];

    snprintf(body, sizeof body,
             "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s%s}", model, prompt,
             stream ? ",\"stream\":true" : "", members);
    return kit_call(k, "/v1/chat/completions", body, NULL);
}

static inline void kit_on_alarm(struct timer *t)
{
    (void)t;
}

/* So long, also when nothing happens. */
static inline void kit_run(struct kit *k, int64_t us)
{
    struct timer alarm;

    timer_init(&alarm, kit_on_alarm);
    timer_set(&k->client->wheel, &alarm, vnet_now_us(k->net) + us);
    vnet_run(k->net, vnet_now_us(k->net) + us, NULL);
    timer_stop(&k->client->wheel, &alarm);
    k->client->now_us = vnet_now_us(k->net); /* callers that are started between two runs begin now */
}

static inline bool buf_has(const struct buf *b, const char *text)
{
    return slice_find(buf_slice(b), slice_of(text)) >= 0;
}

/* How often `text` stands in b. */
static inline int buf_count(const struct buf *b, const char *text)
{
    struct slice rest = buf_slice(b);
    ptrdiff_t at;
    int n = 0;

    while ((at = slice_find(rest, slice_of(text))) >= 0) {
        rest = slice_from(rest, (size_t)at + strlen(text));
        n++;
    }
    return n;
}

/* The first n tokens of the answer to `prompt`. */
static inline size_t expected_text(const char *prompt, size_t n, char *out)
{
    uint64_t hash = sim_text_hash(slice_of(prompt), 0);
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += sim_text_token(hash, i, out + bytes);
    return bytes;
}

/* Checks that the caller's text is the first n tokens of the answer. */
static inline void check_text(const struct caller *c, const char *prompt, size_t n)
{
    char want[200 * SIM_TOKEN_MAX];

    CHECK(n <= 200);
    CHECK_MEM(c->text.p, c->text.n, want, expected_text(prompt, n, want));
}

#endif
