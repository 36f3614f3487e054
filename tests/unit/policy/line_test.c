/* SPDX-License-Identifier: MIT */
/* policy/line: one scene for each promise of the header. */
#include "policy/line.h"

#include "config_kit.h"
#include "tap.h"

enum { ONE, PAIR, SPILL, SAME, WILD, SPLIT, OWN_NAME };

/* main: one slot for m, two for n; side: one slot for everything. Endpoint 3 has no account. */
static const struct config cfg = {
    .opt = {.line_max = 4},
    ACCOUNTS({.name = "main", SLOTS({NAME("m"), 1}, {NAME("n"), 2})},
             {.name = "side", SLOTS({NAME("*"), 1})}),
    ENDPOINTS({.account = 0}, {.account = 0}, {.account = 1}, {.account = -1}),
    MODELS([ONE] = {TIERS({TARGETS({.endpoint = 0})})},
           [PAIR] = {TIERS({TARGETS({.endpoint = 0}, {.endpoint = 2})})},
           [SPILL] = {TIERS({TARGETS({.endpoint = 0})}, {TARGETS({.endpoint = 3})})},
           [SAME] = {TIERS({TARGETS({.endpoint = 0}, {.endpoint = 1})})},
           [WILD] = {TIERS({TARGETS({.endpoint = 0})})},
           [SPLIT] = {TIERS({TARGETS({.endpoint = 3, .weight = 70}, {.endpoint = 3, .weight = 30})})},
           [OWN_NAME] = {TIERS({TARGETS({.endpoint = 0, .model = NAME("n")})})}),
};

struct scene {
    struct line *line;
    struct rng dice;
    struct list grants;
    int64_t now_us;
};

static void scene_begin(struct scene *s)
{
    static const int all[] = {ONE, PAIR, SPILL, SAME, WILD, SPLIT, OWN_NAME};

    s->line = line_new(&cfg, all, COUNT_OF(all));
    rng_seed(&s->dice, 1);
    list_init(&s->grants);
    s->now_us = 1000;
}

/* Everything must be back where it came from. */
static void scene_end(struct scene *s)
{
    line_check(s->line);
    CHECK_INT(line_used(s->line), 0);
    CHECK(list_empty(&s->grants));
    line_free(&s->line);
    CHECK(s->line == NULL);
}

static void prepare(struct scene *s, struct ticket *t, int model, enum priority priority)
{
    ticket_init(t);
    t->model = model;
    t->priority = priority;
    t->arrived_us = s->now_us++;
    t->upstream = SLICE("m");
}

static enum line_verdict admit(struct scene *s, struct ticket *t)
{
    enum line_verdict v = line_admit(s->line, t, s->now_us, &s->dice);
    line_check(s->line);
    return v;
}

static enum line_verdict ask(struct scene *s, struct ticket *t, int model, enum priority priority)
{
    prepare(s, t, model, priority);
    return admit(s, t);
}

/* The ticket that was granted by the last call, or NULL if none or several were. */
static struct ticket *granted(struct scene *s)
{
    struct list *node = list_pop_front(&s->grants);

    line_check(s->line);
    if (!node || !list_empty(&s->grants))
        return NULL;
    return CONTAINER_OF(node, struct ticket, node);
}

static struct ticket *cancel(struct scene *s, struct ticket *t)
{
    line_cancel(s->line, t, s->now_us, &s->dice, &s->grants);
    CHECK_INT(t->state, TICKET_FREE);
    return granted(s);
}

static struct ticket *release(struct scene *s, struct ticket *t)
{
    line_release(s->line, t, s->now_us, &s->dice, &s->grants);
    CHECK_INT(t->state, TICKET_FREE);
    return granted(s);
}

