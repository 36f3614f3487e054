/* SPDX-License-Identifier: MIT */
/* What the line promises to tenants: whose turn it is, who need not begin to wait, and what they are told. */
#include "base/clock.h"
#include "config_kit.h"
#include "policy/line.h"
#include "tap.h"

#define S CLOCK_SECOND_US

enum { FIRST, SECOND, SHARED, OTHER };

/* Of one account: `first` and `second` have slots of their own, the others share one. */
#define CONFIG(n, line, bytes, wait)                                                                \
    {                                                                                               \
        .opt = {.line_max = (line), .line_bytes = (bytes), .line_wait_us = (wait), .outage_us = 0}, \
        ACCOUNTS({.name = "main", SLOTS({NAME("first"), n}, {NAME("second"), 1}, {NAME("*"), 1})}), \
        ENDPOINTS({.name = "e", .account = 0}),                                                     \
        MODELS({.name = NAME("first"), TIERS({TARGETS({.endpoint = 0})})},                          \
               {.name = NAME("second"), TIERS({TARGETS({.endpoint = 0})})},                         \
               {.name = NAME("shared"), TIERS({TARGETS({.endpoint = 0})})},                         \
               {.name = NAME("other"), TIERS({TARGETS({.endpoint = 0})})}),                         \
    }

static const struct config plain = CONFIG(1, 1000, 0, 0), bounded = CONFIG(1, 3, 1000, 0),
                           hasty = CONFIG(2, 1000, 0, 10 * S);

/* One that is asked again when it has failed. */
static const struct config patient = {
    .opt = {.line_max = 1000, .line_bytes = 10, .outage_us = 30 * S, .attempts_max = 3},
    ACCOUNTS({.name = "main", SLOTS({NAME("first"), 1})}),
    ENDPOINTS({.name = "e", .account = 0}),
    MODELS({.name = NAME("first"), TIERS({TARGETS({.endpoint = 0})})}),
};

#define TENANTS_N 8
#define TICKETS_N 64

struct scene {
    const struct config *cfg;
    struct line *line;
    struct rng dice;
    struct list grants;
    int64_t now_us;
    struct ticket t[TICKETS_N];
    size_t n;
};

static const int all[] = {FIRST, SECOND, SHARED, OTHER};

static struct line *new_line(const struct config *cfg, int edition)
{
    struct line_part p = {
        .edition = edition, .cfg = cfg, .models = all, .models_n = COUNT_OF(all), .tenants_n = TENANTS_N};

    return line_new_of(&p, 1);
}

static struct scene *scene_new(const struct config *cfg)
{
    struct scene *s = calloc(1, sizeof *s);

    s->cfg = cfg;
    s->line = new_line(cfg, 0);
    s->now_us = S;
    rng_seed(&s->dice, 1);
    list_init(&s->grants);
    return s;
}

static struct ticket *ticket_new(struct scene *s, int model, int tenant, int64_t tokens)
{
    struct ticket *t = &s->t[s->n++];

    CHECK(s->n <= TICKETS_N);
    ticket_init(t);
    t->model = model;
    t->upstream = s->cfg->models[model].name;
    t->tenant = tenant;
    t->arrived_us = s->now_us++;
    t->call.prompt_tokens = tokens;
    t->answer_max = 0;
    t->bytes = 7;
    return t;
}

static enum line_verdict admit(struct scene *s, struct ticket *t)
{
    enum line_verdict v = line_admit(s->line, t, s->now_us, &s->dice);

    line_check(s->line);
    return v;
}

static struct ticket *ask(struct scene *s, int model, int tenant, int64_t tokens)
{
    struct ticket *t = ticket_new(s, model, tenant, tokens);

    CHECK(admit(s, t) <= LINE_QUEUED);
    return t;
}

/* Ends its call as its estimate said, and returns who was granted. */
static struct ticket *end(struct scene *s, struct ticket *t)
{
    struct call_report r = {.outcome = OUTCOME_OK, .retry_after_us = -1};
    struct ticket *got;

    line_settle(s->line, t, &r, s->now_us, &s->dice, &s->grants);
    line_check(s->line);
    if (list_empty(&s->grants))
        return NULL;
    got = CONTAINER_OF(list_pop_front(&s->grants), struct ticket, node);
    line_take(s->line, got);
    CHECK(list_empty(&s->grants));
    return got;
}

