/* SPDX-License-Identifier: MIT */
/* Free memory goes back in steps: what is in use stays as it is, and each step is small. */
#include "base/shed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

#define OBJECTS_N 30000
#define KEPT_EACH 29 /* one of so many is in use still, all over the heap */
#define STEPS_MAX 500

static unsigned char *objects[OBJECTS_N];

static size_t bytes_of(size_t i)
{
    return 500 + i % 6 * 700;
}

static size_t resident_kib(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void come_and_go(void)
{
    for (size_t i = 0; i < OBJECTS_N; i++) {
        objects[i] = malloc(bytes_of(i));
        memset(objects[i], (int)(i & 0xff), bytes_of(i));
    }
    for (size_t i = 0; i < OBJECTS_N; i++) {
        if (i % KEPT_EACH == 0)
            continue;
        free(objects[i]);
        objects[i] = NULL;
    }
}

static bool is_unharmed(size_t i)
{
    for (size_t k = 0; k < bytes_of(i); k++) {
        if (objects[i][k] != (i & 0xff))
            return false;
    }
    return true;
}

static size_t taken(const struct shed *s)
{
    size_t n = 0;

    for (void *b = s->blocks; b != NULL; b = *(void **)b)
        n++;
    return n;
}

TEST(what_a_crowd_has_left_goes_back_and_what_is_in_use_is_not_touched)
{
    struct shed s;
    size_t full, left, before = resident_kib(), most_n = 0;

    come_and_go();
    full = resident_kib();
    shed_init(&s);
    for (int i = 0; i < STEPS_MAX; i++) {
        size_t had_n = taken(&s);

        shed_step(&s);
        if (taken(&s) - had_n > most_n)
            most_n = taken(&s) - had_n;
    }
    CHECK(most_n > 0 && most_n <= SHED_STEP_BYTES / 8192);
    for (int i = 0; i < STEPS_MAX && s.blocks != NULL; i++)
        shed_put_back(&s);
    CHECK(s.blocks == NULL);
    left = resident_kib();
    printf("# %zu KiB, %zu full, %zu left\n", before, full, left);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* they have allocators of their own */
    CHECK(full - before > 20000 && (left - before) * 3 < full - before);
#endif
    for (size_t i = 0; i < OBJECTS_N; i += KEPT_EACH) {
        CHECK(is_unharmed(i));
        free(objects[i]);
    }
}

static void walk(void)
{
    struct shed s;

    shed_init(&s);
    for (int i = 0; i < STEPS_MAX; i++)
        shed_step(&s);
    shed_fini(&s);
}

/* Each block that is taken costs a page, so what went back before must not be taken once more. */
TEST(a_second_walk_takes_next_to_nothing)
{
    size_t first, second;

    come_and_go();
    walk();
    first = resident_kib();
    walk();
    second = resident_kib();
    printf("# %zu KiB, then %zu\n", first, second);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    CHECK(second < first + 1000);
#endif
    for (size_t i = 0; i < OBJECTS_N; i += KEPT_EACH) {
        CHECK(is_unharmed(i));
        free(objects[i]);
    }
}

TEST(one_that_ends_half_way_puts_all_blocks_back)
{
    struct shed s;

    shed_init(&s);
    shed_fini(&s);
    come_and_go();
    shed_step(&s);
    shed_step(&s);
    CHECK(taken(&s) > 0);
    shed_fini(&s); /* the address sanitizer would tell of blocks that stay */
    CHECK(s.blocks == NULL);
    for (size_t i = 0; i < OBJECTS_N; i += KEPT_EACH) {
        CHECK(is_unharmed(i));
        free(objects[i]);
    }
}
