/* SPDX-License-Identifier: MIT */
/* Reading traces. */
#include "cmd/load_traces.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"

#define FILE_MAX_BYTES ((size_t)512 << 20)
#define PIECE_BYTES (256 * 1024)

static bool complain(const char *path, const char *why)
{
    fprintf(stderr, "tidegate load: %s: %s\n", path, why);
    return false;
}

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    enum err e = ERR_OK;
    size_t n = 1;

    if (f == NULL)
        return complain(path, strerror(errno));
    while (e == ERR_OK && n > 0) {
        e = buf_reserve(out, PIECE_BYTES);
        if (e != ERR_OK)
            break;
        n = fread(out->p + out->n, 1, PIECE_BYTES, f);
        out->n += n;
    }
    if (e == ERR_OK && ferror(f)) {
        int saved = errno;

        fclose(f);
        return complain(path, strerror(saved));
    }
    fclose(f);
    return e == ERR_OK || complain(path, "the file is larger than 512 MiB");
}

static bool add_file(struct load_traces *t, const char *path)
{
    struct trace_fault bad;
    struct trace *trace;
    struct buf text;
    bool fine;

    if (t->n == LOAD_TRACE_FILES_MAX)
        return complain(path, "there are more than 4096 files of traces");
    buf_init(&text, FILE_MAX_BYTES, NULL);
    fine = read_file(path, &text);
    trace = fine ? trace_read(buf_slice(&text), &bad) : NULL;
    buf_fini(&text);
    if (trace == NULL) {
        if (fine)
            fprintf(stderr, "tidegate load: %s:%zu: %s\n", path, bad.line, bad.text);
        return false;
    }
    t->traces[t->n++] = trace;
    if (t->n > 1 && (trace->format != TRACE_SERVEGEN || t->traces[0]->format != TRACE_SERVEGEN))
        return complain(path, "only ServeGen's traces, one file for each client, can be taken together");
    return true;
}

static int is_chunk(const struct dirent *d)
{
    struct slice name = slice_of(d->d_name);

    return slice_starts(name, SLICE("chunk-")) && slice_ends(name, SLICE("-trace.csv"));
}

static bool add_folder(struct load_traces *t, const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_chunk, versionsort);
    bool fine = n > 0;

    if (n < 0)
        return complain(path, strerror(errno));
    if (n == 0)
        complain(path, "the folder holds no chunk-*-trace.csv");
    for (int i = 0; i < n; i++) {
        char file[4096];
        int len = snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);

        if (fine && (len < 0 || (size_t)len >= sizeof file))
            fine = complain(path, "the path is too long");
        fine = fine && add_file(t, file);
        mem_free(entries[i]);
    }
    mem_free(entries);
    return fine;
}

bool load_traces_read(struct load_traces *t, const char *const *paths, size_t paths_n)
{
    t->traces = mem_zalloc(LOAD_TRACE_FILES_MAX * sizeof(struct trace *));
    t->n = 0;
    for (size_t i = 0; i < paths_n; i++) {
        struct stat st;
        bool folder = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode);

        if (!(folder ? add_folder(t, paths[i]) : add_file(t, paths[i])))
            return false;
    }
    return true;
}

void load_traces_fini(struct load_traces *t)
{
    for (size_t i = 0; i < t->n; i++) {
        struct trace *trace = (struct trace *)(uintptr_t)t->traces[i];

        trace_free(&trace);
    }
    mem_free((void *)(uintptr_t)t->traces);
}
