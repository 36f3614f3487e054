/* SPDX-License-Identifier: MIT */
/* For tests of forms: a request that is read and cast without a simulator. */
#ifndef TESTS_UNIT_SIM_FORM_KIT_H
#define TESTS_UNIT_SIM_FORM_KIT_H

#include "sim/form.h"
#include "sim/text.h"

#include "tap.h"

struct answer {
    struct arena arena;
    struct sim_ask ask;
    struct sim_plan plan;
    struct sim_script script;
    const struct sim_form *form;
};

/* Casts and prepares an answer to `body`; thoughts_n -1: none. */
static inline void make(struct answer *a, const struct sim_form *form, const char *body, bool deepseek,
                        int words_n)
{
    struct sim_complaint bad = {NULL, NULL};
    struct sim_casting k = {.ask = &a->ask, .plan = &a->plan, .mean = 64, .deepseek = deepseek};

    memset(a, 0, sizeof *a);
    arena_init(&a->arena, NULL, 0, 4096);
    a->form = form;
    a->plan = (struct sim_plan){.tokens = words_n};
    if (!CHECK(sim_ask_parse(slice_of(body), form->read, NULL, &a->arena, &a->ask, &bad)))
        printf("# %s\n", bad.text);
    if (words_n == 0)
        a->plan.fault = SIM_EMPTY;
    a->script.created_s = 7;
    sim_script_write(&a->script, &k, &a->arena);
}

#define CHECK_IS(got, want)                                \
    do {                                                   \
        struct slice got_ = (got);                         \
        CHECK_MEM(got_.p, got_.n, want, sizeof(want) - 1); \
    } while (0)

#endif
