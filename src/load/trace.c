/* SPDX-License-Identifier: MIT */
/* Traces: which format a text has, its lines one after the other, and order in what was read. */
#include "load/trace.h"

#include <stdlib.h>

#include "base/mem.h"
#include "load/trace_private.h"

#define FIRST_N 64

void *trace_grow(void *array, size_t n, size_t element_bytes)
{
    if (n == 0)
        return mem_alloc(FIRST_N * element_bytes);
    if (n < FIRST_N || (n & (n - 1)) != 0)
        return array;
    return mem_realloc(array, 2 * n * element_bytes);
}

const char *trace_format_name(enum trace_format f)
{
    static const char *const NAMES[] = {"azure", "mooncake", "servegen"};

    return NAMES[f];
}

static struct slice without_bom(struct slice text)
{
    return slice_starts(text, SLICE("\xef\xbb\xbf")) ? slice_from(text, 3) : text;
}

static trace_line_cb reader_for(struct trace *t, struct slice first)
{
    if (trace_azure_is(first)) {
        t->format = TRACE_AZURE;
        return trace_azure_line;
    }
    if (first.p[0] == '{') {
        t->format = TRACE_MOONCAKE;
        return trace_mooncake_line;
    }
    t->format = TRACE_SERVEGEN;
    return trace_servegen_line;
}

static const char *read_lines(struct trace *t, struct slice text, size_t *line_n)
{
    trace_line_cb read = NULL;
    struct slice rest = text;

    while (rest.p != NULL && rest.n > 0) {
        struct slice line = slice_trim(slice_cut(rest, '\n', &rest));
        const char *bad;

        ++*line_n;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (read == NULL) {
            read = reader_for(t, line);
            if (t->format == TRACE_AZURE)
                continue;
        }
        bad = read(t, line);
        if (bad != NULL)
            return bad;
    }
    return t->rows_n + t->windows_n == 0 ? "The trace holds no request." : NULL;
}

/* Equal times keep the order of the text: it is the order of blocks_at only in some formats, so the addresses
 * decide. */
static int earlier(const void *a, const void *b)
{
    const struct trace_row *x = *(const struct trace_row *const *)a, *y = *(const struct trace_row *const *)b;

    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool is_sorted(const struct trace *t)
{
    for (size_t i = 1; i < t->rows_n; i++) {
        if (t->rows[i].at_us < t->rows[i - 1].at_us)
            return false;
    }
    return true;
}

static void sort(struct trace *t)
{
    const struct trace_row **order = mem_alloc(t->rows_n * sizeof(struct trace_row *));
    struct trace_row *rows = mem_alloc(t->rows_n * sizeof *rows);

    for (size_t i = 0; i < t->rows_n; i++)
        order[i] = &t->rows[i];
    qsort(order, t->rows_n, sizeof(struct trace_row *), earlier);
    for (size_t i = 0; i < t->rows_n; i++)
        rows[i] = *order[i];
    mem_free(t->rows);
    mem_free(order);
    t->rows = rows;
}

static void finish(struct trace *t)
{
    int64_t first_us;

    if (t->format == TRACE_SERVEGEN) {
        trace_servegen_finish(t);
        return;
    }
    if (!is_sorted(t))
        sort(t);
    first_us = t->rows[0].at_us;
    for (size_t i = 0; i < t->rows_n; i++)
        t->rows[i].at_us -= first_us;
}

struct trace *trace_read(struct slice text, struct trace_fault *bad)
{
    struct trace *t = MEM_NEW(struct trace);

    bad->line = 0;
    bad->text = read_lines(t, without_bom(text), &bad->line);
    if (bad->text != NULL)
        trace_free(&t);
    else
        finish(t);
    return t;
}

void trace_free(struct trace **tp)
{
    struct trace *t = *tp;

    *tp = NULL;
    if (t == NULL)
        return;
    mem_free(t->rows);
    mem_free(t->blocks);
    mem_free(t->windows);
    mem_free(t);
}
