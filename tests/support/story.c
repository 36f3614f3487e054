/* SPDX-License-Identifier: MIT */
/* The kit for tests of the whole gateway in virtual time. */
#include "support/story.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "sim/text.h"

#define TOKENS_MEAN 20

static struct arena memory; /* of the test that is running: tests run one after the other */
static bool memory_made;

static struct arena *arena(void)
{
    if (!memory_made)
        arena_init(&memory, NULL, 0, 65536);
    memory_made = true;
    return &memory;
}

static void sim_defaults(struct sim_opts *o)
{
    sim_opts_default(o);
    o->ttft = (struct sim_time){10 * STORY_MS, 0};
    o->gap = (struct sim_time){STORY_MS, 0};
    o->tokens_mean = TOKENS_MEAN;
    o->deepseek = true;
}

void story_init(struct story *s, const char *yaml)
{
    *s = (struct story){.yaml = yaml, .seed = 1};
    sim_defaults(&s->one);
    sim_defaults(&s->two);
}

struct world *story_begin(const struct story *s)
{
    struct world_sim sims[2] = {{"10.0.0.1:80", s->one, s->ways}, {"10.0.0.2:80", s->two, {.name = NULL}}};
    struct slice yaml = arena_printf(arena(), "%sworkers: %d\n%s%s", s->yaml, s->workers > 0 ? s->workers : 1,
                                     s->more != NULL ? s->more : "",
                                     s->patient ? "" : "retry: {outage: 0s}\nbreaker: {failures: 0}\n");
    struct config_report report = {.text = ""};
    struct world_opts o = {
        .yaml = yaml.p,
        .net = {.seed = s->seed,
                .latency_us = 200,
                .segment_max = s->segment_max,
                .wall_us = 1793318400 * STORY_S,
                .on_turn = s->on_turn,
                .on_turn_ud = s->on_turn_ud},
        .sims = sims,
        .sims_n = 2,
        .access_fd = -1,
    };
    struct world *w;

    sims[1].opts.seed += 1;
    w = world_new(&o, &report);
    if (w == NULL) {
        printf("# %s\n", report.text);
        ASSERT(!"the story's configuration is refused");
    }
    return w;
}

void story_end(struct world **w)
{
    world_run(*w, 5 * STORY_S); /* tails of calls end */
    ASSERT(world_is_idle(*w));
    for (size_t i = 0; i < (*w)->sims_n; i++) {
        ASSERT(sim_stats((*w)->sims[i])->working_n == 0);
        ASSERT(sim_stats((*w)->sims[i])->queued_n == 0);
    }
    world_free(w);
    arena_fini(&memory);
    memory_made = false;
}

struct slice story_body(const char *model, bool stream, const char *prompt, const char *more_json)
{
    return arena_printf(
        arena(), "{\"model\":\"%s\",\"stream\":%s,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s%s}",
        model, stream ? "true" : "false", prompt, more_json != NULL ? "," : "",
        more_json != NULL ? more_json : "");
}

struct caller *story_ask_with(struct world *w, struct slice body, int64_t leave_after_us, const char *header,
                              const char *value)
{
    struct header *h = arena_alloc(arena(), 2 * sizeof *h);
    struct caller_ask ask = {.to = w->listen,
                             .path = "/v1/chat/completions",
                             .body = body,
                             .headers = h,
                             .headers_n = header != NULL ? 2 : 1,
                             .leave_after_us = leave_after_us};

    h[0] = (struct header){SLICE("Authorization"), SLICE("Bearer key-for-tests")};
    h[1] = (struct header){slice_of(header), slice_of(value)};
    return caller_start(w->client_loop, &ask, NULL, NULL);
}

struct caller *story_ask(struct world *w, struct slice body)
{
    return story_ask_with(w, body, 0, NULL, NULL);
}

bool story_wait(struct world *w, struct caller *c, int64_t us)
{
    int64_t until = vnet_now_us(w->net) + us;

    while (c->ended_us == 0 && vnet_now_us(w->net) < until)
        world_run(w,
                  until - vnet_now_us(w->net) < 10 * STORY_MS ? until - vnet_now_us(w->net) : 10 * STORY_MS);
    return c->ended_us != 0;
}

struct slice story_text(const char *prompt, size_t tokens)
{
    uint64_t hash = sim_text_hash(slice_of(prompt), 0);
    char *text = arena_bytes(arena(), tokens * SIM_TOKEN_MAX + 1), *at = text;

    for (size_t i = 0; i < tokens; i++)
        at += sim_text_token(hash, i, at);
    return (struct slice){text, (size_t)(at - text)};
}

size_t story_length(const char *prompt)
{
    return sim_text_length(sim_text_hash(slice_of(prompt), 0), TOKENS_MEAN);
}

/* The last `data:` line's JSON, or the whole body. */
static struct slice last_json(const struct caller *c)
{
    struct slice body = buf_slice(&c->body), last = body, rest = body, line;

    if (!c->error_event)
        return body;
    while (rest.p != NULL) {
        line = slice_cut(rest, '\n', &rest);
        if (slice_starts(line, SLICE("data: {")))
            last = slice_from(line, 6);
    }
    return last;
}

const char *story_error_code(const struct caller *c)
{
    struct json_doc *doc;
    struct slice code;

    if (json_parse(last_json(c), NULL, &doc, NULL) != ERR_OK)
        return "";
    code = arena_dup(arena(), json_string(json_get(json_get(json_root(doc), "error"), "code")));
    json_free(&doc);
    return code.p != NULL ? code.p : "";
}
