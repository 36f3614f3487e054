/* SPDX-License-Identifier: MIT */
/* Drills: a scenario is played against the real gateway, and what became of its clients is measured and held
 * against the bounds that the scenario states.
 *
 * A scenario is data (drill_scenarios.c): providers with slots and a script of faults, crowds of clients with
 * rates and lengths, and bounds. In virtual time the whole of it is one world (rehearse/world.h): an hour
 * takes seconds, and a seed repeats it to the last byte. The same clients are played a second time without
 * the gateway, against the first provider alone, retrying as the official SDKs do. */
#ifndef REHEARSE_DRILL_H
#define REHEARSE_DRILL_H

#include "base/hist.h"
#include "config/config.h"
#include "load/judge.h"
#include "load/source.h"

#define DRILL_PROVIDERS_MAX 4
#define DRILL_CROWDS_MAX 6
#define DRILL_EVENTS_MAX 16
#define DRILL_STEPS_MAX 24
#define DRILL_BOUNDS_MAX 8

/* -- a scenario ------------------------------------------------------------------------------------------ */

/* A row of the simulator's timeline (sim/timeline.h). */
struct drill_event {
    double at_s, for_s; /* for_s 0: for ever */
    const char *fault;  /* NULL: the end of the list */
    double p;           /* 0: always */
};

/* What the gateway's file says of the provider's account. */
enum drill_account {
    DRILL_NO_ACCOUNT, /* nothing: calls are not bounded */
    DRILL_KNOWN,      /* its slots */
    DRILL_LEARNED     /* that they are to be learned */
};

struct drill_provider {
    const char *name;   /* of endpoint and account; NULL: the end of the list */
    const char *region; /* or NULL */
    int tier;           /* 0: the first */
    int slots;          /* answers that it works on at a time; 0: any number */
    bool queues;        /* what is past them waits with keep-alives, else it is refused with 429 */
    enum drill_account account;
    int64_t ttft_us, prefill_us, gap_us; /* as sim_opts has them */
    double sigma;                        /* of the time to the first token */
    struct drill_event events[DRILL_EVENTS_MAX];
};

/* So many requests a second from then on, by dice (Poisson), until the next step. */
struct drill_step {
    double at_s, rate; /* a last step has the rate 0 */
};

/* Clients that share a key. */
struct drill_crowd {
    const char *name; /* of the key; NULL: the end of the list */
    enum priority priority;
    struct drill_step steps[DRILL_STEPS_MAX];
    struct spread prompt, answer; /* tokens */
    const struct trace *trace;    /* arrivals and lengths instead of the above; borrowed; NULL: none */
    double scale;                 /* of the trace: so many times its requests */
    int64_t deadline_us;
    bool plain;  /* answers in one piece */
    bool once;   /* does not retry */
    bool floods; /* what it does to the others is measured by playing it all once more without it */
};

/* What can be bounded; drill_measure_row says more. */
enum drill_measure {
    DRILL_NOTHING, /* the end of a list of bounds */
    DRILL_ANSWERED,
    DRILL_FULL,
    DRILL_CALM,
    DRILL_OTHERS,
    DRILL_AMPLIFICATION,
    DRILL_RETRIES,
    DRILL_FAILOVER_MS,
    DRILL_RECOVERY_MS,
    DRILL_SLOW,
    DRILL_WAIT_P99_MS,
    DRILL_TTFT_P99_MS,
    DRILL_MOVED_MS,
    DRILL_USED,
    DRILL_GOODPUT,
    DRILL_REFUSED,
    DRILL_FOUND,
    DRILL_MEASURE_N
};

struct drill_measure_row {
    const char *name; /* "answered" */
    bool at_least;    /* the bound is a least value, else a largest */
    const char *of;   /* what `of` of a bound is: "class", "provider" or NULL */
    const char *what; /* in a sentence */
};

const struct drill_measure_row *drill_measure_row(enum drill_measure m);

struct drill_bound {
    enum drill_measure what;
    double limit;
    int of; /* which class or provider */
};

struct drill_scenario {
    const char *name, *what; /* "outage-3s"; a sentence */
    struct drill_provider providers[DRILL_PROVIDERS_MAX];
    struct drill_crowd crowds[DRILL_CROWDS_MAX];
    const char *more;         /* further lines of the gateway's file, or NULL */
    double duration_s;        /* nobody arrives from then on */
    double trouble_s, calm_s; /* when the trouble begins and has ended; both 0: there is none */
    unsigned troubled;        /* bits of the providers that it strikes */
    double from_s, to_s;      /* what use, goodput and refusals are measured in; both 0: the trouble */
    int64_t slow_us;          /* a first token that takes longer is slow */
    struct drill_bound bounds[DRILL_BOUNDS_MAX];
};

size_t drill_scenarios_n(void);
const struct drill_scenario *drill_scenario_at(size_t i);
const struct drill_scenario *drill_scenario_find(const char *name); /* or NULL */
size_t drill_providers_n(const struct drill_scenario *s);
size_t drill_crowds_n(const struct drill_scenario *s);
size_t drill_bounds_n(const struct drill_scenario *s);
bool drill_has_floods(const struct drill_scenario *s);

/* -- what came of it ------------------------------------------------------------------------------------- */

/* Of one play. What was not measured is NAN. */
struct drill_figures {
    uint64_t requests_n, attempts_n; /* meant by clients; sent by them, retries included */
    uint64_t ended_n[END_N];
    uint64_t counted_n, answered_n;               /* of the answered rate */
    uint64_t calm_counted_n, calm_answered_n;     /* of those that came outside the trouble */
    uint64_t others_counted_n, others_answered_n; /* of those who do not flood */
    uint64_t trouble_n, trouble_slow_n;           /* that came in it; of them slow or not answered */
    uint64_t received_n, calls_n;                 /* by the gateway; of the gateway (direct: by clients) */
    double failover_ms, recovery_ms;
    double goodput, refused_per_s;     /* share of min(offered, capacity) */
    double used[DRILL_PROVIDERS_MAX];  /* share of the slots */
    double found[DRILL_PROVIDERS_MAX]; /* the limit that is believed in at 30 s, by the slots */
    struct hist wait[DRILL_CROWDS_MAX], ttft[DRILL_CROWDS_MAX]; /* us */
};

struct drill_verdict {
    double value;
    bool kept, judged; /* not judged: it cannot be measured there (real sockets) */
};

struct drill_result {
    const struct drill_scenario *scenario;
    uint64_t seed;
    bool real;
    struct drill_figures gateway, direct;
    bool has_direct, has_quiet;
    struct drill_figures quiet; /* without the crowds that flood */
    struct drill_verdict verdicts[DRILL_BOUNDS_MAX];
    bool kept;
    char why[512]; /* what is wrong when it could not be played */
};

struct drill_opts {
    uint64_t seed;
    bool direct; /* also plays it without the gateway */
};

/* Plays it in virtual time. False with out->why when it cannot be played. */
bool drill_run(const struct drill_scenario *s, const struct drill_opts *o, struct drill_result *out);
/* Fills in the verdicts. */
void drill_judge(struct drill_result *r);
/* A percentile over the crowds of that class in ms; NAN: there was nobody. */
double drill_class_p99_ms(const struct drill_scenario *s, const struct hist of_crowd[DRILL_CROWDS_MAX],
                          enum priority class_no);

#endif
