/* SPDX-License-Identifier: MIT */
/* tidegate load: makes source and generator from the options, runs one loop, shows progress and result. */
#include "cmd/load.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "cmd/load_options.h"
#include "cmd/load_traces.h"
#include "cmd/process.h"
#include "io/outlet.h"
#include "load/report.h"

#define PENDING_MAX_BYTES ((size_t)64 << 20)
#define DRY_RUN_MAX UINT64_C(100000000)
#define SPARE_FDS 32

struct run {
    struct load_command *command;
    struct loop *loop;
    struct load *load;
    struct report report;
    struct buf schedule;
    int64_t began_us;
    struct timer second;
    int shown; /* where progress is shown, or -1 */
    bool redrawn, drawn;
    FILE *json; /* or NULL */
};

/* -- what is run ----------------------------------------------------------------------------------------- */

static void describe(struct run *r, const struct load_traces *t)
{
    const struct source_opts *o = &r->command->source;
    static const char *const PROCESSES[] = {"constant", "poisson", "gamma"};
    enum err e;

    if (t->n > 0)
        e = buf_printf(&r->schedule, "trace %s (%s%s)", trace_format_name(t->traces[0]->format),
                       r->command->paths[0], t->n > 1 ? " and others" : "");
    else
        e = buf_printf(&r->schedule, "%s, %g/s", PROCESSES[o->process], o->rate);
    if (e == ERR_OK && t->n == 0 && o->process == PROCESS_GAMMA)
        e = buf_printf(&r->schedule, ", CV %g", o->cv);
    if (e == ERR_OK && (o->speed != 1 || o->scale != 1))
        e = buf_printf(&r->schedule, ", speed %g, scale %g", o->speed, o->scale);
    if (e == ERR_OK && o->from_us > 0)
        e = buf_printf(&r->schedule, ", from %g s", (double)o->from_us / (double)CLOCK_SECOND_US);
    if (e == ERR_OK && o->duration_us != CLOCK_NEVER_US)
        e = buf_printf(&r->schedule, ", for %g s", (double)o->duration_us / (double)CLOCK_SECOND_US);
    if (e == ERR_OK && o->limit != UINT64_MAX)
        e = buf_printf(&r->schedule, ", at most %llu", (unsigned long long)o->limit);
    ASSERT(e == ERR_OK);
}

static void make_report(struct run *r)
{
    const struct load_command *c = r->command;

    r->report = (struct report){.target = slice_of(c->url),
                                .model = slice_of(c->model),
                                .schedule = buf_slice(&r->schedule),
                                .seed = c->source.seed};
    for (int p = 0; p < PRIORITY_N; p++) {
        if (c->source.class_share[p] > 0)
            r->report.class_names[p] = config_priority_name((enum priority)p);
    }
}

/* -- progress -------------------------------------------------------------------------------------------- */

static void show(struct run *r)
{
    struct buf line;

    buf_init(&line, REPORT_MAX_BYTES, NULL);
    if (r->redrawn)
        (void)!buf_add(&line, SLICE("\r\033[K"));
    report_progress(r->load, r->loop->now_us - r->began_us, &line);
    if (!r->redrawn)
        (void)!buf_add(&line, SLICE("\n"));
    outlet_write(r->shown, buf_slice(&line), 0);
    r->drawn = true;
    buf_fini(&line);
}

static void on_second(struct timer *t)
{
    struct run *r = CONTAINER_OF(t, struct run, second);

    show(r);
    timer_set(&r->loop->wheel, t, clock_add(r->loop->now_us, CLOCK_SECOND_US));
}

static void begin_progress(struct run *r)
{
    r->shown = r->command->quiet ? -1 : outlet_open(STDERR_FILENO);
    r->redrawn = isatty(STDERR_FILENO) == 1;
    if (r->shown >= 0)
        timer_set(&r->loop->wheel, &r->second, clock_add(r->began_us, CLOCK_SECOND_US));
}

static void end_progress(struct run *r)
{
    timer_stop(&r->loop->wheel, &r->second);
    if (r->shown < 0)
        return;
    if (r->redrawn && r->drawn)
        outlet_write(r->shown, SLICE("\n"), 0);
    close(r->shown);
}

/* -- the result ------------------------------------------------------------------------------------------ */

static bool takes_stdout(const struct load_command *c)
{
    return c->json != NULL && strcmp(c->json, "-") == 0;
}

