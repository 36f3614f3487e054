/* SPDX-License-Identifier: MIT */
/* Collects errors and warnings of a reading and prints them in the order of the file. */
#include "config/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 200 /* of the file's name: more of its tail would leave too little of the report */
#define REST_BYTES 80      /* kept free for the line that counts what did not fit */

void notes_init(struct notes *n, struct arena *arena)
{
    *n = (struct notes){.arena = arena};
}

bool notes_is_full(const struct notes *n)
{
    return n->kept_n >= NOTES_MAX;
}

static bool is_before(struct place a, struct place b)
{
    return a.line != b.line ? a.line < b.line : a.col < b.col;
}

__attribute__((format(printf, 4, 0))) static void add(struct notes *n, struct place at, bool warning,
                                                      const char *fmt, va_list args)
{
    char text[NOTES_TEXT_MAX];
    struct note *note, **place = &n->first;

    if (warning)
        n->warnings_n++;
    else
        n->errors_n++;
    if (notes_is_full(n))
        return;
    vsnprintf(text, sizeof(text), fmt, args);
    while (*place && !is_before(at, (*place)->at))
        place = &(*place)->next;
    note = ARENA_NEW(n->arena, struct note);
    *note = (struct note){at, warning, arena_strdup(n->arena, text), *place};
    *place = note;
    n->kept_n++;
}

void notes_error(struct notes *n, struct place at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(n, at, false, fmt, args);
    va_end(args);
}

void notes_warning(struct notes *n, struct place at, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    add(n, at, true, fmt, args);
    va_end(args);
}

static int print(char *out, size_t room, const char *name, const struct note *note)
{
    const char *kind = note->warning ? "warning" : "error";

    if (note->at.line == 0)
        return snprintf(out, room, "%s: %s: %s\n", name, kind, note->text);
    return snprintf(out, room, "%s:%d:%d: %s: %s\n", name, note->at.line, note->at.col, kind, note->text);
}

void notes_report(const struct notes *n, const char *name, struct config_report *out)
{
    size_t at = 0, name_n = strlen(name);
    int shown_n = 0, all_n = n->errors_n + n->warnings_n;

    *out = (struct config_report){.errors_n = n->errors_n, .warnings_n = n->warnings_n};
    if (name_n > NAME_MAX_BYTES)
        name += name_n - NAME_MAX_BYTES;
    for (const struct note *note = n->first; note; note = note->next) {
        size_t room = sizeof(out->text) - at - (NAME_MAX_BYTES + REST_BYTES);
        int len = print(out->text + at, room, name, note);

        if (len < 0 || (size_t)len >= room)
            break;
        at += (size_t)len;
        shown_n++;
    }
    out->text[at] = 0;
    if (shown_n < all_n)
        snprintf(out->text + at, sizeof(out->text) - at, "%s: and %d more\n", name, all_n - shown_n);
}
