/* SPDX-License-Identifier: MIT */
/* Reads a script, step by step, and asserts at its end what must always be true. */
#include "support/script.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "support/script_peers.h"

#define STEPS_MAX 200
#define SAID_MAX 64    /* bytes that one step lets somebody say */
#define LARGE_MAX 6    /* messages that helpers read; through narrow pipes each would take seconds */
#define LARGE_FROM 224 /* of a byte that says what is done */

/* Small slots and clocks, so that a short script fills lines and runs clocks out. */
#define YAML(workers, slots)                                                                                \
    "listen: 10.0.0.9:80\nworkers: " workers "\n"                                                           \
    "keys: [{name: tester, key: " SCRIPT_KEY ", limits: {inflight: 5}}]\n"                                  \
    "timeouts: {connect: 1s, transport: 4s, progress: 3s, deadline: 5s, stream_max: 8s, hold: 500ms, "      \
    "comment: "                                                                                             \
    "400ms, write: 2s, head: 2s, body: 2s, idle: 4s, drain: 3s, drain_delay: 100ms}\n"                      \
    "accounts: [{name: main, slots: {'*': " slots "}}]\n"                                                   \
    "endpoints:\n"                                                                                          \
    "  - {name: one, provider: openai, url: 'http://10.0.0.3/v1', key: " SCRIPT_CANARY ", account: main}\n" \
    "  - {name: two, provider: openai, url: 'http://10.0.0.4/v1', key: " SCRIPT_CANARY "}\n"                \
    "models:\n"                                                                                             \
    "  - {name: both, tiers: [[{endpoint: one}], [{endpoint: two}]]}\n"                                     \
    "  - {name: '*', tiers: [[{endpoint: one}]]}\n"

static const char *const EDITIONS[] = {YAML("1", "2"), YAML("2", "1"), YAML("1", "4")};

/* -- reading --------------------------------------------------------------------------------------------- */

static uint8_t next(struct slice *script)
{
    uint8_t byte = 0;

    if (script->n > 0) {
        byte = (uint8_t)script->p[0];
        *script = slice_from(*script, 1);
    }
    return byte;
}

static struct slice next_bytes(struct slice *script)
{
    size_t n = next(script) % SAID_MAX;
    struct slice bytes = {script->p, n < script->n ? n : script->n};

    *script = slice_from(*script, bytes.n);
    return bytes;
}

static struct script_end *some_end(struct scene *s, uint8_t which)
{
    size_t open_n = 0, at;

    for (size_t i = 0; i < s->ends_n; i++)
        open_n += s->ends[i].stream != NULL;
    if (open_n == 0)
        return NULL;
    at = which % open_n;
    for (size_t i = 0; i < s->ends_n; i++) {
        if (s->ends[i].stream != NULL && at-- == 0)
            return &s->ends[i];
    }
    return NULL;
}

/* -- steps ----------------------------------------------------------------------------------------------- */

static void step_ask(struct scene *s, struct slice *script)
{
    uint8_t who = next(script), cut = next(script);

    script_ask(&s->clients[who % SCRIPT_CLIENTS_N], (who & 4) != 0, (who & 8) != 0 ? "both" : "any",
               (who & 16) != 0 ? cut : 0, who >= LARGE_FROM);
}

static void step_client(struct scene *s, struct slice *script)
{
    uint8_t who = next(script);
    struct script_client *c = &s->clients[who % SCRIPT_CLIENTS_N];

    if ((who & 4) != 0)
        script_client_leave(c);
    else
        script_client_pause(c, !c->paused);
}

static void step_end(struct scene *s, struct slice *script)
{
    static void (*const DOES[])(struct script_end *,
                                bool large) = {script_answer, script_begin,  script_piece,    script_piece,
                                               script_half,   script_finish, script_end_pause};
    uint8_t what = next(script);
    struct script_end *e = some_end(s, next(script));

    if (e != NULL)
        DOES[what % COUNT_OF(DOES)](e, what >= LARGE_FROM);
}

static void step_trouble(struct scene *s, struct slice *script)
{
    uint8_t what = next(script);
    struct script_end *e = some_end(s, next(script));

    if (e == NULL)
        return;
    if ((what & 3) == 0)
        script_hang_up(e, (what & 4) != 0);
    else
        script_refuse(e, what >> 2);
}

