/* SPDX-License-Identifier: MIT */
/* Reads credentials and refuses those that could not stand in an HTTP header.
 *
 * Invariant: the bytes of a secret never enter a message; what surrounds them (a path, a name) may. */
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/expand.h"
#include "config/value.h"

/* What is wrong with these bytes as a credential, or NULL. */
static const char *check_bytes(struct slice s)
{
    if (s.n == 0)
        return "is empty";
    if (s.n > SECRET_BYTES_MAX)
        return "is longer than 4096 bytes";
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
            return "holds a blank, a line end or another character that no key has";
    }
    return NULL;
}

/* Reads the file into `out` (room for SECRET_BYTES_MAX + 3: a secret, a line end and one byte too many).
 * Returns NULL or why not. A pipe or a terminal could hold the program up for ever, so only plain files are
 * read. */
static const char *read_file(const char *path, char *out, size_t room, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why = NULL;
    struct stat st;

    *n = 0;
    if (fd < 0)
        return strerror(errno);
    if (fstat(fd, &st) != 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "not a plain file";
    while (!why && *n < room) {
        ssize_t got = read(fd, out + *n, room - *n);

        if (got == 0)
            break;
        if (got > 0)
            *n += (size_t)got;
        else if (errno != EINTR)
            why = strerror(errno);
    }
    close(fd);
    return why;
}

static bool from_file(struct draft *d, const struct node *n, struct secret *out)
{
    const struct node *file = node_find(n, "file");
    char bytes[SECRET_BYTES_MAX + 3], shown[NODE_SHOW_BYTES];
    struct slice path, s;
    const char *why;
    size_t len;

    if (n->n != 1 || !file) {
        notes_error(d->notes, n->at, "%.*s must be a text or {file: PATH}", SLICE_ARG(n->label));
        return false;
    }
    if (!value_text(d->notes, file, 4095, &path))
        return false;
    path = arena_dup(d->arena, path);
    why = read_file(path.p, bytes, sizeof(bytes), &len);
    if (why) {
        notes_error(d->notes, file->at, "the key in %s cannot be read: %s", node_show(file, shown), why);
        return false;
    }
    s = (struct slice){bytes, len};
    while (s.n > 0 && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    why = check_bytes(s);
    if (why)
        notes_error(d->notes, file->at, "the key in %s %s", node_show(file, shown), why);
    else
        *out = (struct secret){arena_dup(d->arena, s),
                               arena_printf(d->arena, "file %s", node_show(file, shown)).p, false};
    explicit_bzero(bytes, sizeof(bytes));
    return !why;
}

bool secret_read(struct draft *d, const struct node *n, struct secret *out)
{
    struct slice name;
    const char *why;

    if (n->bad)
        return false;
    if (n->kind == NODE_MAP)
        return from_file(d, n, out);
    if (!value_is(d->notes, n, NODE_TEXT, "or {file: PATH}"))
        return false;
    why = check_bytes(n->text);
    name = expand_sole_name(n->raw);
    if (why && name.n > 0)
        notes_error(d->notes, n->at, "%.*s: %.*s in the environment %s", SLICE_ARG(n->label), SLICE_ARG(name),
                    why);
    else if (why)
        notes_error(d->notes, n->at, "%.*s %s", SLICE_ARG(n->label), why);
    if (why)
        return false;
    *out = (struct secret){.bytes = arena_dup(d->arena, n->text), .is_literal = !n->env};
    if (name.n > 0)
        out->from = arena_printf(d->arena, "${%.*s}", SLICE_ARG(name)).p;
    else
        out->from = n->env ? "the environment, in part" : "the configuration file";
    return true;
}
