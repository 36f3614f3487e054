/* SPDX-License-Identifier: MIT */
/* The command line of tidegate load, read into values. */
#ifndef CMD_LOAD_OPTIONS_H
#define CMD_LOAD_OPTIONS_H

#include "base/arena.h"
#include "config/config.h"
#include "config/origin.h"
#include "load/load.h"

#define LOAD_TRACES_MAX 1024

_Static_assert(SOURCE_CLASSES_MAX == PRIORITY_N, "a class is a priority");

struct load_command {
    struct arena arena; /* of everything below */
    const char *url;
    struct origin origin;
    const char *model;
    const char *paths[LOAD_TRACES_MAX]; /* traces: files and folders as they were given */
    size_t paths_n;
    struct source_opts source;
    bool bounded; /* --duration or --limit was given */
    uint32_t shared_tokens;
    const char *length_field; /* NULL: none */
    struct buf more;          /* members of the body that --set adds */
    struct header headers[LOAD_HEADERS_MAX];
    size_t headers_n;
    const char *key_env[SOURCE_CLASSES_MAX + 1]; /* names of variables; the last for every other class */
    const char *ca_file;
    uint64_t connections;
    int64_t connect_us, first_us, gap_us, total_us; /* first_us 0: as total_us */
    bool sdk, own_limits;
    double need;
    const char *json; /* path, "-" or NULL */
    bool quiet, dry_run, help, seeded;
};

/* False after a message on stderr. */
bool load_options_read(struct load_command *c, int argc, char **argv);
void load_options_fini(struct load_command *c);
void load_options_help(void);

#endif
