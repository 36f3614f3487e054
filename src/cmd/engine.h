/* SPDX-License-Identifier: MIT */
/* What a program on a loopback port says of itself: is it an engine, which, and what does it serve? Pure. */
#ifndef CMD_ENGINE_H
#define CMD_ENGINE_H

#include "base/arena.h"
#include "config/engines.h"
#include "http/message.h"

#define ENGINE_MODELS_MAX 64 /* of one engine; the others are reached through "*" where that leads there */

enum engine_state {
    ENGINE_NONE,    /* something else */
    ENGINE_GATEWAY, /* another tidegate: it would lead in a circle, or to what was found anyway */
    ENGINE_LOCKED,  /* wants a key that we do not have */
    ENGINE_USABLE
};

struct engine_answer {
    int status;
    const struct header *headers;
    size_t headers_n;
    struct slice body;
};

/* Reads the answer to GET /v1/models into `out`, whose `at` stays as it is. *next: what to ask then, to be
 * read with engine_read_more; NULL when that is all. Everything in `out` lives in the arena. */
enum engine_state engine_read_models(const struct engine_answer *a, struct arena *arena,
                                     struct config_engine *out, const char **next);
/* Reads the answer to that. It may be an answer of any kind: the engine stays usable, unless it wants a key,
 * or is of no known kind and lists no model. */
enum engine_state engine_read_more(const struct engine_answer *a, struct config_engine *out);

#endif
