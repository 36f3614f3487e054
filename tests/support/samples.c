/* SPDX-License-Identifier: MIT */
/* Reading samples. */
#include "support/samples.h"

#include <stdio.h>

#include "base/mem.h"

#define SAMPLE_MAX_BYTES (1 << 20)

struct trace *samples_trace(const char *name, struct trace_fault *bad)
{
    char path[256], *text = mem_alloc(SAMPLE_MAX_BYTES);
    struct trace *t = NULL;
    size_t n;
    FILE *f;

    snprintf(path, sizeof path, "tests/data/%s", name);
    f = fopen(path, "re");
    *bad = (struct trace_fault){0, "it cannot be opened"};
    if (f != NULL) {
        n = fread(text, 1, SAMPLE_MAX_BYTES, f);
        fclose(f);
        t = trace_read((struct slice){text, n}, bad);
    }
    mem_free(text);
    return t;
}
