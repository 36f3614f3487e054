/* SPDX-License-Identifier: MIT */
/* Reading the configuration again while everything goes on.
 *
 * The file and the secrets that it names are read, checked and built into an edition on the control thread;
 * only when all of that has succeeded anything changes. A file that is refused changes nothing. What cannot
 * change while the program runs (listeners, number of workers, access log) is told by name, and everything
 * else of the new file holds.
 *
 * Threads: everything on the control thread. */
#ifndef GATEWAY_RELOAD_H
#define GATEWAY_RELOAD_H

#include "config/config.h"
#include "gateway/app.h"

#define RELOAD_FIXED_N 6 /* what only a restart changes */

struct reload_opts {
    const char *file;    /* what is read again, or NULL: nothing can be */
    const char *why_not; /* then: why, one sentence for people */
    const struct config_env *env;
    /* For whoever supervises the program; may be NULL. */
    void (*on_begin)(void *ud);
    void (*on_end)(void *ud);
    void *ud;
};

struct reload_result {
    enum err err; /* ERR_OK: it is in force. CONFIG_REFUSED, RELOAD_IMPOSSIBLE, DRAINING, EXHAUSTED */
    struct config_report report;         /* findings, or the warnings that came with success */
    const char *restart[RELOAD_FIXED_N]; /* what the file changes that needs a restart */
    size_t restart_n;
};

struct reload;

/* Remembers what the program started with. */
struct reload *reload_new(struct app *a, const struct reload_opts *o);
void reload_free(struct reload **r);
/* Reads the file again and says in log and metrics what came of it. `asked_by` is for the log: "SIGHUP". */
void reload_run(struct reload *r, const char *asked_by, struct reload_result *out);
/* The same with a configuration that has been read already (it takes a reference); report is left alone. */
void reload_apply(struct reload *r, struct config *cfg, struct reload_result *out);
/* The result as the JSON object that POST /api/reload answers. */
enum err reload_answer(const struct reload *r, const struct reload_result *result, struct buf *out);

#endif
