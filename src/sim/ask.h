/* SPDX-License-Identifier: MIT */
/* A chat completion request as the simulator understands it. */
#ifndef SIM_ASK_H
#define SIM_ASK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

struct sim_ask {
    struct slice model; /* as asked for, escapes undone, in the arena */
    bool stream, include_usage;
    bool thinking;       /* not switched off: what DeepSeek does by default */
    int64_t max_tokens;  /* -1: not given */
    uint64_t hash;       /* of the messages (sim/text.h) */
    uint64_t text_bytes; /* of the messages */
};

/* What is wrong with it, for the caller: one sentence and the member's name (or NULL). */
struct sim_complaint {
    const char *text, *param;
};

/* False with a complaint when `body` is no request that a provider would take. */
bool sim_ask_parse(struct slice body, struct json_pool *pool, struct arena *arena, struct sim_ask *out,
                   struct sim_complaint *bad);

#endif
