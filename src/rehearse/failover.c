/* SPDX-License-Identifier: MIT */
/* Rehearses failures of one model's endpoints, a new world for each: no case sees what another has left. */
#include "rehearse/failover.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "config/stage.h"
#include "gateway/prepare.h"
#include "rehearse/world.h"

#define WELL_HOST "10.0.0.1"
#define ILL_HOST "10.0.0.2" /* nobody is there when connections are to be refused */
#define PORT 80
#define GRACE_US (60 * CLOCK_SECOND_US) /* past the deadline: the gateway is to end it, not this file */
#define BODY_BYTES 512

static const struct {
    const char *word, *text;
    enum sim_fault fault; /* SIM_NONE: no simulator, or one that is well */
} HOWS[] = {
    [FAILOVER_WELL] = {"none", "", SIM_NONE},
    [FAILOVER_DOWN] = {"down", "refuses connections", SIM_NONE},
    [FAILOVER_BUSY] = {"busy", "is busy (429)", SIM_429},
    [FAILOVER_KEY] = {"key", "refuses its key (401)", SIM_401},
    [FAILOVER_MONEY] = {"balance", "has no balance (402)", SIM_402},
    [FAILOVER_SILENT] = {"silent", "is silent (plain request)", SIM_HANG},
};

const char *failover_how_text(enum failover_how how)
{
    return HOWS[how].text;
}

const char *failover_how_word(enum failover_how how)
{
    return HOWS[how].word;
}

const char *failover_where_word(enum failover_where where)
{
    static const char *const words[] = {"none", "first", "tier", "all"};

    return words[where];
}

/* One rehearsal. */
struct play {
    const struct config *config;
    const struct config_model *model;
    int index; /* of the model */
    enum surface_id surface;
    enum failover_where where;
    int first; /* endpoint; -1: not known yet */
    bool over;
};

static bool stands_in(const struct config_tier *tier, int endpoint)
{
    for (size_t i = 0; i < tier->targets_n; i++) {
        if (tier->targets[i].endpoint == endpoint)
            return true;
    }
    return false;
}

static bool fails(const struct play *p, int endpoint)
{
    switch (p->where) {
    case FAILOVER_NONE:
        return false;
    case FAILOVER_FIRST:
        return endpoint == p->first;
    case FAILOVER_TIER:
        return stands_in(&p->model->tiers[0], endpoint);
    case FAILOVER_ALL:
        break;
    }
    return true;
}

static struct stage_place place(void *ud, int endpoint)
{
    return (struct stage_place){fails(ud, endpoint) ? ILL_HOST : WELL_HOST, PORT};
}

static void on_end(void *ud, struct caller *c)
{
    (void)c;
    ((struct play *)ud)->over = true;
}

static struct sim_opts quick_sim(enum sim_fault fault)
{
    struct sim_opts o;

    sim_opts_default(&o);
    o.ttft = o.gap = (struct sim_time){0, 0};
    o.tokens_mean = 1;
    o.keepalive_us = 0;
    o.deepseek = true;
    if (fault != SIM_NONE)
        o.fault_p[fault] = 1;
    return o;
}

/* The smallest request of each API. */
static void ask(const struct play *p, struct caller_ask *out, char body[BODY_BYTES])
{
    static const char *const paths[SURFACE_N] = {[SURFACE_CHAT] = "/v1/chat/completions",
                                                 [SURFACE_RESPONSES] = "/v1/responses",
                                                 [SURFACE_MESSAGES] = "/v1/messages"};
    struct slice name = slice_eq(p->model->name, SLICE("*")) ? SLICE("any") : p->model->name;
    struct buf text;

    buf_init(&text, BODY_BYTES - 1, NULL);
    (void)!buf_add(&text, SLICE("{\"model\":"));
    (void)!buf_add_json_string(&text, name);
    if (p->surface == SURFACE_RESPONSES)
        (void)!buf_add(&text, SLICE(",\"input\":\"Hello\"}"));
    else
        (void)!buf_add(&text, SLICE(",\"max_tokens\":1,\"messages\":[{\"role\":\"user\","
                                    "\"content\":\"Hello\"}]}"));
    memcpy(body, text.p, text.n);
    *out = (struct caller_ask){.path = paths[p->surface], .body = {body, text.n}};
    buf_fini(&text);
}

