/* SPDX-License-Identifier: MIT */
/* tidegate sim: options, one loop, one line that says where it listens. */
#include "cmd/sim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "sim/sim.h"

#define COUNT_MAX 1000000000
#define PENDING_MAX_BYTES ((size_t)32 * 1024 * 1024)

static const char HELP[] =
    "usage: tidegate sim [OPTION]...\n"
    "\n"
    "Runs a simulated model provider: chat completions in OpenAI's and DeepSeek's form, made-up answers "
    "that\n"
    "follow from the prompt alone, and faults. Faults are also chosen by a suffix of the model's name, such "
    "as\n"
    "any~cut=5 or any~ttft=2s,gap=5ms,tokens=50 (docs/sim.md).\n"
    "\n"
    "  --listen ADDR         where to listen (127.0.0.1:9101; port 0 takes a free one and prints it)\n"
    "  --slots N             answers worked on at a time, others queue with keep-alives (0: no bound)\n"
    "  --account-limit N     calls in flight before 429 (0: no limit)\n"
    "  --ttft TIME[:SIGMA]   time to first token: median, and sigma of a lognormal (200ms)\n"
    "  --gap TIME[:SIGMA]    time between tokens (20ms)\n"
    "  --tokens N            mean length of an answer (64)\n"
    "  --keepalive TIME      between keep-alives while queued (1s; 0: none)\n"
    "  --fault NAME=P        probability of a fault: hang 429 500 503 cut stall nodone malformed empty;\n"
    "                        may be given several times\n"
    "  --fault-after K       tokens before cut, stall and malformed show (0: drawn from 1 to 20)\n"
    "  --seed N              the dice (0); the same requests in the same order meet the same faults and "
    "times\n"
    "\n"
    "SIGTERM or SIGINT stops it. Exit codes: 0 fine, 1 failed, 2 usage.\n";

struct command {
    const char *listen;
    struct sim_opts opts;
};

/* -- options -------------------------------------------------------------------------------------------- */

static bool take_count(const char *value, int *out)
{
    uint64_t n;

    if (!slice_to_u64(slice_of(value), COUNT_MAX, &n))
        return false;
    *out = (int)n;
    return true;
}

/* 0 to 1, in decimal. */
static bool take_probability(struct slice text, double *out)
{
    struct slice fraction, whole = slice_cut(text, '.', &fraction);
    uint64_t n = 0, digits = 0;
    double unit = 1;

    if (!slice_to_u64(whole, 1, &n))
        return false;
    if (fraction.p != NULL && (fraction.n > 15 || !slice_to_u64(fraction, UINT64_MAX, &digits)))
        return false;
    for (size_t i = 0; i < fraction.n; i++)
        unit /= 10;
    *out = (double)n + (double)digits * unit;
    return *out <= 1;
}

static bool take_fault(const char *value, struct sim_opts *o)
{
    struct slice p, name = slice_cut(slice_of(value), '=', &p);
    enum sim_fault f = sim_fault_of(name);
    double sum = 0;

    if (f == SIM_NONE || p.p == NULL || !take_probability(p, &o->fault_p[f]))
        return false;
    for (int i = 0; i < SIM_FAULT_N; i++)
        sum += o->fault_p[i];
    return sum <= 1 + 1e-9;
}

static bool take(struct command *c, const char *name, const char *value)
{
    struct sim_opts *o = &c->opts;
    struct sim_time t;

    if (strcmp(name, "--listen") == 0) {
        c->listen = value;
        return true;
    }
    if (strcmp(name, "--slots") == 0)
        return take_count(value, &o->slots);
    if (strcmp(name, "--account-limit") == 0)
        return take_count(value, &o->account_limit);
    if (strcmp(name, "--ttft") == 0)
        return sim_time_parse(slice_of(value), &o->ttft);
    if (strcmp(name, "--gap") == 0)
        return sim_time_parse(slice_of(value), &o->gap);
    if (strcmp(name, "--tokens") == 0)
        return take_count(value, &o->tokens_mean) && o->tokens_mean > 0;
    if (strcmp(name, "--fault") == 0)
        return take_fault(value, o);
    if (strcmp(name, "--fault-after") == 0)
        return take_count(value, &o->fault_after);
    if (strcmp(name, "--seed") == 0)
        return slice_to_u64(slice_of(value), UINT64_MAX, &o->seed);
    if (!sim_time_parse(slice_of(value), &t)) /* --keepalive */
        return false;
    o->keepalive_us = t.median_us;
    return true;
}

