/* SPDX-License-Identifier: MIT */
/* Rules: which of them decides, and that what is sensitive stays so. */
#include "policy/rules.h"

#include "base/rng.h"
#include "tap.h"
#include "unit/policy/config_kit.h"

enum { NEAR, CLOUD, FAR, ENDPOINTS_N };
enum { SMALL, LARGE, SECRET, ABROAD, MODELS_N };
enum { WEB, BATCH, DOCTOR, KEYS_N };

#define RULES(...)                                       \
    .rules = {(const struct config_rule[]){__VA_ARGS__}, \
              sizeof((const struct config_rule[]){__VA_ARGS__}) / sizeof(struct config_rule)}
#define KEYS(...) ITEMS(keys, int, __VA_ARGS__)
#define USE(...) ITEMS(use, int, __VA_ARGS__)
#define ANY .model = -1, .tokens_max = INT64_MAX
#define HEADERS(...) ITEMS(headers, struct config_rule_header, __VA_ARGS__)
#define TEAM_A HEADERS({NAME("x-team"), NAME("a"), false})
#define HAS_TEAM HEADERS({NAME("x-team"), NAME("*"), false})

/* What a request brings. */
struct asked {
    const char *team; /* the header x-team, or NULL */
    int64_t tokens;
    int estimates_n; /* how often they were asked for */
};

static struct slice header(void *ud, struct slice name)
{
    const struct asked *a = ud;

    return a->team != NULL && slice_ieq(name, SLICE("x-team")) ? slice_of(a->team) : SLICE_NONE;
}

static int64_t prompt_tokens(void *ud)
{
    struct asked *a = ud;

    a->estimates_n++;
    return a->tokens;
}

static enum rules_end find(const struct config *cfg, int key, int model, struct asked *a,
                           struct rules_way *way)
{
    struct rules_ask ask = {
        .cfg = cfg, .key = key, .model = model, .header = header, .prompt_tokens = prompt_tokens, .ud = a};

    return rules_find_way(&ask, way);
}

/* Every model has the same three targets in two tiers: near and cloud, far. */
static const struct config_target FIRST[] = {{.endpoint = NEAR}, {.endpoint = CLOUD}},
                                  SECOND[] = {{.endpoint = FAR}};
static const struct config_tier BOTH[] = {{FIRST, 2}, {SECOND, 1}};
#define TARGETS_OF_ALL .tiers = BOTH, .tiers_n = 2
static const struct config_key CALLERS[KEYS_N] = {{.name = "web"}, {.name = "batch"}, {.name = "doctor"}};
#define BASICS                         \
    .keys = CALLERS, .keys_n = KEYS_N, \
    ENDPOINTS({.name = "near", .local = true}, {.name = "cloud"}, {.name = "far"})

