/* SPDX-License-Identifier: MIT */
/* Where a request may go before anybody asks where there is room: the rules of the file and of its model, and
 * whether it is sensitive. Pure.
 *
 * The file's rules are looked at first, then those of the model. In each list every rule that is for the
 * request is heard: whether it is sensitive is the sum of all of them, for that word may only tighten; of
 * those that say where (use, model, tier) the first decides. `use` or `tier` of the file stand whatever the
 * model's rules say. A request is moved to another model once at most: so there are no circles. It then meets
 * that model's rules too. */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

struct rules_ask {
    const struct config *cfg;
    int key;        /* index of who calls, or -1 */
    int model;      /* what is asked for */
    bool sensitive; /* the request says so itself */
    /* The value of a header, empty if it is not there; and the estimate of the prompt, which costs a pass
     * over the request and is asked for only when a rule depends on it. */
    struct slice (*header)(void *ud, struct slice name);
    int64_t (*prompt_tokens)(void *ud);
    void *ud;
};

enum rules_end {
    RULES_OPEN,    /* there are targets */
    RULES_FORBID,  /* a rule leaves none */
    RULES_NO_LOCAL /* it is sensitive, and nothing of what is left is local */
};

struct rules_way {
    int model;                    /* that answers: the one asked for, or the one that a rule names */
    bool sensitive;               /* it may go to local endpoints and to no other */
    uint64_t never;               /* bit per target of the model: not for this request, whatever happens */
    const struct config_rule *by; /* who decided where; NULL: no rule did */
};

enum rules_end rules_find_way(const struct rules_ask *ask, struct rules_way *way);
/* The same with targets left out that cannot answer it (bit per target of way->model). */
enum rules_end rules_without(const struct config *cfg, const struct rules_way *way, uint64_t unfit);

#endif
