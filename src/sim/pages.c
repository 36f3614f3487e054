/* SPDX-License-Identifier: MIT */
/* The small pages of providers: models, the balance, and the simulator's own figures. */
#include "base/clock.h"
#include "sim/routes.h"

#define PAGE_MAX_BYTES (64 * 1024)
#define NO_HEADER ((struct header){SLICE_NONE, SLICE_NONE})

static const char *const MODELS[] = {"deepseek-flash", "deepseek-v4-pro", "gpt-4o-mini", "sim"};

static void respond_with(struct sim *s, struct conn *c, struct buf *b)
{
    sim_respond(s, c, 200, NO_HEADER, arena_dup(&s->loop->turn, buf_slice(b)));
    buf_fini(b);
}

static void add_model(struct sim *s, struct buf *b, struct slice name)
{
    (void)!buf_add(b, SLICE("{\"id\":"));
    (void)!buf_add_json_string(b, name);
    (void)!buf_printf(b, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"sim\"}",
                      (long long)(s->loop->wall_us / CLOCK_SECOND_US));
}

void sim_page_models(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    struct buf b;

    (void)rq;
    (void)rest;
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_add(&b, SLICE("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < sizeof MODELS / sizeof MODELS[0]; i++) {
        (void)!buf_add(&b, i > 0 ? SLICE(",") : SLICE(""));
        add_model(s, &b, slice_of(MODELS[i]));
    }
    (void)!buf_add(&b, SLICE("]}"));
    respond_with(s, c, &b);
}

/* Any name is a model here; names with "missing" in them are those of which a test wants to hear that they
 * are none. */
void sim_page_model(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    struct buf b;

    (void)rq;
    if (slice_find(rest, SLICE("missing")) >= 0) {
        sim_refuse(s, c, sim_error_of(SIM_404));
        return;
    }
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    add_model(s, &b, rest);
    respond_with(s, c, &b);
}

/* Amounts are texts, as DeepSeek has them. */
void sim_page_balance(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    int amount = s->opts.balance;
    struct buf b;

    (void)rq;
    (void)rest;
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_printf(
        &b,
        "{\"is_available\":%s,\"balance_infos\":[{\"currency\":\"CNY\",\"total_balance\":\"%d.00\","
        "\"granted_balance\":\"0.00\",\"topped_up_balance\":\"%d.00\"}]}",
        amount > 0 ? "true" : "false", amount, amount);
    respond_with(s, c, &b);
}

void sim_page_stats(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    const struct sim_stats *st = &s->stats;
    struct buf b;

    (void)rq;
    (void)rest;
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_printf(&b,
                      "{\"requests\":%llu,\"answered\":%llu,\"refused\":%llu,\"cut\":%llu,\"cancelled\":%llu,"
                      "\"tokens\":%llu,\"working\":%d,\"queued\":%d,\"connections\":%d,\"faults\":{",
                      (unsigned long long)st->requests_n, (unsigned long long)st->answered_n,
                      (unsigned long long)st->refused_n, (unsigned long long)st->cut_n,
                      (unsigned long long)st->cancelled_n, (unsigned long long)st->tokens_n, st->working_n,
                      st->queued_n, st->conns_n);
    for (int f = SIM_NONE + 1; f < SIM_FAULT_N; f++)
        (void)!buf_printf(&b, "%s\"%s\":%llu", f > SIM_NONE + 1 ? "," : "",
                          sim_fault_row((enum sim_fault)f)->label, (unsigned long long)st->faults_n[f]);
    (void)!buf_add(&b, SLICE("}}"));
    respond_with(s, c, &b);
}