/* Opened before anything is sent: a long run must not end with a path that cannot be written. */
static bool open_json(struct run *r)
{
    const struct load_command *c = r->command;

    if (c->json == NULL)
        return true;
    r->json = takes_stdout(c) ? stdout : fopen(c->json, "we");
    if (r->json == NULL)
        fprintf(stderr, "tidegate load: %s: %s\n", c->json, strerror(errno));
    return r->json != NULL;
}

static bool close_json(struct run *r)
{
    bool fine = true;

    if (r->json != NULL)
        fine = r->json == stdout ? fflush(stdout) == 0 : fclose(r->json) == 0;
    r->json = NULL;
    if (!fine)
        fprintf(stderr, "tidegate load: %s: %s\n", r->command->json, strerror(errno));
    return fine;
}

/* JSON on standard output has it for itself: then the page goes to standard error. */
static bool publish(struct run *r, const struct buf *page, const struct buf *json)
{
    bool taken = takes_stdout(r->command), fine = true;
    FILE *to = taken ? stderr : stdout;

    if (!taken || !r->command->quiet)
        fine = fwrite(page->p, 1, page->n, to) == page->n && fflush(to) == 0;
    if (r->json != NULL)
        fine = fwrite(json->p, 1, json->n, r->json) == json->n && fine;
    return fine;
}

static bool publish_result(struct run *r)
{
    struct buf page, json;
    bool fine;

    buf_init(&page, REPORT_MAX_BYTES, NULL);
    buf_init(&json, REPORT_MAX_BYTES, NULL);
    report_text(&r->report, &page);
    report_json(&r->report, &json);
    fine = publish(r, &page, &json);
    buf_fini(&page);
    buf_fini(&json);
    return fine;
}

/* Whether the run is a success; says why not. */
static bool judge(const struct run *r)
{
    const struct tally_group *g = &r->report.tally->all;
    double rate = tally_answered_rate(g);

    if (load_pool_why(r->load)[0] != '\0')
        fprintf(stderr, "tidegate load: TLS failed: %s\n", load_pool_why(r->load));
    if (g->intended_n == 0) {
        fprintf(stderr, "tidegate load: the schedule holds no request; --dry-run shows what it holds\n");
        return false;
    }
    if (rate <= 0) {
        fprintf(stderr, "tidegate load: no request was answered\n");
        return false;
    }
    if (rate < r->command->need) {
        fprintf(stderr, "tidegate load: %.4f of the requests were answered; --need asks for %g\n", rate,
                r->command->need);
        return false;
    }
    return true;
}

/* -- running --------------------------------------------------------------------------------------------- */

static void on_done(void *ud)
{
    loop_real_stop(((struct run *)ud)->loop);
}

static void on_signal(void *ud, int sig)
{
    struct run *r = ud;

    (void)sig;
    r->report.interrupted = true;
    load_stop(r->load);
}

/* "Bearer KEY" for each class that has a key. */
static bool read_keys(struct load_command *c, struct load_opts *o)
{
    for (unsigned i = 0; i <= SOURCE_NO_CLASS; i++) {
        const char *name = c->key_env[i] != NULL ? c->key_env[i] : c->key_env[SOURCE_NO_CLASS];
        const char *key = name != NULL ? getenv(name) : NULL;

        if (name != NULL && (key == NULL || key[0] == '\0')) {
            fprintf(stderr, "tidegate load: --key-env: the variable %s is not set\n", name);
            return false;
        }
        if (key != NULL)
            o->authorization[i] = arena_printf(&c->arena, "Bearer %s", key).p;
    }
    return true;
}

static bool make_opts(struct load_command *c, struct load_opts *o)
{
    const char *why = "";

    *o = (struct load_opts){
        .target = {.host = c->origin.host,
                   .port = c->origin.port,
                   .base_path = c->origin.base_path,
                   .authority = c->origin.authority},
        .prompts = {.seed = c->source.seed,
                    .model = slice_of(c->model),
                    .length_field = c->length_field,
                    .more = buf_slice(&c->more),
                    .shared_tokens = c->shared_tokens},
        .headers = c->headers,
        .headers_n = c->headers_n,
        .connections = (size_t)c->connections,
        .connect_us = c->connect_us,
        .first_us = c->first_us,
        .gap_us = c->gap_us,
        .total_us = c->total_us,
        .waiting_max = LOAD_WAITING_MAX,
        .sdk = c->sdk,
        .own_limits = c->own_limits,
        .seed = c->source.seed,
        .on_done = on_done,
    };
    for (int p = 0; p < PRIORITY_N; p++)
        o->class_names[p] = config_priority_name((enum priority)p);
    if (!read_keys(c, o))
        return false;
    if (!c->origin.tls)
        return true;
    o->target.tls = tls_config_client(c->ca_file, &why);
    if (o->target.tls == NULL)
        fprintf(stderr, "tidegate load: %s%s%s\n", c->ca_file != NULL ? c->ca_file : "",
                c->ca_file != NULL ? ": " : "", why);
    return o->target.tls != NULL;
}

