/* SPDX-License-Identifier: MIT */
/* Reloading: read, check, build, put in force, say so. */
#include "gateway/reload.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/certs.h"
#include "gateway/control.h"
#include "gateway/edition.h"
#include "gateway/trust.h"

struct reload {
    struct app *app;
    struct reload_opts opts;
    struct arena arena;
    const char *started[RELOAD_FIXED_N]; /* with, in the words of FIXED */
};

/* -- what only a restart changes ------------------------------------------------------------------------- */

static const char *text_or_none(struct arena *a, const char *text)
{
    return text != NULL ? arena_dup(a, slice_of(text)).p : "";
}

/* Certificates may change, whether there are any may not. */
static const char *listener_text(struct arena *a, const struct config_listener *l)
{
    if (l == NULL)
        return "";
    return arena_printf(a, "%s %d %d %o", l->at, l->tls != NULL, l->proxy_protocol, (unsigned)l->mode).p;
}

static const char *listen_text(struct arena *a, const struct config *cfg)
{
    const char *all = "";

    for (size_t i = 0; i < cfg->listen_n; i++)
        all = arena_printf(a, "%s%s, ", all, listener_text(a, &cfg->listen[i])).p;
    return all;
}

static const char *admin_text(struct arena *a, const struct config *cfg)
{
    return listener_text(a, cfg->admin);
}

static const char *metrics_text(struct arena *a, const struct config *cfg)
{
    return listener_text(a, cfg->metrics);
}

static const char *workers_text(struct arena *a, const struct config *cfg)
{
    return arena_printf(a, "%d", cfg->workers).p;
}

static const char *access_log_text(struct arena *a, const struct config *cfg)
{
    return text_or_none(a, cfg->access_log);
}

static const char *core_dumps_text(struct arena *a, const struct config *cfg)
{
    (void)a;
    return cfg->core_dumps ? "true" : "false";
}

static const struct {
    const char *name;
    const char *(*text)(struct arena *a, const struct config *cfg);
} FIXED[RELOAD_FIXED_N] = {
    {"listen", listen_text},   {"admin", admin_text},           {"metrics", metrics_text},
    {"workers", workers_text}, {"access_log", access_log_text}, {"core_dumps", core_dumps_text},
};

static void compare(const struct reload *r, const struct config *cfg, struct reload_result *out)
{
    struct arena a;

    arena_init(&a, NULL, 0, 4096);
    for (size_t i = 0; i < RELOAD_FIXED_N; i++) {
        if (strcmp(r->started[i], FIXED[i].text(&a, cfg)) != 0)
            out->restart[out->restart_n++] = FIXED[i].name;
    }
    arena_fini(&a);
}

/* -- life ------------------------------------------------------------------------------------------------ */

struct reload *reload_new(struct app *a, const struct reload_opts *o)
{
    struct reload *r = MEM_NEW(struct reload);

    r->app = a;
    r->opts = *o;
    arena_init(&r->arena, NULL, 0, 4096);
    for (size_t i = 0; i < RELOAD_FIXED_N; i++)
        r->started[i] = FIXED[i].text(&r->arena, a->edition->cfg);
    return r;
}

void reload_free(struct reload **rp)
{
    struct reload *r = *rp;

    *rp = NULL;
    if (r == NULL)
        return;
    arena_fini(&r->arena);
    mem_free(r);
}

/* -- reloading ------------------------------------------------------------------------------------------- */

/* What was found when an edition could not be built, as the configuration's own reader would have said it. */
struct findings {
    const struct config *cfg;
    struct config_report *report;
    size_t n;
};

static void add_finding(struct findings *f, const char *place, const char *text, bool fault)
{
    char *end = f->report->text + f->n;
    size_t room = sizeof f->report->text - f->n;
    int n = snprintf(end, room, "%s%s: %s: %s\n", f->cfg->file, place, fault ? "error" : "warning", text);

    if (n > 0 && (size_t)n < room) {
        f->n += (size_t)n;
        f->report->errors_n += fault;
        f->report->warnings_n += !fault;
    } else {
        *end = '\0'; /* whole lines only */
    }
}

