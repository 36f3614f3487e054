/* SPDX-License-Identifier: MIT */
/* Configurations as C values, so that tests of policy do not depend on the parser. */
#ifndef TESTS_POLICY_CONFIG_KIT_H
#define TESTS_POLICY_CONFIG_KIT_H

#include "config/config.h"

/* Sets `field` and `field_n` of a struct to the values that follow. */
#define ITEMS(field, type, ...) \
    .field = (const type[]){__VA_ARGS__}, .field##_n = sizeof((const type[]){__VA_ARGS__}) / sizeof(type)

/* A slice as an initialiser that is constant at file scope. */
#define NAME(literal)                  \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }

#define SLOTS(...) ITEMS(slots, struct config_slots, __VA_ARGS__)
#define ACCOUNTS(...) ITEMS(accounts, struct config_account, __VA_ARGS__)
#define ENDPOINTS(...) ITEMS(endpoints, struct config_endpoint, __VA_ARGS__)
#define MODELS(...) ITEMS(models, struct config_model, __VA_ARGS__)
#define TIERS(...) ITEMS(tiers, struct config_tier, __VA_ARGS__)
#define TARGETS(...) ITEMS(targets, struct config_target, __VA_ARGS__)

#endif
