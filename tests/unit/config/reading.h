/* SPDX-License-Identifier: MIT */
/* What the tests of config/ share: an environment of known values and a reading of a text. */
#ifndef UNIT_CONFIG_READING_H
#define UNIT_CONFIG_READING_H

#include <string.h>

#include "config/config.h"

/* Every secret that the tests hand in has this word in it, so that one search finds a leak. */
#define CANARY "canary"

/* A good configuration of two lines. */
#define BASE                                                                                \
    "endpoints: [{name: a, provider: openai, url: \"http://127.0.0.1:1/v1\", key: none}]\n" \
    "models: [{name: m, tiers: [[{endpoint: a}]]}]\n"

#define TWO_ENDPOINTS                                                              \
    "endpoints:\n"                                                                 \
    "  - {name: a, provider: openai, url: \"http://127.0.0.1:1/v1\", key: none}\n" \
    "  - {name: b, provider: openai, url: \"http://127.0.0.1:2/v1\", key: none}\n" \
    "models:\n"

static inline const char *reading_get(void *ud, const char *name)
{
    static const char *const values[][2] = {
        {"EMPTY", ""},
        {"SPACED", "sk canary"},
        {"SECRET", "sk-canary-secret"},
        {"LEVEL", "debug"},
        {"WEB_KEY", "sk-canary-web"},
        {"BATCH_KEY", "sk-canary-batch"},
        {"DEEPSEEK_API_KEY", "sk-canary-deepseek"},
        {"BROKEN", "\xff\xfe"},
        {"OPENAI_API_KEY", "sk-canary-openai"},
        {"YAML", "{a: b}\n- c"},
    };

    (void)ud;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (strcmp(values[i][0], name) == 0)
            return values[i][1];
    }
    return NULL;
}

static const struct config_env reading_env = {reading_get, NULL};

/* The configuration in `yaml`, or NULL with the reasons in the report. */
static inline struct config *reading_of(const char *yaml, struct config_report *report)
{
    struct config *c;

    if (config_parse(slice_of(yaml), "t", &reading_env, &c, report) != ERR_OK)
        return NULL;
    return c;
}

#endif
