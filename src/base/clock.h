/* SPDX-License-Identifier: MIT */
/* The two clocks, in microseconds. Only io/ and cmd/ read them; everybody else gets the time as a value. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_SECOND_US INT64_C(1000000)
#define CLOCK_MS_US INT64_C(1000)
#define CLOCK_NEVER_US INT64_MAX

int64_t clock_mono_us(void); /* never goes back; origin unspecified */
int64_t clock_wall_us(void); /* since 1970-01-01 UTC */
/* "2026-11-22T08:15:30.123Z"; out has room for 25 bytes. */
void clock_format(int64_t wall_us, char out[32]);
/* a + b without overflow (both >= 0). */
int64_t clock_add(int64_t a_us, int64_t b_us);

#endif
