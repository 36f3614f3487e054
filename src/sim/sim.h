/* SPDX-License-Identifier: MIT */
/* The provider simulator: an OpenAI- and DeepSeek-like chat endpoint on any loop, real or virtual.
 *
 * Its text is a deterministic function of the prompt (sim/text.h), so that a test knows every byte of every
 * answer. It has slots and a queue with keep-alives, an account limit with 429, times from distributions, and
 * faults, chosen by a suffix of the model name ("any~cut=5", see docs/sim.md) or by probability; a seed
 * repeats a run exactly.
 *
 * Threads: everything on the loop's thread. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdint.h>

#include "io/loop.h"

struct sim;

/* A time drawn from a distribution: lognormal with this median and sigma (0: always the median). */
struct sim_time {
    int64_t median_us;
    double sigma;
};

enum sim_fault {
    SIM_NONE,
    SIM_HANG, /* never sends a head */
    SIM_429,  /* refused: account limit, with Retry-After: 1 */
    SIM_500,
    SIM_503,
    SIM_CUT,       /* closes after k tokens (plain: in the middle of the body) */
    SIM_STALL,     /* silent after k tokens, connection open */
    SIM_NO_DONE,   /* ends cleanly without [DONE] */
    SIM_MALFORMED, /* the event behind k tokens is no JSON */
    SIM_EMPTY,     /* a success with nothing in it */
    SIM_FAULT_N
};

struct sim_opts {
    uint64_t seed;
    int slots;                   /* answers worked on at the same time; the others queue; 0: no bound */
    int account_limit;           /* calls in flight (working or queued) before 429; 0: none */
    struct sim_time ttft, gap;   /* time to first token; between tokens */
    int tokens_mean;             /* mean length of an answer when the request sets none */
    int64_t keepalive_us;        /* between keep-alives while queued: comments (stream), blank lines (plain);
                                    0: none */
    double fault_p[SIM_FAULT_N]; /* probability of each fault per request */
    int fault_after;             /* the k of faults that were given none; 0: drawn from 1..20 */
    bool deepseek;         /* DeepSeek's form (usage on the last content chunk, reasoning while thinking is
                              enabled) for paths without /v1 and models named deepseek... */
    struct budget *budget; /* charged with request bodies; may be NULL */
};

/* Figures for tests and for the page /sim/stats. Of requests (chat completions that arrived whole) every one
 * is answered, refused, cut or cancelled, or still working or queued. */
struct sim_stats {
    uint64_t requests_n;
    uint64_t answered_n;            /* a success, complete for HTTP */
    uint64_t refused_n;             /* an HTTP error */
    uint64_t cut_n;                 /* broken off on purpose */
    uint64_t cancelled_n;           /* the caller closed before the end */
    uint64_t faults_n[SIM_FAULT_N]; /* chosen for requests within the account limit */
    uint64_t tokens_n;              /* sent, thoughts included */
    int working_n, queued_n;        /* now; 0 when idle; a hanging call counts as queued */
    int conns_n;                    /* now */
    int64_t last_cancel_us;         /* loop time when a caller's departure was last seen */
};

void sim_opts_default(struct sim_opts *o); /* ttft 200 ms, gap 20 ms, 64 tokens, keep-alive every 1 s */
struct sim *sim_new(struct loop *l, const struct sim_opts *o);
/* Ends every connection. */
void sim_free(struct sim **s);
/* May be called for several addresses. */
enum err sim_listen(struct sim *s, const struct addr *at, struct addr *bound);
const struct sim_stats *sim_stats(const struct sim *s);

/* The name of a fault as it stands in suffixes and options: "cut". SIM_NONE has none: "". */
const char *sim_fault_name(enum sim_fault f);
/* The other way round; SIM_NONE for a name that is none. */
enum sim_fault sim_fault_of(struct slice name);
/* "200ms", "1.5s:0.4": a duration in us, ms, s or m (a bare 0 too), at most a day, and perhaps a sigma of at
 * most 10. */
bool sim_time_parse(struct slice text, struct sim_time *out);

#endif
