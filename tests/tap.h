/* SPDX-License-Identifier: MIT */
/*
 * A unit test program: one file that includes this header holds the tests, the checks and main().
 *
 *     TEST(parses_an_empty_line)
 *     {
 *         CHECK_INT(line_parse("", 0), LINE_EMPTY);
 *     }
 *
 * Why: `prove` already counts, times, parallelises and reports; all that a test needs to do is to print TAP
 * (what went wrong goes to stderr, which `prove` lets through).
 * Usage: PROGRAM runs every test in the order of the file, PROGRAM NAME... only those, PROGRAM -l lists them.
 * A failed check is reported and the test goes on; checks return whether they held, so that a test can leave
 * (`if (!CHECK(p)) return;`). A test that checked nothing fails. Checks may run on any thread.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct tap_test {
    const char *name;
    void (*run)(void);
    struct tap_test *next;
};

static struct tap_test *tap_first, **tap_end = &tap_first;
static atomic_int tap_checks_n, tap_failed_n; /* of the test that is running */

/* Defines a test and registers it before main() runs: the one constructor that the tree allows itself. */
#define TEST(id)                                                     \
    static void id(void);                                            \
    __attribute__((constructor)) static void tap_register_##id(void) \
    {                                                                \
        static struct tap_test test = {#id, id, NULL};               \
        *tap_end = &test;                                            \
        tap_end = &test.next;                                        \
    }                                                                \
    static void id(void)

#define CHECK(cond) tap_true(__FILE__, __LINE__, #cond, (cond))
#define CHECK_INT(got, want) tap_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_STR(got, want) tap_str(__FILE__, __LINE__, #got, (got), (want))
/* Compares two byte ranges, each given as address and length. */
#define CHECK_MEM(got, got_n, want, want_n) \
    tap_mem(__FILE__, __LINE__, #got, (got), (got_n), (want), (want_n))

static inline bool tap_true(const char *file, int line, const char *what, bool held)
{
    atomic_fetch_add(&tap_checks_n, 1);
    if (!held) {
        atomic_fetch_add(&tap_failed_n, 1);
        fprintf(stderr, "# %s:%d: does not hold: %s\n", file, line, what);
    }
    return held;
}

static inline bool tap_int(const char *file, int line, const char *what, long long got, long long want)
{
    bool held = tap_true(file, line, what, got == want);
    if (!held)
        fprintf(stderr, "#   got %lld, want %lld\n", got, want);
    return held;
}

/* Prints bytes on one line, so that a line feed inside them cannot look like a TAP line. */
static inline void tap_print_bytes(const char *label, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    fprintf(stderr, "#   %s (%zu) ", label, n);
    if (!p)
        fprintf(stderr, "NULL");
    for (size_t i = 0; p && i < n && i < 400; i++)
        fprintf(stderr, p[i] >= 32 && p[i] < 127 && p[i] != '\\' ? "%c" : "\\x%02x", p[i]);
    fprintf(stderr, "%s\n", n > 400 ? " ..." : "");
}

static inline bool tap_mem(const char *file, int line, const char *what, const void *got, size_t got_n,
                           const void *want, size_t want_n)
{
    bool same = got_n == want_n && (got_n == 0 || (got && want && memcmp(got, want, got_n) == 0));
    bool held = tap_true(file, line, what, same);
    if (!held) {
        tap_print_bytes("got ", got, got_n);
        tap_print_bytes("want", want, want_n);
    }
    return held;
}

static inline bool tap_str(const char *file, int line, const char *what, const char *got, const char *want)
{
    if (!got && !want)
        return tap_true(file, line, what, true);
    bool both = got && want;
    return tap_mem(file, line, what, got, got ? strlen(got) : 0, want, want ? strlen(want) : 0) &&
           (both || tap_true(file, line, what, false));
}

static inline size_t tap_guard_size(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (n + page - 1) / page * page + page;
}

/*
 * Returns a writable copy of n bytes that ends right before an unmapped page, so that reading one byte too
 * far ends the program. The caller hands it back to tap_guard_free with the same n. After picohttpparser.
 */
static inline char *tap_guard(const void *bytes, size_t n)
{
    size_t size = tap_guard_size(n), page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + size - page, page, PROT_NONE) != 0) {
        printf("Bail out! no guard page\n");
        exit(1);
    }
    char *copy = map + size - page - n;
    if (n > 0)
        memcpy(copy, bytes, n);
    return copy;
}

static inline void tap_guard_free(char *copy, size_t n)
{
    size_t size = tap_guard_size(n), page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(copy + n + page - size, size);
}

static inline bool tap_chosen(const struct tap_test *t, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], t->name) == 0)
            return true;
    }
    return argc < 2;
}

int main(int argc, char **argv)
{
    int planned_n = 0, done_n = 0, broken_n = 0;
    bool list = argc == 2 && strcmp(argv[1], "-l") == 0;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what was said before a crash must come out */
    for (struct tap_test *t = tap_first; t; t = t->next) {
        planned_n += tap_chosen(t, argc, argv);
        if (list)
            puts(t->name);
    }
    if (list)
        return 0;
    printf("1..%d\n", planned_n);
    for (struct tap_test *t = tap_first; t; t = t->next) {
        if (!tap_chosen(t, argc, argv))
            continue;
        atomic_store(&tap_checks_n, 0);
        atomic_store(&tap_failed_n, 0);
        t->run();
        if (atomic_load(&tap_checks_n) == 0)
            fprintf(stderr, "# %s: checked nothing\n", t->name);
        bool held = atomic_load(&tap_checks_n) > 0 && atomic_load(&tap_failed_n) == 0;
        broken_n += !held;
        printf("%sok %d - %s\n", held ? "" : "not ", ++done_n, t->name);
    }
    return broken_n > 0 || planned_n == 0;
}

#endif