static bool has_descriptors(const struct load_command *c)
{
    int64_t max = process_raise_files();

    if (max == 0 || c->connections + SPARE_FDS <= (uint64_t)max)
        return true;
    fprintf(stderr,
            "tidegate load: --connections %llu needs more descriptors than the limit allows (%llu): "
            "raise it with ulimit -n\n",
            (unsigned long long)c->connections, (unsigned long long)max);
    return false;
}

static bool run_load(struct run *r, struct load_opts *o)
{
    static const int STOP[] = {SIGINT, SIGTERM};
    bool fine;

    if (loop_real_signals(r->loop, STOP, 2, on_signal, r) != ERR_OK) {
        fprintf(stderr, "tidegate load: signals cannot be received: %s\n", strerror(errno));
        return false;
    }
    o->ud = r;
    r->began_us = r->loop->now_us = clock_mono_us();
    r->load = load_new(r->loop, o);
    begin_progress(r);
    loop_real_run(r->loop);
    end_progress(r);
    r->report.tally = load_tally(r->load);
    r->report.elapsed_us = r->loop->now_us - r->began_us;
    r->report.connects_n = load_connects(r->load);
    fine = publish_result(r);
    fine = judge(r) && fine;
    load_free(&r->load);
    return fine;
}

/* Signals are blocked before anything else begins, so that none is lost. */
static bool send_all(struct run *r, struct source *s)
{
    struct load_command *c = r->command;
    struct real_opts ro = {.seed = c->source.seed, .pending_max = PENDING_MAX_BYTES};
    struct load_opts o;
    sigset_t stop;
    bool fine;

    if (!has_descriptors(c) || !make_opts(c, &o))
        return false;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    r->loop = loop_real_new(&ro);
    if (r->loop == NULL) {
        fprintf(stderr, "tidegate load: the loop cannot be made: %s\n", strerror(errno));
        tls_config_free(&o.target.tls);
        return false;
    }
    o.source = s;
    timer_init(&r->second, on_second);
    fine = run_load(r, &o);
    loop_free(&r->loop);
    tls_config_free(&o.target.tls);
    return fine;
}

static bool look_only(struct run *r, struct source *s)
{
    static struct preview preview;
    struct buf page, json;
    bool fine;

    buf_init(&page, REPORT_MAX_BYTES, NULL);
    buf_init(&json, REPORT_MAX_BYTES, NULL);
    preview_look(&preview, s, DRY_RUN_MAX);
    report_preview(&r->report, &preview, &page);
    report_preview_json(&r->report, &preview, &json);
    fine = publish(r, &page, &json);
    buf_fini(&page);
    buf_fini(&json);
    return fine;
}

static bool with_traces(struct run *r, struct load_traces *t)
{
    struct load_command *c = r->command;
    const char *why = "";
    struct source *s;
    bool fine;

    c->source.traces = t->traces;
    c->source.traces_n = t->n;
    s = source_new(&c->source, &why);
    if (s == NULL) {
        fprintf(stderr, "tidegate load: %s\n", why);
        return false;
    }
    describe(r, t);
    make_report(r);
    fine = c->dry_run ? look_only(r, s) : send_all(r, s);
    source_free(&s);
    return fine;
}

static int work(struct load_command *c)
{
    struct run r = {.command = c, .shown = -1};
    struct load_traces t;
    bool fine;

    buf_init(&r.schedule, REPORT_MAX_BYTES, NULL);
    fine = load_traces_read(&t, c->paths, c->paths_n) && open_json(&r) && with_traces(&r, &t);
    fine = close_json(&r) && fine;
    load_traces_fini(&t);
    buf_fini(&r.schedule);
    return fine ? 0 : 1;
}

int load_main(int argc, char **argv)
{
    static struct load_command c;
    bool fine = load_options_read(&c, argc, argv);
    int code = 2;

    if (fine && c.help) {
        load_options_help();
        code = 0;
    } else if (fine) {
        code = work(&c);
    }
    load_options_fini(&c);
    return code;
}