TEST(a_free_slot_is_taken_at_once)
{
    struct scene s;
    struct ticket t;

    scene_begin(&s);
    CHECK_INT(ask(&s, &t, ONE, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(t.state, TICKET_TAKEN);
    CHECK_INT(t.target, 0);
    CHECK_INT(t.tier, 0);
    CHECK_INT(t.endpoint, 0);
    CHECK(t.counter >= 0);
    CHECK_INT(t.generation, 1);
    CHECK_INT(line_used(s.line), 1);
    CHECK(release(&s, &t) == NULL);
    CHECK_INT(admit(&s, &t), LINE_TAKEN);
    CHECK_INT(t.generation, 2);
    CHECK(cancel(&s, &t) == NULL);
    scene_end(&s);
}

TEST(first_come_first_served)
{
    struct scene s;
    struct ticket t[4];

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[0], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    for (int i = 1; i < 4; i++) {
        CHECK_INT(ask(&s, &t[i], ONE, PRIORITY_NORMAL), LINE_QUEUED);
        CHECK_INT(line_position(s.line, &t[i]), i);
    }
    CHECK_INT(line_depth(s.line, ONE), 3);
    for (int i = 0; i < 3; i++) {
        CHECK(release(&s, &t[i]) == &t[i + 1]);
        CHECK_INT(t[i + 1].state, TICKET_GRANTED);
        CHECK_INT(line_used(s.line), 1);
        line_take(s.line, &t[i + 1]);
        CHECK_INT(t[i + 1].state, TICKET_TAKEN);
    }
    CHECK(release(&s, &t[3]) == NULL);
    scene_end(&s);
}

TEST(a_better_class_goes_first_whatever_the_hour)
{
    struct scene s;
    struct ticket t[5];
    static const enum priority classes[] = {PRIORITY_BULK, PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_CRITICAL};

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[4], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    for (int i = 0; i < 4; i++)
        CHECK_INT(ask(&s, &t[i], ONE, classes[i]), LINE_QUEUED);
    CHECK_INT(line_position(s.line, &t[0]), 4);
    CHECK_INT(line_position(s.line, &t[3]), 1);
    CHECK(release(&s, &t[4]) == &t[3]);
    CHECK(release(&s, &t[3]) == &t[2]);
    CHECK(release(&s, &t[2]) == &t[1]);
    CHECK(release(&s, &t[1]) == &t[0]);
    CHECK(release(&s, &t[0]) == NULL);
    scene_end(&s);
}

TEST(places_among_its_own_are_counted_once_a_second)
{
    struct scene s;
    struct ticket t[4];
    int64_t now_us = 5 * LINE_COUNT_US;

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[0], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(ask(&s, &t[1], ONE, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(ask(&s, &t[2], ONE, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(line_place(s.line, &t[1], now_us), 1);
    CHECK_INT(line_place(s.line, &t[2], now_us), 2);
    CHECK_INT(ask(&s, &t[3], ONE, PRIORITY_HIGH), LINE_QUEUED);
    CHECK_INT(line_place(s.line, &t[3], now_us), 1); /* of better classes it is known at once */
    CHECK_INT(line_place(s.line, &t[2], now_us), 3);
    CHECK(release(&s, &t[0]) == &t[3]);
    CHECK(release(&s, &t[3]) == &t[1]);
    CHECK_INT(line_place(s.line, &t[2], now_us + LINE_COUNT_US - 1), 2);
    CHECK_INT(line_place(s.line, &t[2], now_us + LINE_COUNT_US), 1);
    CHECK(release(&s, &t[1]) == &t[2]);
    CHECK(release(&s, &t[2]) == NULL);
    scene_end(&s);
}

TEST(a_retry_keeps_its_place)
{
    struct scene s;
    struct ticket t[4];

    scene_begin(&s);
    prepare(&s, &t[3], ONE, PRIORITY_NORMAL); /* came first of all, but asks last */
    CHECK_INT(ask(&s, &t[0], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(ask(&s, &t[1], ONE, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(ask(&s, &t[2], ONE, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(admit(&s, &t[3]), LINE_QUEUED);
    CHECK_INT(line_position(s.line, &t[3]), 1);
    CHECK(release(&s, &t[0]) == &t[3]);
    CHECK(release(&s, &t[3]) == &t[1]);
    CHECK(release(&s, &t[1]) == &t[2]);
    CHECK(release(&s, &t[2]) == NULL);
    scene_end(&s);
}

TEST(models_that_share_a_counter_share_the_order)
{
    struct scene s;
    struct ticket t[4];

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[0], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(ask(&s, &t[1], SAME, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(ask(&s, &t[2], ONE, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(ask(&s, &t[3], WILD, PRIORITY_HIGH), LINE_QUEUED);
    CHECK(release(&s, &t[0]) == &t[3]);
    CHECK(release(&s, &t[3]) == &t[1]);
    CHECK(release(&s, &t[1]) == &t[2]);
    CHECK(release(&s, &t[2]) == NULL);
    scene_end(&s);
}

TEST(a_slot_passes_over_those_who_have_tried_it)
{
    struct scene s;
    struct ticket t[4];

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[0], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(ask(&s, &t[1], PAIR, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(t[1].endpoint, 2);
    prepare(&s, &t[2], PAIR, PRIORITY_CRITICAL);
    t[2].tried = 1; /* endpoint 0 */
    CHECK_INT(admit(&s, &t[2]), LINE_QUEUED);
    CHECK_INT(ask(&s, &t[3], ONE, PRIORITY_BULK), LINE_QUEUED);
    CHECK(release(&s, &t[0]) == &t[3]); /* the critical one cannot use it */
    CHECK(release(&s, &t[1]) == &t[2]);
    CHECK_INT(t[2].endpoint, 2);
    CHECK_INT(t[2].target, 1);
    CHECK(release(&s, &t[2]) == NULL);
    CHECK(release(&s, &t[3]) == NULL);
    scene_end(&s);
}

TEST(all_tried_is_said_at_once)
{
    struct scene s;
    struct ticket t;

    scene_begin(&s);
    prepare(&s, &t, PAIR, PRIORITY_NORMAL);
    t.tried = 3;
    CHECK_INT(admit(&s, &t), LINE_NONE);
    CHECK_INT(t.state, TICKET_FREE);
    t.tried = UINT64_MAX;
    CHECK_INT(admit(&s, &t), LINE_NONE);
    scene_end(&s);
}

TEST(a_full_line_refuses)
{
    struct scene s;
    struct ticket t[7];

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[0], ONE, PRIORITY_NORMAL), LINE_TAKEN);
    for (int i = 1; i < 5; i++)
        CHECK_INT(ask(&s, &t[i], ONE, PRIORITY_NORMAL), LINE_QUEUED);
    CHECK_INT(ask(&s, &t[5], ONE, PRIORITY_CRITICAL), LINE_FULL);
    CHECK_INT(t[5].state, TICKET_FREE);
    CHECK_INT(ask(&s, &t[6], SAME, PRIORITY_NORMAL), LINE_QUEUED); /* the bound is per model */
    CHECK(cancel(&s, &t[2]) == NULL);
    CHECK_INT(admit(&s, &t[5]), LINE_QUEUED);
    for (int i = 1; i < 7; i++)
        CHECK(cancel(&s, &t[i]) == NULL);
    CHECK(cancel(&s, &t[0]) == NULL);
    scene_end(&s);
}

TEST(the_next_tier_is_used_when_the_first_is_full)
{
    struct scene s;
    struct ticket t[5];

    scene_begin(&s);
    CHECK_INT(ask(&s, &t[0], SPILL, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(t[0].tier, 0);
    for (int i = 1; i < 4; i++) { /* no limit there */
        CHECK_INT(ask(&s, &t[i], SPILL, PRIORITY_NORMAL), LINE_TAKEN);
        CHECK_INT(t[i].tier, 1);
        CHECK_INT(t[i].target, 1);
        CHECK_INT(t[i].endpoint, 3);
        CHECK_INT(t[i].counter, -1);
    }
    CHECK_INT(line_used(s.line), 4);
    prepare(&s, &t[4], SPILL, PRIORITY_NORMAL);
    t[4].tried = 2;
    CHECK_INT(admit(&s, &t[4]), LINE_QUEUED);
    CHECK(release(&s, &t[1]) == NULL);
    CHECK(release(&s, &t[0]) == &t[4]);
    for (int i = 2; i < 5; i++)
        CHECK(release(&s, &t[i]) == NULL);
    scene_end(&s);
}

TEST(a_cancelled_grant_goes_on_to_the_next)
{
    struct scene s;
    struct ticket t[3];

    scene_begin(&s);
    ask(&s, &t[0], ONE, PRIORITY_NORMAL);
    ask(&s, &t[1], ONE, PRIORITY_NORMAL);
    ask(&s, &t[2], ONE, PRIORITY_NORMAL);
    CHECK(release(&s, &t[0]) == &t[1]);
    CHECK(cancel(&s, &t[1]) == &t[2]);
    CHECK(cancel(&s, &t[1]) == NULL); /* cancelling twice is fine */
    CHECK(cancel(&s, &t[2]) == NULL);
    scene_end(&s);
}

TEST(a_grant_that_is_not_posted_yet_can_be_cancelled)
{
    struct scene s;
    struct ticket t[3];

    scene_begin(&s);
    ask(&s, &t[0], ONE, PRIORITY_NORMAL);
    ask(&s, &t[1], ONE, PRIORITY_NORMAL);
    ask(&s, &t[2], ONE, PRIORITY_NORMAL);
    line_release(s.line, &t[0], s.now_us, &s.dice, &s.grants);
    line_cancel(s.line, &t[1], s.now_us, &s.dice, &s.grants);
    CHECK(granted(&s) == &t[2]); /* the first one is no longer among the grants */
    CHECK(cancel(&s, &t[2]) == NULL);
    scene_end(&s);
}

TEST(names_have_their_own_counters)
{
    struct scene s;
    struct ticket m, wild_m, wild_n, own, own2, free_name;

    scene_begin(&s);
    CHECK_INT(ask(&s, &m, ONE, PRIORITY_NORMAL), LINE_TAKEN);
    CHECK_INT(ask(&s, &wild_m, WILD, PRIORITY_NORMAL), LINE_QUEUED);
    prepare(&s, &wild_n, WILD, PRIORITY_NORMAL);
    wild_n.upstream = SLICE("n");
    CHECK_INT(admit(&s, &wild_n), LINE_TAKEN);
    CHECK_INT(ask(&s, &own, OWN_NAME, PRIORITY_NORMAL),
              LINE_TAKEN); /* its target says n, whatever the client said */
    CHECK_INT(own.counter, wild_n.counter);
    CHECK_INT(ask(&s, &own2, OWN_NAME, PRIORITY_NORMAL), LINE_QUEUED);
    prepare(&s, &free_name, WILD, PRIORITY_NORMAL);
    free_name.upstream = SLICE("not in slots"); /* the account has no "*": no limit */
    CHECK_INT(admit(&s, &free_name), LINE_TAKEN);
    CHECK_INT(free_name.counter, -1);
    CHECK(release(&s, &free_name) == NULL);
    CHECK(release(&s, &wild_n) == &own2); /* the waiting m cannot use a slot for n */
    CHECK(release(&s, &m) == &wild_m);
    CHECK(release(&s, &wild_m) == NULL);
    CHECK(release(&s, &own) == NULL);
    CHECK(release(&s, &own2) == NULL);
    scene_end(&s);
}

TEST(weights_are_exact_over_a_cycle)
{
    struct scene s;
    int n[2] = {0, 0};

    scene_begin(&s);
    for (int i = 0; i < 100; i++) {
        struct ticket t;
        CHECK_INT(ask(&s, &t, SPLIT, PRIORITY_NORMAL), LINE_TAKEN);
        n[t.target]++;
        CHECK(release(&s, &t) == NULL);
        if (i % 10 == 9)
            CHECK(n[0] == 7 * (i + 1) / 10 && n[1] == 3 * (i + 1) / 10);
    }
    scene_end(&s);
}

/* The least cost; equal ones by dice. */
TEST(without_weights_equal_targets_are_asked_alike)
{
    struct scene s;
    int n[2] = {0, 0};

    scene_begin(&s);
    for (int i = 0; i < 20; i++) {
        struct ticket t;
        CHECK_INT(ask(&s, &t, SAME, PRIORITY_NORMAL), LINE_TAKEN);
        n[t.target]++;
        CHECK(release(&s, &t) == NULL);
    }
    CHECK_INT(n[0] + n[1], 20);
    CHECK(n[0] > 4 && n[1] > 4);
    scene_end(&s);
}

TEST(sixty_four_targets_are_a_whole_mask)
{
    struct config_target targets[LINE_TARGETS_MAX] = {0};
    struct config_tier tier = {targets, LINE_TARGETS_MAX};
    struct config_model model = {.tiers = &tier, .tiers_n = 1};
    const struct config wide = {ENDPOINTS({.account = -1}), .models = &model, .models_n = 1};
    const int only[] = {0};
    struct scene s;
    struct ticket t;

    scene_begin(&s);
    line_free(&s.line);
    s.line = line_new(&wide, only, 1);
    prepare(&s, &t, 0, PRIORITY_NORMAL);
    for (int i = 0; i < LINE_TARGETS_MAX; i++) {
        CHECK_INT(admit(&s, &t), LINE_TAKEN);
        CHECK(!(t.tried >> t.target & 1));
        t.tried |= UINT64_C(1) << t.target;
        CHECK(release(&s, &t) == NULL);
    }
    CHECK_INT(admit(&s, &t), LINE_NONE);
    scene_end(&s);
}
