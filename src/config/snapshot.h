/* SPDX-License-Identifier: MIT */
/* The memory behind a struct config: its arena, the table of model names, the count of references. */
#ifndef CONFIG_SNAPSHOT_H
#define CONFIG_SNAPSHOT_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/map.h"
#include "config/config.h"

/* What a model's or alias's name stands for. */
struct snapshot_name {
    int model;
    const struct config_alias *alias; /* or NULL */
};

struct snapshot {
    struct config config;    /* what everybody else sees */
    struct arena arena;      /* holds all that config points at */
    struct map names;        /* of models and aliases, without "*", to struct snapshot_name */
    struct slice effective;  /* the file as config_print shows it */
    struct config *original; /* holds the texts of this one, which is a stage (stage.h); or NULL */
    atomic_int refs;
};

/* With one reference, holding nothing yet. */
struct snapshot *snapshot_new(void);
/* The snapshot that c is part of. */
const struct snapshot *snapshot_of(const struct config *c);

#endif
