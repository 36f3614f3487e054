/* SPDX-License-Identifier: MIT */
/* Which cache lines are noted. That they are fetched shows in bench/ alone. */
#include "base/warm.h"

#include "tap.h"

#define LINES 80

static _Alignas(WARM_LINE) char memory[WARM_OBJECTS + 1][LINES * WARM_LINE];

static uint64_t lines_of(size_t offset, size_t from, size_t n)
{
    struct warm w = {0};

    warm_add(&w, memory[0] + offset, from, n);
    CHECK_INT(w.n, 1);
    CHECK(w.object[0].at == (uintptr_t)memory[0]);
    return w.object[0].lines;
}

TEST(a_line_is_noted_when_a_byte_of_it_is_meant)
{
    CHECK(lines_of(0, 0, 1) == 1);
    CHECK(lines_of(0, 0, 64) == 1);
    CHECK(lines_of(0, 0, 65) == 3);
    CHECK(lines_of(0, 63, 2) == 3);
    CHECK(lines_of(0, 64, 64) == 2);
    CHECK(lines_of(0, 320, 100) == 0x60);
}

TEST(objects_need_not_begin_with_a_line)
{
    CHECK(lines_of(16, 0, 48) == 1);
    CHECK(lines_of(16, 0, 49) == 3);
    CHECK(lines_of(48, 16, 1) == 2);
    CHECK(lines_of(48, 64, 64) == 6);
}

TEST(what_lies_too_far_behind_is_left_out)
{
    CHECK(lines_of(0, 0, LINES * WARM_LINE) == UINT64_MAX);
    CHECK(lines_of(0, 63 * WARM_LINE, 2 * WARM_LINE) == UINT64_C(1) << 63);
    CHECK(lines_of(0, 64 * WARM_LINE, WARM_LINE) == 0);
    CHECK(lines_of(0, 0, 0) == 0);
}

TEST(an_object_takes_one_place_however_often_it_is_named)
{
    struct warm w = {0};

    warm_add(&w, memory[0], 0, 10);
    warm_add(&w, memory[1], 0, 10);
    warm_add(&w, memory[0], 640, 10);
    CHECK_INT(w.n, 2);
    CHECK(w.object[0].lines == (1 | 1 << 10));
    CHECK(w.object[1].lines == 1);
    warm_fetch(&w);
}

TEST(objects_beyond_the_last_place_are_left_out)
{
    struct warm w = {0};

    for (size_t i = 0; i <= WARM_OBJECTS; i++)
        warm_add(&w, memory[i], 0, 10);
    CHECK_INT(w.n, WARM_OBJECTS);
    warm_add(&w, memory[WARM_OBJECTS - 1], 64, 1);
    CHECK(w.object[WARM_OBJECTS - 1].lines == 3);
    warm_fetch(&w);
}
