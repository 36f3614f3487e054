/* SPDX-License-Identifier: MIT */
/* Writing the program's own messages.
 *
 * Invariants: a line is at most PIPE_BUF bytes, so that one write is whole among other threads and processes;
 * a message that is too long is cut between characters and ends in "...", the line stays valid JSON. Bytes
 * that are not printable never reach the terminal, whatever a peer put into the message. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#define LINE_MAX_BYTES 4096 /* PIPE_BUF of Linux */
#define MESSAGE_MAX_BYTES 3072
#define TAIL_BYTES 8 /* dots, quote, brace and line feed */

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t n;
};

static const char *const lower_names[] = {"debug", "info", "warn", "error"};
static const char *const upper_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

void log_init(struct log *l, int fd, enum log_level level, bool text)
{
    *l = (struct log){fd, (int)level, text};
}

void log_set_level(struct log *l, enum log_level level)
{
    if (l)
        __atomic_store_n(&l->level, (int)level, __ATOMIC_RELAXED);
}

/* For texts that are known to fit. */
static void put(struct line *line, const char *text)
{
    size_t n = strlen(text);

    memcpy(line->bytes + line->n, text, n);
    line->n += n;
}

/* Adds the message as far as it fits; says in dots that something was cut off. */
static void put_message(struct line *line, struct slice message, bool text, bool cut)
{
    char escaped[UTF8_ESCAPED_MAX];

    while (message.n > 0) {
        size_t took, n = utf8_escape(message, escaped, &took);
        if (text && (message.p[0] == '"' || message.p[0] == '\\')) {
            escaped[0] = message.p[0]; /* only JSON needs these two escaped */
            n = 1;
        }
        if (line->n + n + TAIL_BYTES > LINE_MAX_BYTES) {
            cut = true;
            break;
        }
        memcpy(line->bytes + line->n, escaped, n);
        line->n += n;
        message = slice_from(message, took);
    }
    if (cut)
        put(line, "...");
}

/* A log that cannot be written is nobody's to report to: what does not go out is dropped. */
static void send_line(int fd, const struct line *line)
{
    for (size_t sent = 0; sent < line->n;) {
        ssize_t n = write(fd, line->bytes + sent, line->n - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (n == 0 || errno != EINTR)
            return;
    }
}

/* Takes off a character that formatting into a bounded buffer has cut in two. */
static struct slice without_partial_tail(struct slice s)
{
    for (size_t back = 1; back <= 3 && back <= s.n; back++) {
        unsigned char c = (unsigned char)s.p[s.n - back];
        if (c >= 0xc0)
            return utf8_len(slice_from(s, s.n - back)) ? s : (struct slice){s.p, s.n - back};
        if (c < 0x80)
            break;
    }
    return s;
}

void log_write(struct log *l, enum log_level level, const char *fmt, ...)
{
    char message[MESSAGE_MAX_BYTES], ts[32];
    struct line line;
    va_list args;

    if (!l || (int)level < __atomic_load_n(&l->level, __ATOMIC_RELAXED))
        return;
    int saved_errno = errno;
    va_start(args, fmt);
    int len = vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    bool cut = len >= (int)sizeof(message);
    struct slice s = {message, len < 0 ? 0 : cut ? sizeof(message) - 1 : (size_t)len};
    if (cut)
        s = without_partial_tail(s);
    clock_format(clock_wall_us(), ts);
    line.n = 0;
    put(&line, l->text ? "" : "{\"ts\":\"");
    put(&line, ts);
    put(&line, l->text ? " " : "\",\"level\":\"");
    put(&line, l->text ? upper_names[level] : lower_names[level]);
    put(&line, l->text ? " " : "\",\"msg\":\"");
    put_message(&line, s, l->text, cut);
    put(&line, l->text ? "\n" : "\"}\n");
    send_line(l->fd, &line);
    errno = saved_errno;
}

bool log_level_parse(struct slice s, enum log_level *out)
{
    for (size_t i = 0; i < sizeof(lower_names) / sizeof(lower_names[0]); i++) {
        if (slice_eq(s, slice_of(lower_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}
