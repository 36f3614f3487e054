/* SPDX-License-Identifier: MIT */
/* policy/groups: models are together exactly when a chain of shared accounts or endpoints connects them. */
#include "policy/groups.h"

#include "base/rng.h"
#include "config_kit.h"
#include "tap.h"

#define ON(...)                       \
    {                                 \
        TIERS({TARGETS(__VA_ARGS__)}) \
    }

TEST(accounts_and_endpoints_connect_models)
{
    const struct config cfg = {
        ACCOUNTS({.name = "a"}, {.name = "b"}),
        /* 0 and 1 share account a, 2 has b, 3 and 4 have none */
        ENDPOINTS({.account = 0}, {.account = 0}, {.account = 1}, {.account = -1}, {.account = -1}),
        MODELS(ON({.endpoint = 0}), ON({.endpoint = 3}), ON({.endpoint = 2}),
               {TIERS({TARGETS({.endpoint = 4})}, {TARGETS({.endpoint = 2})})}, /* by a later tier */
               ON({.endpoint = 1}), ON({.endpoint = 3}, {.endpoint = 3})),
    };
    static const int want[] = {0, 1, 2, 2, 0, 1};
    int got[6];

    CHECK_INT(groups_of_models(&cfg, got), 3);
    for (int i = 0; i < 6; i++)
        CHECK_INT(got[i], want[i]);
}

TEST(a_late_model_joins_groups_that_were_apart)
{
    const struct config cfg = {
        ENDPOINTS({.account = -1}, {.account = -1}, {.account = -1}),
        MODELS(ON({.endpoint = 2}), ON({.endpoint = 1}), ON({.endpoint = 0}),
               ON({.endpoint = 0}, {.endpoint = 2})),
    };
    static const int want[] = {0, 1, 0, 0};
    int got[4];

    CHECK_INT(groups_of_models(&cfg, got), 2);
    for (int i = 0; i < 4; i++)
        CHECK_INT(got[i], want[i]);
}

TEST(no_models_no_groups)
{
    const struct config cfg = {.models_n = 0};
    int got[1] = {-7};

    CHECK_INT(groups_of_models(&cfg, got), 0);
    CHECK_INT(got[0], -7);
}

#define MODELS_N 30
#define ENDPOINTS_N 24
#define ACCOUNTS_N 8

/* Reachability by repeated relaxation: slow and plainly right. */
static void connect_slowly(const struct config *cfg, int *label)
{
    bool changed = true;

    for (int i = 0; i < MODELS_N; i++)
        label[i] = i;
    while (changed) {
        changed = false;
        for (int i = 0; i < MODELS_N * MODELS_N; i++) {
            int a = i / MODELS_N, b = i % MODELS_N;
            int ea = cfg->models[a].tiers[0].targets[0].endpoint,
                eb = cfg->models[b].tiers[0].targets[0].endpoint;
            int ea2 = cfg->models[a].tiers[0].targets[1].endpoint,
                eb2 = cfg->models[b].tiers[0].targets[1].endpoint;
            int ac[4] = {cfg->endpoints[ea].account, cfg->endpoints[ea2].account, cfg->endpoints[eb].account,
                         cfg->endpoints[eb2].account};
            bool together = ea == eb || ea == eb2 || ea2 == eb || ea2 == eb2 ||
                            (ac[0] >= 0 && (ac[0] == ac[2] || ac[0] == ac[3])) ||
                            (ac[1] >= 0 && (ac[1] == ac[2] || ac[1] == ac[3]));
            if (together && label[b] > label[a]) {
                label[b] = label[a];
                changed = true;
            }
        }
    }
}

TEST(random_configurations_agree_with_the_slow_way)
{
    struct rng dice;

    for (uint64_t seed = 0; seed < 200; seed++) {
        struct config_endpoint endpoints[ENDPOINTS_N] = {0};
        struct config_target targets[MODELS_N][2] = {0};
        struct config_tier tiers[MODELS_N];
        struct config_model models[MODELS_N] = {0};
        struct config_account accounts[ACCOUNTS_N] = {0};
        struct config cfg = {.endpoints = endpoints,
                             .endpoints_n = ENDPOINTS_N,
                             .models = models,
                             .models_n = MODELS_N,
                             .accounts = accounts,
                             .accounts_n = ACCOUNTS_N};
        int got[MODELS_N], label[MODELS_N];

        rng_seed(&dice, seed);
        for (int i = 0; i < ENDPOINTS_N; i++)
            endpoints[i].account = rng_below(&dice, 4) == 0 ? (int)rng_below(&dice, ACCOUNTS_N) : -1;
        for (int i = 0; i < MODELS_N; i++) {
            int e = (int)rng_below(&dice, ENDPOINTS_N);
            targets[i][0].endpoint = e;
            targets[i][1].endpoint = rng_below(&dice, 3) == 0 ? (int)rng_below(&dice, ENDPOINTS_N) : e;
            tiers[i] = (struct config_tier){targets[i], 2};
            models[i].tiers = &tiers[i];
            models[i].tiers_n = 1;
        }
        size_t n = groups_of_models(&cfg, got), roots_n = 0;
        connect_slowly(&cfg, label);
        bool held = true;
        for (int i = 0; i < MODELS_N; i++) {
            roots_n += label[i] == i;
            for (int k = 0; k < MODELS_N; k++)
                held = held && (got[i] == got[k]) == (label[i] == label[k]);
        }
        CHECK(held);
        CHECK_INT(n, roots_n);
    }
}
