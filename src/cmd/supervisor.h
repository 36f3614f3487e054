/* SPDX-License-Identifier: MIT */
/* What a service manager hears of us: that we are ready, reload, drain, and that every thread still turns
 * (conventions 5.6). Speaks sd_notify's protocol without its library; without NOTIFY_SOCKET every call does
 * nothing.
 *
 * The watchdog is fed at half its interval, and only if every worker has taken the message that it was sent
 * at the last feeding: a process with one stuck worker is restarted, however well the others do.
 *
 * Threads: the control thread's. */
#ifndef CMD_SUPERVISOR_H
#define CMD_SUPERVISOR_H

#include "io/loop.h"

struct supervisor;

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from the environment. Before the
 * threads start. Never NULL. */
struct supervisor *supervisor_new(void);
/* The threads have ended. */
void supervisor_free(struct supervisor **s);

/* READY, and the watchdog from now on. `workers` are the loops that have to turn; they outlive the
 * supervisor. */
void supervisor_ready(struct supervisor *s, struct loop *control, struct loop *const *workers, size_t n,
                      const char *status);
void supervisor_reloading(struct supervisor *s);
void supervisor_reloaded(struct supervisor *s, const char *status);
/* STOPPING, and that it may take so long. */
void supervisor_stopping(struct supervisor *s, int64_t patience_us, const char *status);

#endif
