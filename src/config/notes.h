/* SPDX-License-Identifier: MIT */
/* What a reading of a configuration has to say: errors and warnings with their places, told all at once.
 *
 * Why: a person who repairs a file wants to see every mistake of it in one go, in the order of the file,
 * although the checks that find them run in another order. */
#ifndef CONFIG_NOTES_H
#define CONFIG_NOTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "config/config.h"

#define NOTES_MAX 1000     /* further notes are counted, not kept */
#define NOTES_TEXT_MAX 400 /* bytes of one message */

/* A place in the file, both from 1; line 0 means the file as a whole. */
struct place {
    int line, col;
};

struct note {
    struct place at;
    bool warning;
    const char *text;
    struct note *next;
};

struct notes {
    struct arena *arena; /* borrowed: texts live in it */
    struct note *first;  /* in the order of the file; of one place in that of arrival */
    int kept_n, errors_n, warnings_n;
};

void notes_init(struct notes *n, struct arena *arena);
/* `fmt` says what is wrong and what would be right. The caller keeps secrets out of it. */
void notes_error(struct notes *n, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void notes_warning(struct notes *n, struct place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Further notes would not be kept: the caller may spare itself the search for good words. */
bool notes_is_full(const struct notes *n);
/* Writes "NAME:LINE:COL: error: ..." lines in the order of the file. */
void notes_report(const struct notes *n, const char *name, struct config_report *out);

#endif
