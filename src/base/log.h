/* SPDX-License-Identifier: MIT */
/* The program's own messages: one JSON object a line to stderr (text when stderr is a terminal).
 * Never a prompt, an answer or a credential. Thread: any (one write a line). */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/slice.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
    int fd;
    int level; /* enum log_level; atomic */
    bool text; /* human-readable instead of JSON */
};

void log_init(struct log *l, int fd, enum log_level level, bool text);
/* `fmt` is one short sentence. A NULL log drops the message. How often is the caller's business. */
void log_write(struct log *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Thread: any; holds for what is written from then on. */
void log_set_level(struct log *l, enum log_level level);
bool log_level_parse(struct slice s, enum log_level *out);

#define LOG_ERR(l, ...) log_write((l), LOG_ERROR, __VA_ARGS__)
#define LOG_WRN(l, ...) log_write((l), LOG_WARN, __VA_ARGS__)
#define LOG_INF(l, ...) log_write((l), LOG_INFO, __VA_ARGS__)
#define LOG_DBG(l, ...) log_write((l), LOG_DEBUG, __VA_ARGS__)

#endif