static void copy(char out[FAILOVER_NAME_BYTES], struct slice text)
{
    snprintf(out, FAILOVER_NAME_BYTES, "%.*s", SLICE_ARG(text));
}

static void read_answer(const struct caller *c, struct failover_row *row)
{
    struct json_doc *doc;
    struct json_value error;

    row->status = c->status;
    row->after_us = (c->ended_us > 0 ? c->ended_us : c->loop->now_us) - c->started_us;
    if (c->status == 200) {
        copy(row->by, slice_of(c->endpoint));
        return;
    }
    if (json_parse(buf_slice(&c->body), NULL, &doc, NULL) != ERR_OK)
        return;
    error = json_get(json_root(doc), "error");
    copy(row->code, json_string(json_get(error, json_is_string(json_get(error, "code")) ? "code" : "type")));
    json_free(&doc);
}

static struct failover_row rehearse(struct play *p, struct config *c, enum failover_how how)
{
    struct config *stage = config_stage(c, p->index, place, p);
    const struct world_sim sims[] = {{.at = WELL_HOST ":80", .opts = quick_sim(SIM_NONE)},
                                     {.at = ILL_HOST ":80", .opts = quick_sim(HOWS[how].fault)}};
    struct world_opts o = {.config = stage,
                           .net = {.seed = 1, .wall_us = clock_wall_us()},
                           .sims = sims,
                           .sims_n = how == FAILOVER_DOWN ? 1 : 2,
                           .access_fd = -1};
    struct world *w = world_new(&o, NULL);
    struct failover_row row = {.where = p->where, .how = how};
    struct header auth = {SLICE("Authorization"), SLICE("Bearer made-up")}; /* of clients, where it goes up */
    char body[BODY_BYTES];
    struct caller_ask a;
    struct caller *caller;

    ask(p, &a, body);
    a.to = w->listen;
    a.headers = &auth;
    a.headers_n = 1;
    p->over = false;
    caller = caller_start(w->client_loop, &a, on_end, p);
    world_run_until(w, clock_add(p->model->deadline_us, GRACE_US), &p->over);
    read_answer(caller, &row);
    caller_free(&caller);
    world_free(&w);
    config_unref(&stage);
    return row;
}

static int endpoint_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->endpoints_n; i++) {
        if (strcmp(c->endpoints[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

/* How many different endpoints would fail, of those that speak the API. */
static size_t failing_n(const struct play *p)
{
    uint64_t all = prepare_targets(p->model), silent = prepare_silent(p->config, p->model, p->surface);
    size_t n = 0;

    for (int i = 0; i < 64 && (all >> i & 1); i++) {
        int endpoint = prepare_target(p->model, i)->endpoint;
        bool again = false;

        for (int k = 0; k < i; k++)
            again |= prepare_target(p->model, k)->endpoint == endpoint;
        n += !again && !(silent >> i & 1) && fails(p, endpoint);
    }
    return n;
}

bool failover_differs(const struct config *c, int model, enum surface_id surface)
{
    uint64_t silent = prepare_silent(c, &c->models[model], surface);

    return silent != 0 && silent != prepare_targets(&c->models[model]);
}

void failover_rehearse(struct config *c, int model, enum surface_id surface, struct failover *out)
{
    static const enum failover_how one[] = {FAILOVER_DOWN, FAILOVER_BUSY, FAILOVER_KEY, FAILOVER_MONEY,
                                            FAILOVER_SILENT},
                                   many[] = {FAILOVER_DOWN, FAILOVER_BUSY};
    struct play p = {
        .config = c, .model = &c->models[model], .index = model, .surface = surface, .first = -1};
    size_t before;

    out->rows_n = 0;
    out->rows[out->rows_n++] = rehearse(&p, c, FAILOVER_WELL);
    p.first = endpoint_named(c, out->rows[0].by);
    if (p.first < 0)
        return; /* it does not even work when all is well */
    p.where = FAILOVER_FIRST;
    for (size_t i = 0; i < COUNT_OF(one); i++)
        out->rows[out->rows_n++] = rehearse(&p, c, one[i]);
    before = 1;
    for (p.where = FAILOVER_TIER; p.where <= FAILOVER_ALL; p.where++) {
        size_t n = failing_n(&p);

        for (size_t i = 0; i < COUNT_OF(many) && n > before; i++)
            out->rows[out->rows_n++] = rehearse(&p, c, many[i]);
        before = n > before ? n : before;
    }
}
