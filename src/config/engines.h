/* SPDX-License-Identifier: MIT */
/* The configuration around local engines that were found running, for those who have written none. */
#ifndef CONFIG_ENGINES_H
#define CONFIG_ENGINES_H

#include "config/config.h"

struct config_engine_model {
    struct slice name;
    int64_t context; /* tokens; 0: not known */
};

struct config_engine {
    enum provider provider;
    const char *at; /* "127.0.0.1:9931" */
    int slots;      /* how many requests it works on at a time; 0: not known */
    bool loading;   /* its model is not there yet, and its name not known */
    const struct config_engine_model *models;
    size_t models_n;
};

/* Whether a name that an engine lists can stand in a configuration. */
bool config_engine_can_name(struct slice model);
/* The engine, one of n, to which names go that no engine lists; -1: none takes any name. */
int config_engine_for_the_rest(const struct config_engine *engines, size_t n);
/* The configuration that uses all of them: each model at every engine that lists it. Slots become those of an
 * account, so that more requests wait in line here instead of in the engine. yaml_out as in config_from_env.
 */
enum err config_for_engines(const struct config_engine *engines, size_t n, const char *listen,
                            const char *admin, struct config **out, char **yaml_out,
                            struct config_report *report);

#endif