static void step_end_says(struct scene *s, struct slice *script)
{
    struct script_end *e = some_end(s, next(script));
    struct slice bytes = next_bytes(script);

    if (e != NULL)
        script_end_say(e, bytes);
}

static void step_wild(struct scene *s, struct slice *script)
{
    script_wild_say(s, next_bytes(script));
}

static void step_time(struct scene *s, struct slice *script)
{
    static const int64_t SPANS_MS[] = {1, 5, 30, 200, 600, 1500, 3500, 6000};

    world_run(s->w, SPANS_MS[next(script) % COUNT_OF(SPANS_MS)] * CLOCK_MS_US);
}

static void step_change(struct scene *s, struct slice *script)
{
    uint8_t what = next(script);
    struct config_report report;
    struct addr at;

    if ((what & 7) == 7) {
        control_drain(s->w->control);
    } else if ((what & 1) != 0) {
        enum err e = world_reload(s->w, EDITIONS[what / 8 % COUNT_OF(EDITIONS)], &report);

        SCRIPT_CHECK(e == ERR_OK || e == ERR_DRAINING);
        s->tally->reloads_n += e == ERR_OK;
    } else {
        SCRIPT_CHECK(addr_parse((what & 8) != 0 ? SLICE("10.0.0.3:80") : SLICE("10.0.0.4:80"), &at) ==
                     ERR_OK);
        vnet_blackhole(s->w->net, &at, (what & 16) != 0);
    }
}

/* Asking and answering are the most of a life. */
static void (*const STEPS[])(struct scene *, struct slice *) = {
    step_ask, step_ask,     step_ask,      step_end,  step_end,  step_end,  step_end,    step_end,
    step_end, step_trouble, step_end_says, step_wild, step_time, step_time, step_client, step_change};

/* -- the run --------------------------------------------------------------------------------------------- */

static struct world *new_world(uint8_t first)
{
    struct config_report report = {.text = ""};
    struct world_opts o = {.yaml = EDITIONS[first % 2],
                           .net = {.seed = first,
                                   .latency_us = 200,
                                   .pipe_bytes = (first & 64) != 0 ? 256 : 0,
                                   .segment_max = (first & 128) != 0 ? 50 : 0,
                                   .wall_us = INT64_C(1793318400) * CLOCK_SECOND_US},
                           .access_fd = -1};
    struct world *w = world_new(&o, &report);

    if (w == NULL)
        fprintf(stderr, "%s\n", report.text);
    SCRIPT_CHECK(w != NULL);
    return w;
}

/* Nobody does anything any more, but for reading what comes: every request has an end then, without anybody
 * leaving. A stream may last for stream_max. */
static void wait_for_ends(struct scene *s)
{
    for (size_t i = 0; i < SCRIPT_CLIENTS_N; i++)
        script_client_pause(&s->clients[i], false);
    world_run(s->w, 20 * CLOCK_SECOND_US);
    for (size_t i = 0; i < SCRIPT_CLIENTS_N; i++)
        SCRIPT_CHECK(s->clients[i].http == NULL);
}

void script_run(struct slice script, struct script_tally *tally)
{
    struct scene *s = MEM_NEW(struct scene);
    uint8_t first = next(&script);

    *tally = (struct script_tally){0};
    s->tally = tally;
    s->large_left = (first & (64 | 128)) == 0 ? LARGE_MAX : 0;
    s->w = new_world(first);
    for (size_t i = 0; i < SCRIPT_CLIENTS_N; i++)
        s->clients[i] = (struct script_client){.scene = s, .tag = -1};
    script_listen(s);
    for (int i = 0; i < STEPS_MAX && script.n > 0; i++) {
        STEPS[next(&script) % COUNT_OF(STEPS)](s, &script);
        world_run(s->w, CLOCK_MS_US);
    }
    wait_for_ends(s);
    script_close_all(s);
    world_run(s->w, 10 * CLOCK_SECOND_US);
    SCRIPT_CHECK(world_is_idle(s->w));
    world_free(&s->w);
    mem_free(s);
}
