/* SPDX-License-Identifier: MIT */
/* gateway/why: notes come back as they were made, are bounded, and any bytes can be read. */
#include "gateway/why.h"

#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

#define SINCE 1000000

struct scene {
    struct arena arena;
    struct why why;
};

static void begin(struct scene *s)
{
    arena_init(&s->arena, NULL, 0, 4096);
    why_init(&s->why, &s->arena, SINCE);
}

static struct slice notes(const struct scene *s)
{
    return (struct slice){(const char *)s->why.p, s->why.n};
}

static size_t count(const struct scene *s)
{
    struct why_note n;
    size_t at = 0, i = 0;

    while (why_read(notes(s), &at, &n))
        i++;
    CHECK_INT((long long)at, (long long)s->why.n);
    return i;
}

TEST(what_is_noted_is_read)
{
    static const int64_t QUEUED[] = {17, 1234567, -1, 9}, CALLED[] = {3, 9, 503, -1, 0, WHY_VALUE_MAX};
    static const struct looks FULL = {
        .n = 2, .out_n = 7, .at = {{0, LOOK_FULL, {8, 9}}, {.target = 63, .is = LOOK_TRIED}}};
    struct scene s;
    struct why_note n;
    size_t at = 0;

    begin(&s);
    CHECK(!why_read(notes(&s), &at, &n));
    why_note(&s.why, WHY_QUEUED, SINCE + 5, QUEUED, &FULL);
    why_note(&s.why, WHY_CALLED, SINCE + 70000, CALLED, NULL);
    CHECK(why_read(notes(&s), &at, &n));
    CHECK(n.step == WHY_QUEUED && n.at_us == 5 && n.v[0] == 17 && n.v[1] == 1234567);
    CHECK(n.v[2] == -1 && n.v[3] == 9);
    CHECK(n.looks_n == 2 && n.out_n == 7);
    CHECK(n.looks[0].target == 0 && n.looks[0].is == LOOK_FULL);
    CHECK(n.looks[0].v[0] == 8 && n.looks[0].v[1] == 9);
    CHECK(n.looks[1].target == 63 && n.looks[1].is == LOOK_TRIED);
    CHECK(why_read(notes(&s), &at, &n));
    CHECK(n.step == WHY_CALLED && n.at_us == 70000 && n.looks_n == 0);
    for (size_t i = 0; i < 6; i++)
        CHECK_INT(n.v[i], CALLED[i]);
    CHECK(!why_read(notes(&s), &at, &n));
    CHECK_INT((long long)s.why.named, (long long)(UINT64_C(1) << 63 | 1 << 3 | 1));
    arena_fini(&s.arena);
}

/* As the notes of a request that goes through at once: its memory is what the flight has. */
TEST(usual_notes_allocate_nothing)
{
    static const int64_t CHOSEN[] = {1, 2, -1}, CALLED[] = {1, 0, 200, 350000, 2000000, -1};
    struct scene s;
    uint64_t allocs_n;

    begin(&s);
    allocs_n = mem_alloc_n();
    for (int i = 0; i < 4; i++) {
        why_note(&s.why, WHY_CHOSEN, SINCE + 100, CHOSEN, NULL);
        why_note(&s.why, WHY_CALLED, SINCE + 2000000, CALLED, NULL);
    }
    CHECK_INT((long long)(mem_alloc_n() - allocs_n), 0);
    CHECK(s.why.p == s.why.first);
    CHECK_INT((long long)count(&s), 8);
    arena_fini(&s.arena);
}

TEST(many_notes_keep_the_first_and_the_latest)
{
    struct scene s;
    struct why_note n;
    size_t at = 0, kept;

    begin(&s);
    for (int64_t i = 0; i < 1000; i++) {
        int64_t v[] = {i % 64, 1, 429, -1, 35, 1000000};

        why_note(&s.why, WHY_CALLED, SINCE + i * 1000, v, NULL);
        CHECK(s.why.n <= WHY_BYTES_MAX);
    }
    kept = count(&s);
    CHECK(kept > 20 && kept + s.why.dropped_n == 1000);
    CHECK(why_read(notes(&s), &at, &n) && n.at_us == 0);
    for (int64_t i = 1000 - (int64_t)kept + 1; i < 1000; i++)
        CHECK(why_read(notes(&s), &at, &n) && n.at_us == i * 1000);
    arena_fini(&s.arena);
}

TEST(the_largest_note_has_room)
{
    struct looks all = {.n = LOOKS_MAX, .out_n = 58};
    int64_t v[WHY_FIELDS_MAX];
    struct scene s;

    for (size_t i = 0; i < WHY_FIELDS_MAX; i++)
        v[i] = INT64_MAX;
    for (size_t i = 0; i < LOOKS_MAX; i++) {
        all.at[i] = (struct look){.target = 63, .is = LOOK_COST};
        memset(all.at[i].v, 0xff, sizeof all.at[i].v);
    }
    v[0] = 63; /* a target */
    begin(&s);
    for (int i = 0; i < 10; i++)
        why_note(&s.why, WHY_CALLED, INT64_MAX, v, &all);
    CHECK(count(&s) >= 2);
    arena_fini(&s.arena);
}

TEST(any_bytes_can_be_read)
{
    struct rng dice;
    bool held = true;

    rng_seed(&dice, 7);
    for (int i = 0; i < 20000; i++) {
        size_t n = rng_below(&dice, 80), at = 0, steps_n = 0;
        char bytes[80], *guarded;
        struct why_note note;

        for (size_t k = 0; k < n; k++)
            bytes[k] = (char)rng_below(&dice, rng_below(&dice, 2) ? 12 : 256);
        guarded = tap_guard(bytes, n);
        while (why_read((struct slice){guarded, n}, &at, &note) && steps_n < 100) {
            steps_n++;
            held = held && note.step < WHY_STEPS_N && note.looks_n <= LOOKS_MAX;
        }
        held = held && at <= n && steps_n < 100;
        tap_guard_free(guarded, n);
    }
    CHECK(held);
}

TEST(every_row_has_names)
{
    for (int i = 0; i < WHY_STEPS_N; i++) {
        const struct why_row *r = why_step_row((enum why_step)i);

        CHECK(r->label[0] != '\0' && r->fields[0].name != NULL && r->fields[WHY_FIELDS_MAX].name == NULL);
        for (size_t f = 0; r->fields[f].name != NULL; f++)
            CHECK(r->fields[f].name[0] != '\0');
    }
    for (int i = 0; i < LOOK_N; i++) {
        const struct why_row *r = why_look_row((enum look_is)i);

        CHECK(r->label[0] != '\0' && r->fields[WHY_FIELDS_MAX].name == NULL);
        for (size_t f = 0; r->fields[f].name != NULL; f++)
            CHECK(r->fields[f].type != WHY_TARGET);
    }
}