TEST(without_rules_a_request_goes_where_its_model_says)
{
    const struct config cfg = {BASICS, MODELS({.name = NAME("small"), TARGETS_OF_ALL})};
    struct asked a = {0};
    struct rules_way way;

    CHECK(find(&cfg, WEB, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.model == SMALL && way.never == 0 && !way.sensitive && way.by == NULL);
    CHECK(find(&cfg, -1, SMALL, &a, &way) == RULES_OPEN);
    CHECK_INT(a.estimates_n, 0);
}

static const struct config ROUTED = {
    BASICS,
    RULES({KEYS(BATCH), ANY, USE(FAR)}, {KEYS(WEB), ANY, TEAM_A, .tier = 2},
          {.tokens_min = 8001, .tokens_max = INT64_MAX, .model = LARGE},
          {KEYS(DOCTOR), ANY, .sensitive = true}),
    MODELS({.name = NAME("small"), TARGETS_OF_ALL}, {.name = NAME("large"), TARGETS_OF_ALL})};

TEST(the_first_rule_for_a_request_decides)
{
    struct asked a = {.tokens = 9000};
    struct rules_way way;

    CHECK(find(&ROUTED, BATCH, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.by == &ROUTED.rules.rules[0] && way.never == 3 && way.model == SMALL);
    CHECK_INT(a.estimates_n, 0); /* it was decided before the size mattered */
    a.team = "a";
    CHECK(find(&ROUTED, WEB, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.by == &ROUTED.rules.rules[1] && way.never == 3);
    a.team = "b";
    CHECK(find(&ROUTED, WEB, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.by == &ROUTED.rules.rules[2] && way.model == LARGE && way.never == 0);
    a.tokens = 8000;
    CHECK(find(&ROUTED, WEB, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.by == NULL && way.model == SMALL);
}

TEST(a_rule_that_only_tightens_is_heard_beside_the_one_that_decides)
{
    struct asked a = {.tokens = 9000};
    struct rules_way way;

    CHECK(find(&ROUTED, DOCTOR, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.model == LARGE && way.sensitive && way.never == 6);
}

TEST(any_value_of_a_header_is_not_none)
{
    const struct config cfg = {BASICS, RULES({ANY, HAS_TEAM, USE(CLOUD)}),
                               MODELS({.name = NAME("small"), TARGETS_OF_ALL})};
    struct asked a = {0};
    struct rules_way way;

    CHECK(find(&cfg, -1, SMALL, &a, &way) == RULES_OPEN && way.never == 0);
    a.team = "whatever";
    CHECK(find(&cfg, -1, SMALL, &a, &way) == RULES_OPEN && way.never == 5);
}

/* SMALL is moved to LARGE by its own rule, and LARGE's rule would move it back. */
TEST(a_request_moves_once)
{
    const struct config cfg = {
        BASICS,
        MODELS({.name = NAME("small"), TARGETS_OF_ALL, RULES({.tokens_max = INT64_MAX, .model = LARGE})},
               {.name = NAME("large"),
                TARGETS_OF_ALL,
                RULES({.tokens_max = INT64_MAX, .model = SMALL}, {ANY, USE(NEAR, FAR)})})};
    struct asked a = {0};
    struct rules_way way;

    CHECK(find(&cfg, -1, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.model == LARGE && way.never == 2); /* and meets the rest of LARGE's rules */
    CHECK(find(&cfg, -1, LARGE, &a, &way) == RULES_OPEN);
    CHECK(way.model == SMALL && way.never == 0);
}

TEST(what_the_file_says_of_endpoints_stands_before_the_model)
{
    const struct config cfg = {
        BASICS, RULES({ANY, USE(NEAR)}),
        MODELS({.name = NAME("small"), TARGETS_OF_ALL, RULES({ANY, USE(FAR)}, {ANY, .sensitive = true})})};
    struct asked a = {0};
    struct rules_way way;

    CHECK(find(&cfg, -1, SMALL, &a, &way) == RULES_OPEN);
    CHECK(way.never == 6 && way.sensitive); /* near alone; the model's word on `sensitive` is heard */
}

TEST(a_rule_may_leave_nothing)
{
    const struct config cfg = {
        BASICS, RULES({KEYS(WEB), ANY, .tier = 3}, {KEYS(BATCH), ANY, USE(CLOUD), .sensitive = true}),
        MODELS({.name = NAME("small"), TARGETS_OF_ALL})};
    struct asked a = {0};
    struct rules_way way;

    CHECK(find(&cfg, WEB, SMALL, &a, &way) == RULES_FORBID);
    CHECK(find(&cfg, BATCH, SMALL, &a, &way) == RULES_NO_LOCAL);
    CHECK(find(&cfg, DOCTOR, SMALL, &a, &way) == RULES_OPEN);
}

TEST(targets_that_do_not_fit_are_told_from_those_that_are_barred)
{
    const struct config cfg = {BASICS, MODELS({.name = NAME("small"), TARGETS_OF_ALL, .sensitive = true})};
    struct asked a = {0};
    struct rules_way way;

    CHECK(find(&cfg, -1, SMALL, &a, &way) == RULES_OPEN);
    CHECK(rules_without(&cfg, &way, 6) == RULES_OPEN);
    CHECK(rules_without(&cfg, &way, 1) == RULES_NO_LOCAL); /* the local one does not speak this surface */
}

/* -- at random ------------------------------------------------------------------------------------------- */

#define ROUNDS 20000
#define RULES_MAX 4

struct made {
    struct config cfg;
    struct config_endpoint endpoints[ENDPOINTS_N];
    struct config_key keys[KEYS_N];
    struct config_model models[MODELS_N];
    struct config_rule rules[MODELS_N + 1][RULES_MAX];
    int numbers[(MODELS_N + 1) * RULES_MAX][2];
    struct config_target targets[MODELS_N][4];
    struct config_tier tiers[MODELS_N][2];
};

static bool maybe(struct rng *r, uint64_t one_in)
{
    return rng_below(r, one_in) == 0;
}

static struct config_rules make_rules(struct made *m, int list, struct rng *r)
{
    size_t n = rng_below(r, RULES_MAX + 1);

    for (size_t i = 0; i < n; i++) {
        struct config_rule *rule = &m->rules[list][i];
        int *number = m->numbers[list * RULES_MAX + (int)i];

        *rule = (struct config_rule){ANY, .sensitive = maybe(r, 4)};
        number[0] = (int)rng_below(r, KEYS_N);
        number[1] = (int)rng_below(r, ENDPOINTS_N);
        if (maybe(r, 2)) {
            rule->keys = &number[0];
            rule->keys_n = 1;
        }
        if (maybe(r, 3))
            rule->tokens_min = (int64_t)rng_below(r, 3);
        switch (rng_below(r, 4)) {
        case 0:
            rule->use = &number[1];
            rule->use_n = 1;
            break;
        case 1:
            rule->model = (int)rng_below(r, MODELS_N);
            break;
        case 2:
            rule->tier = 1 + (int)rng_below(r, 3);
            break;
        default:
            break;
        }
    }
    return (struct config_rules){m->rules[list], n};
}

static void make(struct made *m, struct rng *r)
{
    memset(m, 0, sizeof *m);
    for (int i = 0; i < ENDPOINTS_N; i++)
        m->endpoints[i] = (struct config_endpoint){.name = "e", .local = maybe(r, 2)};
    for (int i = 0; i < KEYS_N; i++)
        m->keys[i] = (struct config_key){.name = "k", .sensitive = maybe(r, 4)};
    for (int i = 0; i < MODELS_N; i++) {
        size_t first = 1 + rng_below(r, 3);

        for (int k = 0; k < 4; k++)
            m->targets[i][k].endpoint = (int)rng_below(r, ENDPOINTS_N);
        m->tiers[i][0] = (struct config_tier){m->targets[i], first};
        m->tiers[i][1] = (struct config_tier){m->targets[i] + first, 4 - first};
        m->models[i] = (struct config_model){.name = NAME("m"),
                                             .tiers = m->tiers[i],
                                             .tiers_n = 2,
                                             .sensitive = maybe(r, 5),
                                             .rules = make_rules(m, i, r)};
    }
    m->cfg = (struct config){.endpoints = m->endpoints,
                             .endpoints_n = ENDPOINTS_N,
                             .keys = m->keys,
                             .keys_n = KEYS_N,
                             .models = m->models,
                             .models_n = MODELS_N,
                             .wildcard = -1,
                             .rules = make_rules(m, MODELS_N, r)};
}

/* Whether anything that a request meets for certain calls it sensitive. */
static bool must_be_sensitive(const struct made *m, int key, int model, int64_t tokens, bool own)
{
    const struct config_rules *lists[] = {&m->cfg.rules, &m->models[model].rules};
    bool sensitive = own || m->models[model].sensitive || (key >= 0 && m->keys[key].sensitive);

    for (int l = 0; l < 2; l++) {
        for (size_t i = 0; i < lists[l]->n; i++) {
            const struct config_rule *r = &lists[l]->rules[i];

            sensitive |= r->sensitive && (r->keys_n == 0 || r->keys[0] == key) && tokens >= r->tokens_min;
        }
    }
    return sensitive;
}

TEST(whatever_is_sensitive_is_left_local_targets_only)
{
    struct rng r;
    int sensitive_n = 0, open_n = 0, missed_n = 0, leaks_n = 0, wrong_n = 0;

    rng_seed(&r, 7);
    for (int round = 0; round < ROUNDS; round++) {
        struct made m;
        struct asked a = {.tokens = (int64_t)rng_below(&r, 3)};
        int key = (int)rng_below(&r, KEYS_N + 1) - 1;
        struct rules_ask ask = {
            .cfg = &m.cfg, .key = key, .header = header, .prompt_tokens = prompt_tokens, .ud = &a};
        struct rules_way way;
        enum rules_end end;

        make(&m, &r);
        ask.model = (int)rng_below(&r, MODELS_N);
        ask.sensitive = maybe(&r, 5);
        end = rules_find_way(&ask, &way);
        open_n += end == RULES_OPEN;
        sensitive_n += way.sensitive;
        missed_n += !way.sensitive && (m.models[way.model].sensitive ||
                                       must_be_sensitive(&m, key, ask.model, a.tokens, ask.sensitive));
        for (int i = 0; i < 4; i++)
            leaks_n += way.sensitive && !m.endpoints[m.targets[way.model][i].endpoint].local &&
                       !(way.never >> i & 1);
        wrong_n += (end == RULES_OPEN) != (way.never != 15) || (end == RULES_NO_LOCAL && !way.sensitive);
    }
    CHECK_INT(missed_n, 0);
    CHECK_INT(leaks_n, 0);
    CHECK_INT(wrong_n, 0);
    CHECK(sensitive_n > ROUNDS / 4 && sensitive_n < ROUNDS && open_n > ROUNDS / 2 && open_n < ROUNDS);
}
