/* SPDX-License-Identifier: MIT */
/* Reading golden files. */
#include "support/golden.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#define LINE_MAX_BYTES 4096

enum place { BETWEEN, IN_INPUT, IN_LOG };

static _Noreturn void bail(const char *path, int line, const char *why)
{
    printf("Bail out! %s:%d: %s\n", path, line, why);
    exit(1);
}

static void append(char **text, size_t *n, const char *p, size_t more)
{
    *text = mem_realloc(*text, *n + more + 1);
    if (more > 0)
        memcpy(*text + *n, p, more);
    *n += more;
    (*text)[*n] = 0;
}

/* One escape at p (behind the backslash); returns what it took, 0: none that is known. */
static size_t unescape(const char *p, char *out)
{
    static const char LETTERS[] = "rnt\\0", BYTES[] = "\r\n\t\\";
    const char *letter = *p != 0 ? strchr(LETTERS, *p) : NULL;
    unsigned byte;

    if (letter != NULL) {
        *out = BYTES[letter - LETTERS]; /* the NUL at the end of BYTES is \0's */
        return 1;
    }
    if (*p != 'x' || sscanf(p + 1, "%2x", &byte) != 1)
        return 0;
    *out = (char)byte;
    return 3;
}

static void add_input(struct golden_case *c, const char *line, const char *path, int line_no)
{
    while (*line != 0) {
        char byte = *line++;

        if (byte == '\\') {
            size_t used = unescape(line, &byte);

            if (used == 0)
                bail(path, line_no, "unknown escape");
            line += used;
        }
        append(&c->in, &c->in_n, &byte, 1);
    }
}

static struct golden_case *add_case(struct golden *g, const char *name)
{
    struct golden_case *c;

    g->cases = mem_realloc(g->cases, (g->n + 1) * sizeof *g->cases);
    c = &g->cases[g->n++];
    *c = (struct golden_case){.name = mem_strdup(name)};
    return c;
}

void golden_load(struct golden *g, const char *path)
{
    char full[256], line[LINE_MAX_BYTES];
    struct golden_case *c = NULL;
    enum place place = BETWEEN;
    size_t log_n = 0;
    int line_no = 0;

    *g = (struct golden){NULL, 0};
    snprintf(full, sizeof full, "tests/golden/%s", path);
    FILE *f = fopen(full, "r");
    if (f == NULL)
        bail(full, 0, "cannot be read (tests run in the root of the tree)");
    while (fgets(line, sizeof line, f) != NULL) {
        line_no++;
        line[strcspn(line, "\n")] = 0;
        if (place != BETWEEN && strcmp(line, "```") == 0) {
            place = BETWEEN;
        } else if (place == IN_INPUT) {
            add_input(c, line, full, line_no);
        } else if (place == IN_LOG) {
            append(&c->log, &log_n, line, strlen(line));
            append(&c->log, &log_n, "\n", 1);
        } else if (strncmp(line, "## ", 3) == 0) {
            c = add_case(g, line + 3);
            log_n = 0;
        } else if (strcmp(line, "```in") == 0 || strcmp(line, "```log") == 0) {
            if (c == NULL)
                bail(full, line_no, "a block before the first heading");
            place = line[3] == 'i' ? IN_INPUT : IN_LOG;
            append(place == IN_INPUT ? &c->in : &c->log, place == IN_INPUT ? &c->in_n : &log_n, "", 0);
        }
    }
    fclose(f);
    for (size_t i = 0; i < g->n; i++) {
        if (g->cases[i].in == NULL || g->cases[i].log == NULL)
            bail(full, line_no, g->cases[i].name);
    }
    if (g->n == 0)
        bail(full, line_no, "no cases");
}

void golden_free(struct golden *g)
{
    for (size_t i = 0; i < g->n; i++) {
        mem_free(g->cases[i].name);
        mem_free(g->cases[i].in);
        mem_free(g->cases[i].log);
    }
    mem_free(g->cases);
    *g = (struct golden){NULL, 0};
}