static bool is_option(struct slice name)
{
    static const char *const OPTIONS[] = {"--listen",      "--slots",  "--account-limit", "--ttft",
                                          "--gap",         "--tokens", "--keepalive",     "--fault",
                                          "--fault-after", "--seed"};

    for (size_t i = 0; i < sizeof OPTIONS / sizeof OPTIONS[0]; i++) {
        if (slice_eq(name, slice_of(OPTIONS[i])))
            return true;
    }
    return false;
}

/* Options as "--name value" or "--name=value". */
static bool read_options(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct slice value, name = slice_cut(slice_of(argv[i]), '=', &value);
        char key[32];

        if (!is_option(name)) {
            fprintf(stderr, "tidegate sim: %s is not understood; tidegate sim --help lists the options\n",
                    argv[i]);
            return false;
        }
        if (value.p == NULL && i + 1 == argc) {
            fprintf(stderr, "tidegate sim: %s needs a value\n", argv[i]);
            return false;
        }
        snprintf(key, sizeof key, "%.*s", SLICE_ARG(name));
        if (value.p == NULL)
            value = slice_of(argv[++i]);
        if (!take(c, key, value.p)) { /* value.p ends with the argument's NUL */
            fprintf(stderr, "tidegate sim: %s: \"%s\" is not understood; see tidegate sim --help\n", key,
                    value.p);
            return false;
        }
    }
    return true;
}

/* -- running -------------------------------------------------------------------------------------------- */

static void on_signal(void *ud, int sig)
{
    (void)sig;
    loop_real_stop(ud);
}

/* SO_REUSEPORT would share the port of a simulator that runs already. */
static bool can_bind(const char *text, const struct addr *at)
{
    int e = addr_port(at) != 0 ? loop_real_probe(at) : 0;

    if (e == 0)
        return true;
    fprintf(stderr, "tidegate sim: cannot listen at %s: %s%s\n", text, strerror(e),
            e == EADDRINUSE ? " (another program has this port: choose one with --listen)" : "");
    return false;
}

static void raise_descriptor_limit(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static bool serve(struct loop *l, struct sim *s, const struct command *c, const struct addr *at)
{
    static const int STOP[] = {SIGTERM, SIGINT};
    struct addr bound;
    char text[64];

    if (loop_real_signals(l, STOP, 2, on_signal, l) != ERR_OK || sim_listen(s, at, &bound) != ERR_OK) {
        fprintf(stderr, "tidegate sim: cannot listen at %s: %s\n", c->listen, strerror(errno));
        return false;
    }
    addr_format(&bound, text, sizeof text);
    fprintf(stderr,
            "tidegate sim: listening at http://%s/v1 (OpenAI's form) and http://%s (DeepSeek's form)\n", text,
            text);
    loop_real_run(l);
    return true;
}

static int run(const struct command *c, const struct addr *at)
{
    struct real_opts ro = {.seed = c->opts.seed, .pending_max = PENDING_MAX_BYTES};
    struct loop *l = loop_real_new(&ro);
    struct sim *s;
    bool fine;

    if (l == NULL) {
        fprintf(stderr, "tidegate sim: the loop cannot be made: %s\n", strerror(errno));
        return 1;
    }
    s = sim_new(l, &c->opts);
    fine = serve(l, s, c, at);
    sim_free(&s);
    loop_free(&l);
    return fine ? 0 : 1;
}

int sim_main(int argc, char **argv)
{
    struct command c = {.listen = "127.0.0.1:9101"};
    struct addr at;
    sigset_t stop;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(HELP, stdout);
            return 0;
        }
    }
    sim_opts_default(&c.opts);
    c.opts.deepseek = true;
    if (!read_options(&c, argc, argv))
        return 2;
    if (addr_parse(slice_of(c.listen), &at) != ERR_OK) {
        fprintf(stderr, "tidegate sim: --listen %s: an address is numbers and a port, like 127.0.0.1:9101\n",
                c.listen);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    raise_descriptor_limit();
    return can_bind(c.listen, &at) ? run(&c, &at) : 1;
}
