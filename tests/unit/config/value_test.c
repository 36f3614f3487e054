/* SPDX-License-Identifier: MIT */
/* Durations, sizes, counts and names, one by one; what is printed can be read back. */
#include "config/value.h"

#include "tap.h"

typedef bool (*value_cb)(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out);

/* The value of `text`, or -1 when it is refused. */
static int64_t read_with(value_cb read, const char *text)
{
    struct node n = {.kind = NODE_TEXT, .plain = true, .at = {1, 1}, .label = SLICE("x")};
    struct arena arena;
    struct notes notes;
    int64_t out = -1;
    bool fine;

    n.text = n.raw = slice_of(text);
    arena_init(&arena, NULL, 0, 1024);
    notes_init(&notes, &arena);
    fine = read(&notes, &n, (struct value_bounds){0, INT64_MAX}, &out);
    CHECK_INT(notes.errors_n, fine ? 0 : 1);
    arena_fini(&arena);
    return fine ? out : -1;
}

TEST(durations_need_units_and_may_be_compounds)
{
    CHECK_INT(read_with(value_duration, "5s"), 5000000);
    CHECK_INT(read_with(value_duration, "0s"), 0);
    CHECK_INT(read_with(value_duration, "200ms"), 200000);
    CHECK_INT(read_with(value_duration, "7us"), 7);
    CHECK_INT(read_with(value_duration, "1m"), 60000000);
    CHECK_INT(read_with(value_duration, "1h"), INT64_C(3600000000));
    CHECK_INT(read_with(value_duration, "2m30s"), 150000000);
    CHECK_INT(read_with(value_duration, "1h1m1s1ms1us"), INT64_C(3661001001));
    CHECK_INT(read_with(value_duration, "1.5s"), 1500000);
    CHECK_INT(read_with(value_duration, "0.25ms"), 250);
    const char *const bad[] = {"",
                               "5",
                               "s",
                               "-5s",
                               "5 s",
                               "5S",
                               "30s2m",
                               "5s5s",
                               "5d",
                               "1.s",
                               ".5s",
                               "1..5s",
                               "1e3s",
                               "5sec",
                               "+5s",
                               "0x5s",
                               "5m3",
                               "5s ",
                               "1.5us",
                               "99999999999999999999s",
                               "9223372036854775807h",
                               "9223372036854s999999999999ms"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!CHECK_INT(read_with(value_duration, bad[i]), -1))
            printf("# %s\n", bad[i]);
    }
}

TEST(sizes_need_units)
{
    CHECK_INT(read_with(value_size, "100B"), 100);
    CHECK_INT(read_with(value_size, "64KiB"), 65536);
    CHECK_INT(read_with(value_size, "48MiB"), 48 << 20);
    CHECK_INT(read_with(value_size, "1GiB"), 1 << 30);
    CHECK_INT(read_with(value_size, "2TiB"), INT64_C(2) << 40);
    CHECK_INT(read_with(value_size, "10kB"), 10000);
    CHECK_INT(read_with(value_size, "10MB"), 10000000);
    CHECK_INT(read_with(value_size, "1GB"), 1000000000);
    const char *const bad[] = {"",     "5",   "5K",  "5M",   "5kb",           "5KB",
                               "5mib", "-1B", "1 B", "1B1B", "9999999999TiB", "1.0001KiB"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!CHECK_INT(read_with(value_size, bad[i]), -1))
            printf("# %s\n", bad[i]);
    }
}

TEST(counts_are_digits)
{
    CHECK_INT(read_with(value_count, "0"), 0);
    CHECK_INT(read_with(value_count, "007"), 7);
    CHECK_INT(read_with(value_count, "9223372036854775807"), INT64_MAX);
    const char *const bad[] = {"",    "-1", "+1", "1.0", "1e3", "0x10", "1_000", " 1", "9223372036854775808",
                               "ten", "~"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (!CHECK_INT(read_with(value_count, bad[i]), -1))
            printf("# %s\n", bad[i]);
    }
}

TEST(what_is_printed_can_be_read_back)
{
    const int64_t us[] = {0, 1, 999, 1000, 1500000, 60000000, INT64_C(86400000000), INT64_C(3661001001)};
    const int64_t bytes[] = {0, 1, 1000, 1024, 1025, 65536, 48 << 20, INT64_C(1) << 40, INT64_C(3) << 50};
    char text[32];

    for (size_t i = 0; i < sizeof(us) / sizeof(us[0]); i++)
        CHECK_INT(read_with(value_duration, value_print_duration(us[i], text)), us[i]);
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
        CHECK_INT(read_with(value_size, value_print_size(bytes[i], text)), bytes[i]);
    CHECK_STR(value_print_duration(150000000, text), "2m30s");
    CHECK_STR(value_print_size(48 << 20, text), "48MiB");
}

TEST(booleans_are_true_or_false_and_nothing_else)
{
    static const struct {
        const char *text;
        int want; /* -1: refused */
    } rows[] = {{"true", 1}, {"false", 0}, {"True", -1}, {"yes", -1}, {"on", -1}, {"1", -1}, {"", -1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct node n = {.kind = NODE_TEXT, .plain = true, .at = {1, 1}, .label = SLICE("x")};
        struct arena arena;
        struct notes notes;
        int64_t out = 7;

        n.text = n.raw = slice_of(rows[i].text);
        arena_init(&arena, NULL, 0, 1024);
        notes_init(&notes, &arena);
        CHECK_INT(value_bool(&notes, &n, &out) ? out : -1, rows[i].want);
        arena_fini(&arena);
    }
}
