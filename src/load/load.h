/* SPDX-License-Identifier: MIT */
/* The load generator: an open loop of chat completion requests on any loop, real or virtual.
 *
 * Arrivals go on whatever the server does, and every latency counts from the moment at which the request was
 * meant to be sent: a server that stalls cannot hide the requests that it kept from being sent on time (no
 * coordinated omission). Intended times lie on whole milliseconds, the resolution of the loop's timers. When
 * `connections` requests are under way the next ones wait, in order, and are reported as held.
 *
 * Threads: everything on the loop's thread. */
#ifndef LOAD_LOAD_H
#define LOAD_LOAD_H

#include "load/prompt.h"
#include "load/tally.h"
#include "upstream/pool.h"

#define LOAD_RETRIES_MAX 2      /* of the SDKs */
#define LOAD_HEADERS_MAX 24     /* the user's own */
#define LOAD_WAITING_MAX 200000 /* some 150 MB */

struct load_target {
    const char *host;
    uint16_t port;
    struct tls_config *tls; /* or NULL */
    struct slice base_path, authority;
};

/* One request that has ended. Everything is borrowed for the call. */
struct load_ended {
    const struct arrival *arrival;
    enum ending ending;
    int64_t intended_us, first_us, ended_us; /* first token; 0: none came */
    unsigned attempts_n;                     /* that were sent */
};

struct load_opts {
    struct load_target target;
    struct source *source; /* borrowed */
    struct prompt_opts prompts;
    const char *class_names[SOURCE_CLASSES_MAX];       /* sent as x-tidegate-priority */
    const char *authorization[SOURCE_CLASSES_MAX + 1]; /* by class, the last for those without; or NULL */
    const struct header *headers;
    size_t headers_n;   /* at most LOAD_HEADERS_MAX */
    size_t connections; /* most requests under way */
    size_t waiting_max; /* requests held back at a time; more fail as "overrun" */
    int64_t connect_us;
    int64_t first_us; /* from the intended time to the first token of a stream */
    int64_t gap_us;   /* between two tokens */
    int64_t total_us; /* from the intended time to the end */
    bool sdk;         /* retry as the official SDKs do */
    bool own_limits;  /* 429 rate_limit_exceeded is the key's own limit: refused, not failed */
    uint64_t seed;    /* of the backoff's jitter */
    void (*on_ended)(void *ud, const struct load_ended *e); /* of each request; or NULL */
    void (*on_done)(void *ud);                              /* once: every request has ended */
    void *ud;
};

struct load;

/* What opts point at must live as long. The first arrival's time counts from now; on_done never comes inside
 * the call. */
struct load *load_new(struct loop *l, const struct load_opts *o);
/* No further arrivals; requests that wait or are under way are cancelled. on_done comes in the next turn. */
void load_stop(struct load *l);
/* After on_done, or after load_stop. */
void load_free(struct load **l);

struct tally *load_tally(struct load *l);
size_t load_in_flight(const struct load *l);     /* under way, without those that wait */
size_t load_waiting(const struct load *l);       /* held back by the bound */
uint64_t load_connects(const struct load *l);    /* connections begun, those that failed included */
const char *load_pool_why(const struct load *l); /* the words of the last failure of TLS; "": none */

#endif