static void scene_free(struct scene *s)
{
    for (size_t i = 0; i < s->n; i++)
        line_cancel(s->line, &s->t[i], s->now_us, &s->dice, &s->grants);
    while (list_pop_front(&s->grants) != NULL)
        continue;
    CHECK_INT((long long)(line_used(s->line) + line_waiting(s->line)), 0);
    line_free(&s->line);
    free(s);
}

/* -- whose turn it is ------------------------------------------------------------------------------------ */

TEST(one_who_floods_a_model_delays_another_by_one_call_at_most)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 1, 100), *quiet;

    for (int i = 0; i < 30; i++)
        ask(s, FIRST, 1, 100);
    quiet = ask(s, FIRST, 2, 5000);
    CHECK((long long)line_position(s->line, quiet) <= 2);
    now = end(s, now);
    CHECK(now == quiet || end(s, now) == quiet);
    scene_free(s);
}

TEST(nor_does_one_who_floods_another_model_of_the_same_slots)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, OTHER, 1, 100), *quiet;

    for (int i = 0; i < 30; i++)
        ask(s, OTHER, 1, 100);
    quiet = ask(s, SHARED, 2, 5000);
    now = end(s, now);
    CHECK(now == quiet || end(s, now) == quiet);
    scene_free(s);
}

/* Tenant 3 is served ten times as much by a model with slots of its own. */
TEST(what_goes_on_elsewhere_does_not_make_tokens_into_turns)
{
    struct scene *s = scene_new(&plain);
    int64_t served[3] = {0};
    struct ticket *now, *busy = ask(s, FIRST, 3, 10000);

    ask(s, SECOND, 1, 100);
    for (int i = 0; i < 10; i++)
        ask(s, SECOND, 1, 100);
    for (int i = 0; i < 10; i++)
        ask(s, SECOND, 2, 1000);
    now = &s->t[1];
    for (int i = 0; i < 11; i++) {
        CHECK(end(s, busy) == NULL);
        CHECK_INT(admit(s, busy), LINE_TAKEN);
        served[now->tenant] += now->call.prompt_tokens;
        now = end(s, now);
    }
    CHECK(served[1] - served[2] <= 1200 && served[2] - served[1] <= 1200);
    CHECK(served[1] >= 1000);
    scene_free(s);
}

TEST(of_its_own_a_tenants_earliest_deadline_is_first)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 1, 100), *t[3];
    static const int64_t DEADLINES[] = {30 * S, 10 * S, 20 * S};

    for (int i = 0; i < 3; i++) {
        t[i] = ticket_new(s, FIRST, 1, 100);
        t[i]->deadline_us = DEADLINES[i];
        CHECK_INT(admit(s, t[i]), LINE_QUEUED);
    }
    CHECK_INT((long long)line_position(s->line, t[0]), 3);
    CHECK((now = end(s, now)) == t[1]);
    CHECK((now = end(s, now)) == t[2]);
    CHECK(end(s, now) == t[0]);
    scene_free(s);
}

/* It is served twice as much as it was charged for. */
TEST(what_an_answer_took_counts_and_teaches)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 1, 100);
    struct call_report r = {OUTCOME_OK, -1, 200, 600};
    int64_t first = now->charged;

    line_settle(s->line, now, &r, s->now_us, &s->dice, &s->grants);
    now = ask(s, FIRST, 1, 100);
    CHECK_INT(first, 101);
    CHECK_INT(now->charged, 201);
    line_cancel(s->line, now, s->now_us, &s->dice, &s->grants);
    now = ticket_new(s, FIRST, 1, 100);
    now->answer_max = -1;
    CHECK_INT(admit(s, now), LINE_TAKEN);
    CHECK_INT(now->charged, 801); /* as long as the last answer was */
    line_cancel(s->line, now, s->now_us, &s->dice, &s->grants);
    now->answer_max = 50;
    CHECK_INT(admit(s, now), LINE_TAKEN);
    CHECK_INT(now->charged, 251);
    scene_free(s);
}

/* -- who need not begin to wait -------------------------------------------------------------------------- */

static enum line_verdict ask_bytes(struct scene *s, int64_t bytes)
{
    struct ticket *t = ticket_new(s, FIRST, 1, 100);

