/* SPDX-License-Identifier: MIT */
/* tidegate drill: the command line. */
#include "cmd/drill.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/drill_real.h"
#include "rehearse/drill_report.h"

struct command {
    const char *name; /* of the scenario */
    uint64_t seed;
    bool help, list, json, real;
};

static void print_help(void)
{
    fputs("usage: tidegate drill [OPTION]... [NAME]\n"
          "\n"
          "Plays the scenario NAME, with this program's own gateway, simulated providers and clients, in "
          "virtual time,\n"
          "and says what became of the requests: with the gateway, and for the same clients without it. "
          "A scenario\n"
          "states bounds; whether they were kept is the exit code.\n\n"
          "  --list      names the scenarios\n"
          "  --seed N    the dice (1); a seed repeats a drill exactly\n"
          "  --json      prints the result as JSON\n"
          "  --real      over real sockets on this machine, in real time; for scenarios of at most five "
          "minutes\n"
          "\n"
          "Exit codes: 0 fine, 1 failed (a bound was broken), 2 usage. docs/drill.md says more.\n",
          stdout);
}

static int complain(const char *what, const char *arg)
{
    fprintf(stderr, "tidegate drill: %s%s; tidegate drill --help says more\n", what, arg);
    return 2;
}

/* 0, or the exit code. */
static int read_arguments(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct slice value, name = slice_cut(slice_of(argv[i]), '=', &value);

        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            c->help = true;
        else if (strcmp(argv[i], "--list") == 0)
            c->list = true;
        else if (strcmp(argv[i], "--json") == 0)
            c->json = true;
        else if (strcmp(argv[i], "--real") == 0)
            c->real = true;
        else if (slice_eq(name, SLICE("--seed"))) {
            if (value.p == NULL && ++i < argc)
                value = slice_of(argv[i]);
            if (value.p == NULL || !slice_to_u64(value, UINT64_MAX / 64, &c->seed))
                return complain("--seed must be a whole number", "");
        } else if (argv[i][0] == '-' || c->name != NULL)
            return complain("not understood: ", argv[i]);
        else
            c->name = argv[i];
    }
    if (c->name == NULL && !c->help && !c->list)
        return complain("which scenario? --list names them", "");
    return 0;
}

static bool print(const struct buf *b)
{
    return fwrite(b->p, 1, b->n, stdout) == b->n && fflush(stdout) == 0;
}

static int list(void)
{
    struct buf out;
    bool fine;

    buf_init(&out, DRILL_REPORT_MAX_BYTES, NULL);
    drill_report_list(&out);
    fine = print(&out);
    buf_fini(&out);
    return fine ? 0 : 1;
}

static bool publish(const struct command *c, const struct drill_result *r)
{
    struct buf out;
    bool fine;

    buf_init(&out, DRILL_REPORT_MAX_BYTES, NULL);
    if (c->json)
        drill_report_json(r, &out);
    else
        drill_report_text(r, &out);
    fine = print(&out);
    buf_fini(&out);
    return fine;
}

static int play(const struct command *c, const struct drill_scenario *s)
{
    struct drill_result *r = MEM_NEW(struct drill_result);
    struct drill_opts o = {.seed = c->seed, .direct = true};
    bool fine = c->real ? drill_real_run(s, &o, r) : drill_run(s, &o, r);

    if (!fine)
        fprintf(stderr, "tidegate drill: %s\n", r->why);
    fine = fine && publish(c, r) && r->kept;
    mem_free(r);
    return fine ? 0 : 1;
}

int drill_main(int argc, char **argv)
{
    struct command c = {.seed = 1};
    const struct drill_scenario *s;
    int code = read_arguments(&c, argc, argv);

    if (code != 0)
        return code;
    if (c.help) {
        print_help();
        return 0;
    }
    if (c.list)
        return list();
    s = drill_scenario_find(c.name);
    if (s == NULL)
        return complain("there is no scenario ", c.name);
    return play(&c, s);
}
