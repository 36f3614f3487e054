/* SPDX-License-Identifier: MIT */
/* Tests of the whole gateway in virtual time: a world, requests in it, and what must be true at the end. */
#ifndef SUPPORT_STORY_H
#define SUPPORT_STORY_H

#include "rehearse/world.h"

#define STORY_S INT64_C(1000000)
#define STORY_MS INT64_C(1000)

/* Two endpoints, each a simulator of its own at 10.0.0.1:80 (one) and 10.0.0.2:80 (two), tried in this order.
 */
#define STORY_TWO                                                               \
    "listen: 10.0.0.9:80\n"                                                     \
    "keys: [{name: tester, key: key-for-tests, priority: normal}]\n"            \
    "endpoints:\n"                                                              \
    "  - {name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}\n" \
    "  - {name: two, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}], [{endpoint: two}]]}]\n"

/* The same with DeepSeek's dialect, and one endpoint only. */
#define STORY_ONE(provider, base)                                                                   \
    "listen: 10.0.0.9:80\n"                                                                         \
    "keys: [{name: tester, key: key-for-tests, priority: normal}]\n"                                \
    "endpoints: [{name: one, provider: " provider ", url: 'http://10.0.0.1" base "', key: none}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n"

struct story {
    const char *yaml; /* first part of the configuration */
    const char *more; /* appended, or NULL */
    bool patient;     /* endpoints that fail are asked again, and left alone by breakers, as by default; else
                         each is asked once for a request, always */
    int workers;      /* 0: 1 */
    uint64_t seed;
    size_t segment_max;                        /* bytes arrive in pieces of at most this size; 0: whole */
    void (*on_turn)(void *ud, struct loop *l); /* of vnet_opts */
    void *on_turn_ud;
    struct sim_opts one, two;
    struct sim_listen_opts ways; /* of the first simulator's listener */
};

/* Fast simulators: 10 ms to the first token, 1 ms between tokens, 20 tokens. */
void story_init(struct story *s, const char *yaml);
struct world *story_begin(const struct story *s);
/* Checks that nothing is in work, frees the world (which asserts that nothing was left behind). */
void story_end(struct world **w);

/* A chat request's body in memory that lives until story_end. */
struct slice story_body(const char *model, bool stream, const char *prompt, const char *more_json);
/* Starts a chat request at the present virtual time. */
struct caller *story_ask(struct world *w, struct slice body);
/* The same, leaving after so long, and with one more header (NULL: none). */
struct caller *story_ask_with(struct world *w, struct slice body, int64_t leave_after_us, const char *header,
                              const char *value);
/* Runs until this caller has its end, at most `us` of virtual time; whether it has. */
bool story_wait(struct world *w, struct caller *c, int64_t us);
/* Text that the simulator must have said: for this prompt, `tokens` of them. */
struct slice story_text(const char *prompt, size_t tokens);
/* Tokens of an unbounded answer of a story's simulators. */
size_t story_length(const char *prompt);
/* error.code of a JSON error body, or of the error event that ends a stream; "" if there is none. */
const char *story_error_code(const struct caller *c);

#endif