static void on_cert(void *ud, const struct config_file *at, const char *text, bool fault)
{
    char place[32], all[512];

    snprintf(place, sizeof place, ":%d:%d", at->line, at->col);
    snprintf(all, sizeof all, "%s: %s", at->path, text);
    add_finding(ud, place, all, fault);
}

/* The files of TLS are all that can fail after a file has been read; whose they are is found by trying again.
 */
static void find_faults(const struct config *cfg, const char *why, struct config_report *report)
{
    struct findings f = {.cfg = cfg, .report = report};
    char text[512];
    int endpoint;

    certs_check(cfg, clock_wall_us() / CLOCK_SECOND_US, on_cert, &f);
    endpoint = trust_check(cfg, &why);
    if (endpoint >= 0) {
        snprintf(text, sizeof text, "endpoint %s: %s", cfg->endpoints[endpoint].name, why);
        add_finding(&f, "", text, true);
    } else if (f.n == 0) {
        add_finding(&f, "", why, true);
    }
}

/* Behind what the reader of the file had to say. */
static void find_expired(const struct config *cfg, struct config_report *report)
{
    struct findings f = {.cfg = cfg, .report = report, .n = strlen(report->text)};

    certs_check(cfg, clock_wall_us() / CLOCK_SECOND_US, on_cert, &f);
}

static bool ran_short(uint64_t short_n)
{
    return mem_short_n() != short_n;
}

static void put_in_force(struct reload *r, struct config *cfg, struct reload_result *out)
{
    const char *why = "";
    uint64_t short_n = mem_short_n();
    struct edition *e = edition_new(cfg, r->app->edition, &why);

    if (e == NULL) {
        out->err = ran_short(short_n) ? ERR_EXHAUSTED : ERR_CONFIG_REFUSED;
        find_faults(cfg, why, &out->report);
        return;
    }
    compare(r, cfg, out);
    find_expired(cfg, &out->report);
    app_put_in_force(r->app, &e);
}

void reload_apply(struct reload *r, struct config *cfg, struct reload_result *out)
{
    struct metrics *m;
    bool done;

    out->err = app_is_draining(r->app) ? ERR_DRAINING : ERR_OK;
    out->restart_n = 0;
    if (out->err == ERR_OK)
        put_in_force(r, cfg, out);
    done = out->err == ERR_OK;
    if (done && r->app->control != NULL)
        control_follow(r->app->control);
    m = r->app->control_metrics; /* of the edition in force now */
    metrics_add(m, METRIC_RELOADS, done ? STATS_RELOAD_DONE : STATS_RELOAD_REFUSED, 1);
    metrics_set(m, METRIC_RELOAD_OK, 0, done);
    if (done)
        metrics_set(m, METRIC_RELOAD_TIME, 0, clock_wall_us() / CLOCK_SECOND_US);
}

static void refuse(struct reload *r, struct reload_result *out, enum err e)
{
    out->err = e;
    metrics_add(r->app->control_metrics, METRIC_RELOADS, STATS_RELOAD_REFUSED, 1);
    metrics_set(r->app->control_metrics, METRIC_RELOAD_OK, 0, 0);
}

static void log_lines(struct log *log, enum log_level level, const char *text)
{
    struct slice rest = slice_of(text), line;

    while (rest.n > 0) {
        line = slice_cut(rest, '\n', &rest);
        log_write(log, level, "%.*s", SLICE_ARG(line));
    }
}

static void tell(const struct reload *r, const char *asked_by, const struct reload_result *out)
{
    struct log *log = r->app->log;

    if (out->err != ERR_OK) {
        log_lines(log, LOG_ERROR, out->report.text);
        LOG_ERR(log, "reload (%s): %s The configuration in force stays.", asked_by,
                r->opts.file == NULL ? r->opts.why_not : err_row(out->err)->text);
        return;
    }
    log_lines(log, LOG_WARN, out->report.text);
    for (size_t i = 0; i < out->restart_n; i++)
        LOG_WRN(log, "reload: `%s` has changed, which takes a restart; the rest of the file is in force",
                out->restart[i]);
    LOG_INF(log, "reload (%s): %s is in force, as edition %llu", asked_by, r->opts.file,
            (unsigned long long)r->app->edition->number);
}

