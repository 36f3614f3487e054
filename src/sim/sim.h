/* SPDX-License-Identifier: MIT */
/* The provider simulator: the APIs of model providers and engines on any loop, real or virtual.
 *
 * Its text is a deterministic function of the prompt (sim/text.h), so that a test knows every byte of every
 * answer. It has slots and a queue with keep-alives, an account limit with 429, times from distributions, and
 * faults (sim/fault.def), chosen by a suffix of the model name ("any~cut=5"), by listener, by a timeline or
 * by probability; a seed repeats a run exactly.
 *
 * Threads: everything on the loop's thread. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdint.h>

#include "io/loop.h"
#include "sim/fault.h"
#include "sim/times.h"

struct sim;
struct sim_timeline;

struct sim_opts {
    uint64_t seed;
    int slots;                   /* answers worked on at the same time; the others queue; 0: no bound */
    int account_limit;           /* calls in flight (working or queued) before 429; 0: none */
    struct sim_time ttft, gap;   /* time to first token; between tokens */
    int64_t prefill_us;          /* more time to the first token for each 1000 tokens of the prompt */
    int tokens_mean;             /* mean length of an answer when the request sets none */
    int64_t keepalive_us;        /* between keep-alives while queued: comments (stream), blank lines (plain);
                                    0: none */
    int64_t loading_us;          /* for so long after the start every call and /health are answered 503 */
    int balance;                 /* of the account, in yuan; 0: calls are answered 402 */
    double fault_p[SIM_FAULT_N]; /* probability of each fault: per request; of phase TLS per connection; of
                                    phase CONNECT per slice of time (sim/door.h) */
    int fault_after;             /* the k of faults that were given none; 0: drawn from 1..20 */
    bool deepseek; /* DeepSeek's form (usage on the last content chunk, reasoning while thinking is
                      enabled) for paths without /v1 and models named deepseek... */
    const struct sim_timeline *timeline; /* borrowed; may be NULL */
    struct budget *budget;               /* charged with request bodies; may be NULL */
};

/* A listener's own ways; all of it is borrowed. */
struct sim_listen_opts {
    const char *name;         /* what the timeline calls it; NULL: "" */
    const char *rule;         /* sim/rule.h; NULL: none */
    struct tls_config *tls;   /* NULL: plain HTTP */
    struct tls_config *wrong; /* for tls_wrong; NULL when that cannot happen */
};

/* Figures for tests and for the page /sim/stats. Of requests (calls that arrived whole) every one is
 * answered, refused, cut or cancelled, or still working or queued. */
struct sim_stats {
    uint64_t requests_n;
    uint64_t answered_n;            /* a success, complete for HTTP */
    uint64_t refused_n;             /* an HTTP error */
    uint64_t cut_n;                 /* broken off on purpose */
    uint64_t cancelled_n;           /* the caller closed before the end */
    uint64_t faults_n[SIM_FAULT_N]; /* that happened: to requests within the account limit, to connections
                                       (TLS), and how often a listener went deaf or away (CONNECT) */
    uint64_t tokens_n;              /* sent, thoughts included */
    uint64_t prompt_tokens_n;       /* read */
    int working_n, queued_n;        /* now; 0 when idle; a hanging call counts as queued */
    int conns_n;                    /* now */
    int64_t last_cancel_us;         /* loop time when a caller's departure was last seen */
};

void sim_opts_default(struct sim_opts *o); /* ttft 200 ms, gap 20 ms, 64 tokens, keep-alive every 1 s */
struct sim *sim_new(struct loop *l, const struct sim_opts *o);
/* Ends every connection. */
void sim_free(struct sim **s);
/* May be called for several addresses, at most 8. */
enum err sim_listen(struct sim *s, const struct addr *at, struct addr *bound);
/* The same with ways of its own. ERR_MALFORMED: the rule is none, or needs TLS that is not there. */
enum err sim_listen_with(struct sim *s, const struct addr *at, const struct sim_listen_opts *o,
                         struct addr *bound);
const struct sim_stats *sim_stats(const struct sim *s);

#endif
