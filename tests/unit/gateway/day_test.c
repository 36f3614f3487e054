/* SPDX-License-Identifier: MIT */
/* A day of strangers in virtual time: every request has a model, keys, a user, an idempotency key, an address
 * and header values of its own, and many are refused for them. What they were must not be remembered: memory
 * in use after the first hour is what it is after the last.
 *
 * TIDEGATE_DAY_REQUESTS says how many requests an hour has (80). */
#include <malloc.h>
#include <stdlib.h>

#include "base/mem.h"
#include "shared/admission.h"
#include "wire_kit.h"

#define LISTEN "listen: {address: 127.0.0.1:80, proxy_protocol: true}\n"
#define SHARED                                                                   \
    "accounts: [{name: main, slots: {'*': 3}}]\n"                                \
    "models: [{name: '*', tiers: [[{endpoint: one}]], limits: {rpm: 100000}}]\n" \
    "limits: {connections_per_address: 5}\n"
/* The gateway's own keys, most of them wrong; and clients that bring keys for the provider. */
#define KEYS                                                                                                 \
    LISTEN SHARED                                                                                            \
        "keys: [{name: tester, key: key-for-tests, limits: {rpm: 100000, tpm: 100000000, inflight: 500}}]\n" \
        "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: main}]\n"
#define PASSED                                                                                         \
    LISTEN SHARED "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: client, " \
                  "account: main}]\n"
#define HOUR_US (3600 * STORY_S)
#define HOURS 24
#define CLIENTS_N 8 /* at a time */

/* -- what is allocated now: the linker leads base/mem.c here (Makefile) ---------------------------------- */

static long long live_n, live_bytes;
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void __real_free(void *p);
void __wrap_free(void *p);

static void *note(void *p, int sign)
{
    if (p != NULL) {
        live_n += sign;
        live_bytes += sign * (long long)malloc_usable_size(p);
    }
    return p;
}

void *__wrap_malloc(size_t n)
{
    return note(__real_malloc(n), 1);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return note(__real_calloc(n, size), 1);
}

void *__wrap_realloc(void *p, size_t n)
{
    note(p, -1);
    return note(__real_realloc(p, n), 1);
}

void __wrap_free(void *p)
{
    note(p, -1);
    __real_free(p);
}

/* -- strangers ------------------------------------------------------------------------------------------ */

static int requests_an_hour(void)
{
    const char *text = getenv("TIDEGATE_DAY_REQUESTS");

    return text != NULL ? (int)strtol(text, NULL, 10) : 80;
}

/* One stranger: who it is follows from its number. */
static void ask(struct wire *c, unsigned n)
{
    char head[1024], body[512], proxy[128], key[32] = "key-for-tests";
    int body_n, head_n;

    if (n % 5 == 0)
        snprintf(key, sizeof key, "key-of-%u", n);
    snprintf(proxy, sizeof proxy, "PROXY TCP4 %u.%u.%u.%u 10.0.0.9 %u 80\r\n", 11 + n % 100, n >> 16 & 255,
             n >> 8 & 255, n & 255, 1024 + n % 60000);
    body_n = snprintf(body, sizeof body,
                      "{\"model\":\"unknown-%u\",\"stream\":%s,\"user\":\"user-%u\",\"max_tokens\":4,"
                      "\"metadata\":{\"m%u\":\"v%u\"},\"messages\":[{\"role\":\"user\",\"content\":\"%u\"}]}",
                      n, n % 2 == 0 ? "true" : "false", n, n, n, n);
    head_n = snprintf(head, sizeof head,
                      "POST %s HTTP/1.1\r\nHost: host-%u.test\r\nAuthorization: Bearer %s\r\n"
                      "X-Request-Id: id-%u\r\nIdempotency-Key: idem-%u\r\nUser-Agent: agent/%u\r\n"
                      "X-Header-%u: %u\r\nTraceparent: 00-%032x-%016x-01\r\nOpenAI-Organization: org-%u\r\n"
                      "Content-Length: %d\r\n\r\n",
                      n % 11 == 0 ? "/v1/unknown" : "/v1/chat/completions", n, key, n, n, n, n, n, n, n, n,
                      body_n);
    ASSERT(head_n > 0 && (size_t)head_n < sizeof head && (size_t)body_n < sizeof body);
    wire_send(c, proxy);
    wire_send(c, head);
    wire_send_n(c, (struct slice){body, (size_t)body_n});
}

static void on_nothing(struct timer *t)
{
    (void)t;
}

/* Lets the clock go to `at_us`, whether something happens or not. */
static void pass_until(struct world *w, int64_t at_us)
{
    struct timer alarm;

    timer_init(&alarm, on_nothing);
    timer_set(&w->client_loop->wheel, &alarm, at_us);
    world_run(w, at_us - vnet_now_us(w->net) + STORY_MS);
    timer_stop(&w->client_loop->wheel, &alarm);
}

static void hour(struct world *w, unsigned *next, int statuses[600])
{
    int64_t ends_us = vnet_now_us(w->net) + HOUR_US;

    for (int left = requests_an_hour(); left > 0; left -= CLIENTS_N) {
        struct wire clients[CLIENTS_N];

        for (int i = 0; i < CLIENTS_N; i++) {
            wire_open(&clients[i], w);
            ask(&clients[i], (*next)++);
        }
        world_run(w, 10 * STORY_S);
        for (int i = 0; i < CLIENTS_N; i++) {
            statuses[wire_status(&clients[i])]++;
            wire_close(&clients[i]);
        }
    }
    pass_until(w, ends_us);
}

static void day(const char *yaml, bool refuses)
{
    struct story s;
    struct world *w;
    int statuses[600] = {0};
    long long first_n = 0, first_bytes = 0;
    unsigned next = 1;

    story_init(&s, yaml);
    s.workers = 2;
    w = story_begin(&s);
    for (int h = 1; h <= HOURS; h++) {
        hour(w, &next, statuses);
        CHECK(world_is_idle(w));
        if (h == 1) {
            first_n = live_n;
            first_bytes = live_bytes;
        }
    }
    CHECK(vnet_now_us(w->net) >= HOURS * HOUR_US);
    CHECK_INT(live_n, first_n);
    CHECK_INT(live_bytes, first_bytes);
    printf("# %u strangers: %d answered, %d without a right, %d without a route; %lld bytes in %lld pieces\n",
           next - 1, statuses[200], statuses[401], statuses[404], live_bytes, live_n);
    CHECK(statuses[200] > 0 && (statuses[401] > 0) == refuses && statuses[404] > 0);
    CHECK_INT(statuses[200] + statuses[401] + statuses[404], (int)next - 1);
    story_end(&w);
}

TEST(t17_a_day_of_strangers_with_wrong_keys_leaves_nothing_behind)
{
    day(KEYS, true);
}

TEST(t17_a_day_of_strangers_with_keys_of_their_own_leaves_nothing_behind)
{
    day(PASSED, false);
}