void reload_run(struct reload *r, const char *asked_by, struct reload_result *out)
{
    struct config *cfg = NULL;
    uint64_t short_n = mem_short_n();

    *out = (struct reload_result){.report = {.text = ""}};
    if (r->opts.on_begin != NULL)
        r->opts.on_begin(r->opts.ud);
    if (r->opts.file == NULL)
        refuse(r, out, ERR_RELOAD_IMPOSSIBLE);
    else if (config_load(r->opts.file, r->opts.env, &cfg, &out->report) != ERR_OK)
        refuse(r, out, ran_short(short_n) ? ERR_EXHAUSTED : ERR_CONFIG_REFUSED);
    else if (ran_short(short_n))
        refuse(r, out, ERR_EXHAUSTED);
    else
        reload_apply(r, cfg, out);
    config_unref(&cfg);
    tell(r, asked_by, out);
    if (r->opts.on_end != NULL)
        r->opts.on_end(r->opts.ud);
}

/* -- the answer ------------------------------------------------------------------------------------------ */

/* One JSON string for each line of the report that speaks of `kind`. */
static enum err add_findings(struct buf *out, const char *name, const char *text, const char *kind)
{
    struct slice rest = slice_of(text), line;
    const char *comma = "";
    enum err e = buf_printf(out, ",\"%s\":[", name);

    while (rest.n > 0 && e == ERR_OK) {
        line = slice_cut(rest, '\n', &rest);
        if (slice_find(line, slice_of(kind)) < 0)
            continue;
        e = buf_printf(out, "%s", comma);
        if (e == ERR_OK)
            e = buf_add_json_string(out, line);
        comma = ",";
    }
    return e == ERR_OK ? buf_add(out, SLICE("]")) : e;
}

static enum err add_restart(struct buf *out, const struct reload_result *result)
{
    enum err e = buf_add(out, SLICE(",\"restart_needed\":["));

    for (size_t i = 0; i < result->restart_n && e == ERR_OK; i++)
        e = buf_printf(out, "%s\"%s\"", i > 0 ? "," : "", result->restart[i]);
    return e == ERR_OK ? buf_add(out, SLICE("]")) : e;
}

static enum err add_error(struct buf *out, const struct reload *r, enum err err)
{
    const struct err_row *row = err_row(err);
    const char *text = err == ERR_RELOAD_IMPOSSIBLE && r->opts.why_not != NULL ? r->opts.why_not : row->text;
    enum err e = buf_printf(
        out, ",\"error\":{\"code\":\"%s\",\"type\":\"%s\",\"param\":null,\"message\":", row->code, row->type);
    char message[512];

    snprintf(message, sizeof message, "%s %s", text, row->advice);
    if (e == ERR_OK)
        e = buf_add_json_string(out, slice_of(message));
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

enum err reload_answer(const struct reload *r, const struct reload_result *result, struct buf *out)
{
    bool done = result->err == ERR_OK;
    enum err e = buf_printf(out, "{\"ok\":%s,\"file\":", done ? "true" : "false");

    if (e == ERR_OK)
        e = r->opts.file != NULL ? buf_add_json_string(out, slice_of(r->opts.file))
                                 : buf_add(out, SLICE("null"));
    if (e == ERR_OK)
        e = buf_printf(out, ",\"edition\":%llu", (unsigned long long)r->app->edition->number);
    if (e == ERR_OK && !done)
        e = add_error(out, r, result->err);
    if (e == ERR_OK && !done)
        e = add_findings(out, "findings", result->report.text, ": error: ");
    if (e == ERR_OK)
        e = add_findings(out, "warnings", result->report.text, ": warning: ");
    if (e == ERR_OK)
        e = add_restart(out, result);
    return e == ERR_OK ? buf_add(out, SLICE("}\n")) : e;
}
