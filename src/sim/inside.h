/* SPDX-License-Identifier: MIT */
/* The simulator's insides, shared by sim.c (life and connections), door.c (listeners), pages.c and engine.c
 * (small pages) and the work_*.c files (answers). */
#ifndef SIM_INSIDE_H
#define SIM_INSIDE_H

#include "base/buf.h"
#include "base/json.h"
#include "http/conn.h"
#include "sim/door.h"
#include "sim/sim.h"

#define SIM_BODY_MAX (64 * 1024 * 1024)
#define SIM_DOORS_MAX 8

struct sim {
    struct loop *loop;
    struct sim_opts opts;
    struct sim_stats stats;
    struct conn_limits limits;
    struct sim_door *doors[SIM_DOORS_MAX];
    size_t doors_n;
    struct list conns;
    struct list line; /* works that wait for a slot, first come first */
    struct list busy; /* works that have one */
    int slots_used;
    struct rng dice;
    struct json_pool *json;
    int64_t began_us;
    uint64_t request_ids_n;
    bool closing;
};

/* sim.c: a connection has come through that door. */
void sim_accept(struct sim_door *d, struct stream **stream, const struct addr *peer);
static inline int64_t sim_age_us(const struct sim *s)
{
    return s->loop->now_us - s->began_us;
}
static inline bool sim_is_loading(const struct sim *s)
{
    return sim_age_us(s) < s->opts.loading_us;
}

/* -- error.c: HTTP errors ------------------------------------------------------------------------------- */

enum sim_shape { SIM_SHAPE_OPENAI, SIM_SHAPE_ANTHROPIC, SIM_SHAPE_LLAMA, SIM_SHAPE_HTML };

struct sim_error {
    int status;
    enum sim_shape shape;
    const char *type, *code, *param; /* code and param: NULL is null */
    const char *text;
    struct header more; /* one more header; name.n 0: none */
};

/* One in OpenAI's shape. */
static inline struct sim_error sim_error_make(int status, const char *code, const char *param,
                                              const char *text)
{
    const char *type = status >= 500 ? "server_error" : "invalid_request_error";

    return (struct sim_error){.status = status, .type = type, .code = code, .param = param, .text = text};
}

/* The error of a fault of phase REFUSAL (or of SIM_ERROR), without its Retry-After. */
const struct sim_error *sim_error_of(enum sim_fault f);
/* Its body, in memory of the turn. */
struct slice sim_error_body(struct sim *s, const struct sim_error *error);
void sim_refuse(struct sim *s, struct conn *c, const struct sim_error *error);
void sim_respond(struct sim *s, struct conn *c, int status, struct header more, struct slice body);
/* The header that every response carries; its text lives until the end of the turn. */
struct header sim_request_id(struct sim *s);

#endif
