/* SPDX-License-Identifier: MIT */
/* Assertions for bugs. They stay on in release builds: one that goes on after a broken invariant lies. */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#include <stddef.h>

/* Prints file, line and the expression to stderr and aborts. Never returns. */
_Noreturn void assert_fail(const char *file, int line, const char *expr);

#define ASSERT(x) ((x) ? (void)0 : assert_fail(__FILE__, __LINE__, #x))

/* The struct that holds `member` at address `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