    t->bytes = bytes;
    return admit(s, t);
}

TEST(only_so_many_and_so_many_bytes_wait)
{
    struct scene *s = scene_new(&bounded);

    CHECK_INT(ask_bytes(s, 5000), LINE_TAKEN);
    CHECK_INT(ask_bytes(s, 2000), LINE_QUEUED); /* one alone may be larger */
    CHECK_INT(ask_bytes(s, 1), LINE_FULL_BYTES);
    line_cancel(s->line, &s->t[1], s->now_us, &s->dice, &s->grants);
    CHECK_INT(ask_bytes(s, 400), LINE_QUEUED);
    CHECK_INT(ask_bytes(s, 500), LINE_QUEUED);
    CHECK_INT(ask_bytes(s, 101), LINE_FULL_BYTES);
    CHECK_INT(ask_bytes(s, 100), LINE_QUEUED);
    CHECK_INT(ask_bytes(s, 0), LINE_FULL);
    scene_free(s);
}

/* Serves one a second until the speed is known, with somebody always waiting. */
static struct ticket *learn_speed(struct scene *s, struct ticket *now)
{
    for (int i = 0; i < 20; i++) {
        struct ticket *again = now;

        s->now_us += S;
        CHECK((now = end(s, now)) != NULL);
        again->arrived_us = s->now_us;
        CHECK_INT(admit(s, again), LINE_QUEUED);
    }
    return now;
}

TEST(who_would_wait_beyond_its_deadline_is_told_at_once)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 1, 100), *t;
    enum line_verdict v;
    size_t queued_n = 0;

    for (int i = 0; i < 9; i++)
        ask(s, FIRST, 1, 100);
    t = ticket_new(s, FIRST, 1, 100);
    t->deadline_us = s->now_us + S;
    CHECK_INT(admit(s, t), LINE_QUEUED); /* nothing is known yet */
    line_cancel(s->line, t, s->now_us, &s->dice, &s->grants);
    learn_speed(s, now);
    do { /* the earliest deadline goes first, before those who wait without one */
        t = ticket_new(s, FIRST, 1, 100);
        t->deadline_us = s->now_us + 4500 * CLOCK_MS_US;
        v = admit(s, t);
        queued_n += v == LINE_QUEUED;
    } while (v == LINE_QUEUED && queued_n < 20);
    CHECK_INT(v, LINE_LATE);
    CHECK(queued_n >= 3 && queued_n <= 5);
    CHECK(t->eta_us > 4 * S && t->eta_us < 6 * S && t->place == queued_n + 1);
    t->tenant = 2; /* another one's turn comes at once */
    CHECK_INT(admit(s, t), LINE_QUEUED);
    scene_free(s);
}

TEST(nobody_waits_for_longer_than_the_configuration_allows)
{
    struct scene *s = scene_new(&hasty);
    struct ticket *now = ask(s, FIRST, 1, 100), *t;
    size_t queued_n = 0;

    ask(s, FIRST, 1, 100);
    for (int i = 0; i < 4; i++)
        ask(s, FIRST, 1, 100);
    learn_speed(s, now);
    for (int i = 0; i < 30; i++) {
        enum line_verdict v = admit(s, t = ticket_new(s, FIRST, 1, 100));

        CHECK(v == LINE_QUEUED || (v == LINE_SLOW && t->eta_us > 10 * S));
        queued_n += v == LINE_QUEUED;
    }
    CHECK(queued_n >= 4 && queued_n <= 8);
    scene_free(s);
}

TEST(who_comes_again_is_not_refused_for_what_has_come_meanwhile)
{
    static const int one[] = {0};
    struct scene *s = scene_new(&plain);
    struct call_report r = {OUTCOME_RESET, -1, 0, 0};
    struct ticket *first, *second;

    line_free(&s->line);
    s->line =
        line_new_of(&(struct line_part){.cfg = &patient, .models = one, .models_n = 1, .tenants_n = 2}, 1);
    first = ticket_new(s, 0, 0, 100);
    second = ticket_new(s, 0, 0, 100);
    first->bytes = second->bytes = 9;
    CHECK_INT(admit(s, first), LINE_TAKEN);
    CHECK_INT(admit(s, second), LINE_QUEUED);
    line_settle(s->line, first, &r, s->now_us, &s->dice, &s->grants);
    line_take(s->line, CONTAINER_OF(list_pop_front(&s->grants), struct ticket, node));
    CHECK_INT(second->state, TICKET_TAKEN);
    CHECK_INT(ask_bytes(s, 9), LINE_QUEUED);
    CHECK_INT(ask_bytes(s, 9), LINE_FULL_BYTES);
    CHECK_INT(admit(s, first), LINE_QUEUED);
    scene_free(s);
}

