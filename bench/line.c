/* SPDX-License-Identifier: MIT */
/* What the line costs in process: a request that finds a slot free and gives it back, and one that waits in a
 * line of so many of so many tenants, while another is served. Prints nanoseconds for a whole request, as the
 * least of some rounds; the lock and the message of a grant are not in it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "policy/line.h"

#define ROUNDS 9
#define TIMES 20000
#define WAITING_MAX 10000
#define SLOTS_N 100

#define NAME(literal)                  \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

static const struct config_slots slots[] = {{NAME("m"), SLOTS_N}};
static const struct config_account accounts[] = {{.name = "a", .slots = slots, .slots_n = 1}};
static const struct config_endpoint endpoints[] = {{.name = "e", .account = 0}, {.name = "f", .account = 0}};
static const struct config_target targets[] = {{.endpoint = 0}, {.endpoint = 1}};
static const struct config_tier tiers[] = {{.targets = targets, .targets_n = 2}};
static const struct config_model models[] = {{.name = NAME("m"), .tiers = tiers, .tiers_n = 1}};

static const struct config config = {
    .opt = {.line_max = WAITING_MAX + 1, .attempts_max = 3, .outage_us = 30 * CLOCK_SECOND_US},
    .accounts = accounts,
    .accounts_n = 1,
    .endpoints = endpoints,
    .endpoints_n = 2,
    .models = models,
    .models_n = 1,
};

struct bench {
    struct line *line;
    struct rng dice;
    struct list grants;
    int64_t now_us;
    int tenants_n;
    struct ticket tickets[WAITING_MAX + SLOTS_N], *calls[SLOTS_N];
    size_t next; /* of calls */
};

static void ask(struct bench *b, struct ticket *t)
{
    ticket_init(t);
    t->model = 0;
    t->upstream = models[0].name;
    t->tenant = (int)rng_below(&b->dice, (uint64_t)b->tenants_n);
    t->arrived_us = b->now_us;
    t->deadline_us = b->now_us + 3600 * CLOCK_SECOND_US;
    t->call.prompt_tokens = 1000;
    if (line_admit(b->line, t, b->now_us, &b->dice) > LINE_QUEUED)
        ASSERT(!"it is refused");
}

static void end(struct bench *b, struct ticket *t)
{
    struct call_report r = {OUTCOME_OK, -1, 900, 300};

    line_first(b->line, t, b->now_us, &b->dice, &b->grants);
    line_settle(b->line, t, &r, b->now_us, &b->dice, &b->grants);
}

/* Nobody waits: a slot is taken and given back. */
static void pass(struct bench *b)
{
    ask(b, &b->tickets[0]);
    end(b, &b->tickets[0]);
}

/* The line stays as long: one ends, the next is served, and the first asks again. */
static void queue(struct bench *b)
{
    struct ticket **call = &b->calls[b->next++ % SLOTS_N], *done = *call;

    end(b, done);
    *call = CONTAINER_OF(list_pop_front(&b->grants), struct ticket, node);
    line_take(b->line, *call);
    ask(b, done);
}

static double least_ns(struct bench *b, void (*step)(struct bench *b))
{
    int64_t best_us = INT64_MAX;

    for (int round = 0; round < ROUNDS; round++) {
        int64_t from_us = clock_mono_us(), took_us;

        for (int i = 0; i < TIMES; i++) {
            b->now_us += 10 * CLOCK_MS_US;
            step(b);
        }
        took_us = clock_mono_us() - from_us;
        best_us = took_us < best_us ? took_us : best_us;
    }
    return (double)best_us * 1000 / TIMES;
}

static void begin(struct bench *b, int tenants_n)
{
    static const int all[] = {0};
    struct line_part p = {.cfg = &config, .models = all, .models_n = 1, .tenants_n = (size_t)tenants_n};

    b->line = line_new_of(&p, 1);
    b->tenants_n = tenants_n;
    b->now_us = CLOCK_SECOND_US;
    b->next = 0;
    list_init(&b->grants);
    rng_seed(&b->dice, 1);
}

static void finish(struct bench *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        line_cancel(b->line, &b->tickets[i], b->now_us, &b->dice, &b->grants);
        while (list_pop_front(&b->grants) != NULL)
            continue;
    }
    line_free(&b->line);
}

static double queue_ns(struct bench *b, size_t waiting_n, int tenants_n)
{
    double ns;

    begin(b, tenants_n);
    for (size_t i = 0; i < SLOTS_N + waiting_n; i++) {
        ask(b, &b->tickets[i]);
        if (i < SLOTS_N)
            b->calls[i] = &b->tickets[i];
    }
    ns = least_ns(b, queue);
    finish(b, SLOTS_N + waiting_n);
    return ns;
}

int main(void)
{
    struct bench *b = calloc(1, sizeof *b);

    if (b == NULL)
        return 1;
    begin(b, 10);
    printf("a slot is free: %.0f ns\n", least_ns(b, pass));
    finish(b, 1);
    for (size_t n = 10; n <= WAITING_MAX; n *= 10) {
        for (int tenants_n = 1; tenants_n <= 1000 && (size_t)tenants_n <= n; tenants_n *= 10)
            printf("%5zu of %4d tenants wait: %.0f ns\n", n, tenants_n, queue_ns(b, n, tenants_n));
    }
    free(b);
    return 0;
}
