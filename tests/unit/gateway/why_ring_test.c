/* SPDX-License-Identifier: MIT */
/* gateway/why_record and why_ring: records come back as they were, the last ones stay, the oldest go, and
 * those of good requests do not push the others out. */
#include "gateway/why_ring.h"

#include <stdio.h>

#include "base/rng.h"
#include "config/snapshot.h"
#include "tap.h"

static const char YAML[] =
    "listen: 127.0.0.1:1\n"
    "endpoints:\n"
    "  - {name: one, provider: openai, url: 'http://127.0.0.1:2/v1', key: none}\n"
    "  - {name: two, provider: openai, url: 'http://127.0.0.1:3/v1', key: none}\n"
    "models: [{name: m, tiers: [[{endpoint: one}], [{endpoint: two, model: other}]]}]\n";

static struct config *config(void)
{
    static struct config_report report;
    struct config *c;

    CHECK_INT(config_parse(slice_of(YAML), "test", &config_env_process, &c, &report), ERR_OK);
    return c;
}

struct found {
    int n;
    struct why_record last;
};

static void on_found(void *ud, struct slice bytes)
{
    struct found *f = ud;

    f->n++;
    CHECK(why_unpack(bytes, &f->last));
}

static struct found find(const struct why_rings *r, const char *id)
{
    struct found f = {.n = 0};

    why_rings_find(r, slice_of(id), on_found, &f);
    return f;
}

TEST(a_record_comes_back_as_it_was)
{
    static const int64_t CHOSEN[] = {1, -1, -1};
    struct config *cfg = config();
    struct why_rings rings;
    struct arena arena;
    struct why why;
    struct why_source s = {
        .facts = {.arrived_wall_us = 5, .took_us = 6, .status = 503, .calls_n = 2, .err = ERR_DRAINING},
        .id = SLICE("req_1"),
        .key = SLICE("web"),
        .model = SLICE("m"),
        .why = &why,
        .cfg = cfg,
        .target = &cfg->models[0]};
    struct found f;
    struct why_note n;
    size_t at = 0;

    arena_init(&arena, NULL, 0, 4096);
    why_init(&why, &arena, 0);
    why_note(&why, WHY_CHOSEN, 1000, CHOSEN, NULL);
    why_rings_init(&rings);
    why_rings_add(&rings, &s);
    CHECK_INT(find(&rings, "req_2").n, 0);
    f = find(&rings, "req_1");
    CHECK_INT(f.n, 1);
    CHECK(f.last.facts.arrived_wall_us == 5 && f.last.facts.status == 503 &&
          f.last.facts.err == ERR_DRAINING);
    CHECK_MEM(f.last.key.p, f.last.key.n, "web", 3);
    CHECK_MEM(f.last.model.p, f.last.model.n, "m", 1);
    CHECK(why_read(f.last.notes, &at, &n) && n.step == WHY_CHOSEN);
    CHECK_MEM(why_target_name(&f.last, 1).p, why_target_name(&f.last, 1).n, "two/other", 9);
    CHECK(why_target_name(&f.last, 0).p == NULL); /* no note names it */
    why_rings_fini(&rings);
    arena_fini(&arena);
    config_unref(&cfg);
}

TEST(what_is_cut_off_is_no_record)
{
    char _Alignas(8) bytes[WHY_RECORD_MAX];
    struct why_source s = {.id = SLICE("req_1"), .key = SLICE("web")};
    struct why_record r;
    size_t n = why_pack(&s, bytes);

    CHECK(why_unpack((struct slice){bytes, n}, &r));
    for (size_t i = 0; i < n; i++)
        CHECK(!why_unpack((struct slice){bytes, i}, &r));
}

static void add(struct why_rings *r, int number, bool notable, size_t key_n)
{
    static const char KEY[WHY_NAME_MAX + 1] =
        "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    char id[32];
    struct why_source s = {.facts = {.took_us = number, .calls_n = notable ? 2 : 1}, .key = {KEY, key_n}};

    snprintf(id, sizeof id, "r%d", number);
    s.id = slice_of(id);
    why_rings_add(r, &s);
}

static bool knows(const struct why_rings *r, int number)
{
    char id[32];
    struct found f;

    snprintf(id, sizeof id, "r%d", number);
    f = find(r, id);
    return f.n == 1 && f.last.facts.took_us == number;
}

TEST(the_last_ones_stay_and_good_ones_push_no_other_out)
{
    struct why_rings r;
    struct rng dice;
    int n = 0, oldest = 20049;

    why_rings_init(&r);
    rng_seed(&dice, 3);
    for (; n < 50; n++)
        add(&r, n, true, 10);
    for (; n < 20050; n++)
        add(&r, n, false, rng_below(&dice, WHY_NAME_MAX));
    for (int i = 0; i < 50; i++)
        CHECK(knows(&r, i));
    CHECK(knows(&r, n - 1) && !knows(&r, 50));
    for (int gone = 50; oldest - gone > 1;) {
        int half = gone + (oldest - gone) / 2;

        if (knows(&r, half))
            oldest = half;
        else
            gone = half;
    }
    CHECK(n - oldest > 2000); /* "some thousand" */
    /* Everything behind the oldest is there, nothing before it: whatever the lengths. */
    for (int i = oldest; i < n; i += 37)
        CHECK(knows(&r, i));
    for (int i = 50; i < oldest; i += 97)
        CHECK(!knows(&r, i));
    why_rings_fini(&r);
}

/* Against a plain list, looked at after every step, at all places of the wrap. */
TEST(no_step_loses_what_it_should_not)
{
    struct why_rings r;
    struct rng dice;
    int wrong_n = 0;

    why_rings_init(&r);
    rng_seed(&dice, 5);
    for (int n = 0; n < 12000; n++) {
        add(&r, n, false, rng_below(&dice, WHY_NAME_MAX));
        wrong_n += n % 50 == 0 && (!knows(&r, n) || (n > 1000 && !knows(&r, n - 1000)));
    }
    CHECK_INT(wrong_n, 0);
    why_rings_fini(&r);
}

TEST(an_id_that_was_used_twice_has_two_records)
{
    struct why_rings r;

    why_rings_init(&r);
    add(&r, 1, false, 0);
    add(&r, 2, false, 0);
    add(&r, 1, true, 0);
    CHECK_INT(find(&r, "r1").n, 2);
    why_rings_fini(&r);
}