TEST(a_place_is_told_with_the_time_that_it_takes)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 1, 100), *t;

    for (int i = 0; i < 9; i++)
        ask(s, FIRST, 1, 100);
    t = ask(s, FIRST, 1, 100);
    CHECK_INT((long long)line_place(s->line, t, s->now_us), 10);
    CHECK_INT(t->eta_us, ETA_UNKNOWN);
    CHECK_INT(line_eta_us(s->line, 0, FIRST, s->now_us), ETA_UNKNOWN);
    now = learn_speed(s, now);
    t = ask(s, FIRST, 1, 100);
    CHECK_INT((long long)line_place(s->line, t, s->now_us), 11);
    CHECK(t->eta_us > 9 * S && t->eta_us < 13 * S);
    CHECK(line_eta_us(s->line, 0, FIRST, s->now_us) > t->eta_us - S / 10);
    CHECK_INT(line_eta_us(s->line, 0, SECOND, s->now_us), ETA_UNKNOWN);
    scene_free(s);
}

/* -- reloads --------------------------------------------------------------------------------------------- */

static struct line *the_line(void *ud, int edition, int model)
{
    (void)edition;
    (void)model;
    return ud;
}

/* A second edition of the same models comes beside the first. */
static void reload(struct scene *s)
{
    struct line_part p[2] = {
        {.edition = 0, .cfg = s->cfg, .models = all, .models_n = COUNT_OF(all), .tenants_n = TENANTS_N},
        {.edition = 1, .cfg = s->cfg, .models = all, .models_n = COUNT_OF(all), .tenants_n = TENANTS_N + 1}};
    const struct config_account *rules[] = {&s->cfg->accounts[0]};
    struct line *old = s->line;

    p[0].accounts = p[1].accounts = rules;
    s->line = line_new_of(p, 2);
    line_move(old, the_line, s->line);
    line_free(&old);
    line_offer(s->line, s->now_us, &s->dice, &s->grants);
    CHECK(list_empty(&s->grants));
    line_check(s->line);
}

TEST(a_reload_keeps_turns_and_what_is_known_of_speed)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 1, 100), *late, *quiet;

    for (int i = 0; i < 9; i++)
        ask(s, FIRST, 1, 100);
    now = learn_speed(s, now);
    reload(s);
    CHECK(line_eta_us(s->line, 1, FIRST, s->now_us) > 5 * S);
    late = ticket_new(s, FIRST, 1, 100); /* the tenant's queue goes on, under the new edition */
    late->edition = 1;
    CHECK_INT(admit(s, late), LINE_QUEUED);
    CHECK_INT((long long)line_place(s->line, late, s->now_us), 10);
    quiet = ticket_new(s, FIRST, TENANTS_N, 100); /* a tenant that the first edition did not know */
    quiet->edition = 1;
    CHECK_INT(admit(s, quiet), LINE_QUEUED);
    now = end(s, now);
    CHECK(now == quiet || end(s, now) == quiet);
    scene_free(s);
}

TEST(who_had_more_than_its_share_before_a_reload_has_had_it_after_it)
{
    struct scene *s = scene_new(&plain);
    struct ticket *now = ask(s, FIRST, 3, 100), *greedy = ask(s, FIRST, 1, 100000), *modest;

    now = end(s, now);
    CHECK(now == greedy);
    ask(s, FIRST, 1, 100);
    modest = ask(s, FIRST, 2, 100);
    reload(s);
    now = end(s, greedy);
    CHECK(now == modest);
    for (int i = 0; i < 5; i++) {
        ask(s, FIRST, 2, 100);
        now = end(s, now);
        CHECK(now != NULL && now->tenant == 2);
    }
    scene_free(s);
}
