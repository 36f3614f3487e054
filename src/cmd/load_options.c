/* SPDX-License-Identifier: MIT */
/* The command line of tidegate load: finding options, saying what is wrong, defaults. */
#include "cmd/load_options.h"

#include <stdio.h>

#include "base/clock.h"
#include "cmd/load_options_table.h"

#define MORE_MAX_BYTES (64 * 1024)
#define SECOND CLOCK_SECOND_US

static const struct load_option *find(struct slice name)
{
    for (size_t i = 0; i < LOAD_OPTIONS_N; i++) {
        if (slice_eq(name, slice_of(LOAD_OPTIONS[i].name)))
            return &LOAD_OPTIONS[i];
    }
    return NULL;
}

void load_options_help(void)
{
    fputs("usage: tidegate load [OPTION]... [URL]\n"
          "\n"
          "Sends chat completion requests to URL (http://127.0.0.1:8080/v1) as an open loop: arrivals do not "
          "wait\n"
          "for answers, and times count from when a request was meant to be sent. Prints what came of "
          "them.\n\n",
          stdout);
    for (size_t i = 0; i < LOAD_OPTIONS_N; i++) {
        const struct load_option *o = &LOAD_OPTIONS[i];
        struct slice rest = slice_of(o->help);
        char left[40];

        snprintf(left, sizeof left, "%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        while (rest.p != NULL) {
            struct slice line = slice_cut(rest, '\n', &rest);

            printf("  %-24s  %.*s\n", left, SLICE_ARG(line));
            left[0] = '\0';
        }
    }
    fputs("\nA TIME carries a unit: us, ms, s, m, h. Ctrl-C ends the run and prints the result so far.\n"
          "Exit codes: 0 fine, 1 failed (nothing was answered, or less than --need), 2 usage. docs/load.md "
          "says more.\n",
          stdout);
}

/* -- reading --------------------------------------------------------------------------------------------- */

static bool complain_unknown(const char *arg, struct slice name)
{
    const char *best = NULL;
    size_t distance = 4; /* what is farther away was not meant */

    for (size_t i = 0; i < LOAD_OPTIONS_N; i++) {
        size_t d = slice_distance(name, slice_of(LOAD_OPTIONS[i].name));

        if (d < distance) {
            distance = d;
            best = LOAD_OPTIONS[i].name;
        }
    }
    if (best != NULL)
        fprintf(stderr, "tidegate load: %s is not understood; did you mean %s?\n", arg, best);
    else
        fprintf(stderr, "tidegate load: %s is not understood; tidegate load --help lists the options\n", arg);
    return false;
}

static bool read_option(struct load_command *c, int argc, char **argv, int *i)
{
    struct slice value, name = slice_cut(slice_of(argv[*i]), '=', &value);
    const struct load_option *o = find(name);

    if (o == NULL)
        return complain_unknown(argv[*i], name);
    if (o->value == NULL && value.p != NULL) {
        fprintf(stderr, "tidegate load: %s takes no value\n", o->name);
        return false;
    }
    if (o->value != NULL && value.p == NULL) {
        if (*i + 1 == argc) {
            fprintf(stderr, "tidegate load: %s needs a value\n", o->name);
            return false;
        }
        value = slice_of(argv[++*i]);
    }
    if (o->take(c, value))
        return true;
    fprintf(stderr, "tidegate load: %s: \"%.*s\" is not understood; see tidegate load --help\n", o->name,
            SLICE_ARG(value));
    return false;
}

static void set_defaults(struct load_command *c)
{
    memset(c, 0, sizeof *c);
    arena_init(&c->arena, NULL, 0, 4096);
    buf_init(&c->more, MORE_MAX_BYTES, NULL);
    c->url = "http://127.0.0.1:8080/v1";
    c->model = "sim";
    c->length_field = "max_tokens";
    c->shared_tokens = 512;
    c->connections = 1000;
    c->connect_us = 5 * SECOND;
    c->gap_us = 150 * SECOND;
    c->total_us = 600 * SECOND;
    c->source = (struct source_opts){.speed = 1,
                                     .scale = 1,
                                     .process = PROCESS_POISSON,
                                     .rate = 10,
                                     .cv = 1,
                                     .prompt = {128, 0},
                                     .prompt_max = TRACE_TOKENS_MAX,
                                     .duration_us = CLOCK_NEVER_US,
                                     .limit = UINT64_MAX,
                                     .stream_share = 1,
                                     .shared_kinds = 1};
}

/* What only the whole can tell. */
static bool settle(struct load_command *c)
{
    const char *wrong = origin_parse(slice_of(c->url), &c->arena, &c->origin);

    if (wrong != NULL) {
        fprintf(stderr, "tidegate load: the URL: %s; it looks like http://127.0.0.1:8080/v1\n", wrong);
        return false;
    }
    if (c->ca_file != NULL && !c->origin.tls) {
        fprintf(stderr, "tidegate load: --ca-file is of use with an https URL only\n");
        return false;
    }
    if (!c->bounded && c->paths_n == 0)
        c->source.duration_us = 60 * SECOND;
    if (c->first_us == 0)
        c->first_us = c->total_us;
    if (!c->seeded)
        rng_secret_bytes(&c->source.seed, sizeof c->source.seed);
    if (!c->seeded)
        c->source.seed %= UINT64_C(1000000000); /* easy to type again */
    return true;
}

bool load_options_read(struct load_command *c, int argc, char **argv)
{
    bool url = false;

    set_defaults(c);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            c->help = true;
            return true;
        }
    }
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            if (!read_option(c, argc, argv, &i))
                return false;
        } else if (url) {
            fprintf(stderr, "tidegate load: there is one URL; \"%s\" is too much\n", argv[i]);
            return false;
        } else {
            c->url = argv[i];
            url = true;
        }
    }
    return settle(c);
}

void load_options_fini(struct load_command *c)
{
    buf_fini(&c->more);
    arena_fini(&c->arena);
}
