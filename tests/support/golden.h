/* SPDX-License-Identifier: MIT */
/* Golden files: Markdown in which every case is a heading, a block of input and a block with the expected
 * log.
 *
 *     ## The case's name
 *
 *     Why it is so, in any words.
 *
 *     ```in
 *     GET / HTTP/1.1\r\n
 *     Host: a\r\n\r\n
 *     ```
 *
 *     ```log
 *     what the code is expected to say, line by line
 *     ```
 *
 * In the input a line break of the file stands for nothing; bytes are written as they are or as \r \n \t
 * \\ \0 \xNN. After llhttp's tests. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include <stddef.h>

#include "base/slice.h"

struct golden_case {
    char *name;
    char *in; /* NUL behind in_n bytes */
    size_t in_n;
    char *log;
};

struct golden {
    struct golden_case *cases;
    size_t n;
};

/* Reads tests/golden/<path>. A file that is missing or not in form ends the program with a message. */
void golden_load(struct golden *g, const char *path);
void golden_free(struct golden *g);

#endif
