/* SPDX-License-Identifier: MIT */
/* Reads a configuration file from disk or standard input. */
#include "config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "config/notes.h"
#include "config/yaml.h"

#define PIECE_BYTES 65536

/* Reads to the end, or one byte past what is allowed. Returns 0 or errno. */
static int read_all(int fd, struct buf *out)
{
    while (out->n <= YAML_BYTES_MAX) {
        ssize_t got;

        if (buf_reserve(out, PIECE_BYTES) != ERR_OK)
            return EFBIG;
        got = read(fd, out->p + out->n, PIECE_BYTES);
        if (got == 0)
            return 0;
        if (got > 0)
            out->n += (size_t)got;
        else if (errno != EINTR)
            return errno;
    }
    return EFBIG;
}

static void complain(const char *name, int error, struct config_report *report)
{
    struct arena arena;
    struct notes notes;

    arena_init(&arena, NULL, 0, 4096);
    notes_init(&notes, &arena);
    if (error == EFBIG)
        notes_error(&notes, (struct place){0, 0}, "larger than %zu MiB", YAML_BYTES_MAX >> 20);
    else
        notes_error(&notes, (struct place){0, 0}, "cannot be read: %s", strerror(error));
    notes_report(&notes, name, report);
    arena_fini(&arena);
}

enum err config_load(const char *path, const struct config_env *env, struct config **out,
                     struct config_report *report)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "<stdin>" : path;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int error = fd < 0 ? errno : 0;
    enum err err = ERR_CONFIG;
    struct buf text;

    *out = NULL;
    buf_init(&text, YAML_BYTES_MAX + 2 * PIECE_BYTES, NULL);
    if (!error)
        error = read_all(fd, &text);
    if (error)
        complain(name, error, report);
    else
        err = config_parse(buf_slice(&text), name, env, out, report);
    if (text.n > 0)
        explicit_bzero(text.p, text.n); /* secrets may stand in it */
    buf_fini(&text);
    if (fd > STDIN_FILENO)
        close(fd);
    return err;
}
