/* SPDX-License-Identifier: MIT */
/* tidegate serve: configuration, threads, signals, banner.
 *
 * Threads: one per worker, each with its own loop and listeners; the main thread is the control thread
 * (admin, signals, drain). With nothing configured one more thread runs the simulator as the provider. Order:
 * everything that can fail (configuration, sockets, TLS) is done before the first thread starts, so that a
 * start either works whole or fails with one message. */
#include "cmd/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/reserve.h"
#include "cmd/banner.h"
#include "cmd/check.h"
#include "cmd/listening.h"
#include "cmd/nofile.h"
#include "cmd/process.h"
#include "cmd/supervisor.h"
#include "gateway/app.h"
#include "gateway/certs.h"
#include "gateway/control.h"
#include "gateway/front.h"
#include "gateway/trust.h"
#include "gateway/worker.h"
#include "io/helpers.h"
#include "io/outlet.h"
#include "io/tls.h"
#include "io/watch.h"
#include "sim/sim.h"

#define FILES_SPARE 256                /* descriptors beside those of clients and calls */
#define HELPERS_N 2                    /* threads for large bodies; none runs before one comes */
#define MAPPED_BYTES ((int)512 * 1024) /* blocks from here on go back to the system when they are freed */
#define STOP_SLACK_US (5 * CLOCK_SECOND_US) /* for what comes behind the drain */

struct thread {
    pthread_t id;
    struct loop *loop;
    bool started;
};

struct server {
    struct config *cfg;
    struct banner_facts facts;
    struct nofile nofile; /* engines found, where nothing else says what to do */
    struct log log;
    struct app *app;
    struct sockets *sockets; /* that loops share */
    struct supervisor *supervisor;
    struct loop *control_loop;
    struct control *control;
    struct watch *watch; /* of the configuration's file, where it asks for that */
    struct worker **workers;
    struct thread *threads; /* the workers' */
    int workers_n;
    struct helpers *helpers;
    struct thread sim_thread;
    struct sim *sim;
    int access_fd;
    int signals_n; /* stop signals received */
};

static int usage(FILE *to, int code)
{
    fprintf(to,
            "usage: tidegate serve [FILE]\n\n"
            "Runs the gateway with the configuration in FILE. Without FILE: ./tidegate.yaml if it "
            "exists; else what\n"
            "DEEPSEEK_API_KEY, OPENAI_API_KEY and OPENAI_BASE_URL say; else the engines that listen on the "
            "usual ports of\n"
            "this machine (llama-server, Ollama, vLLM, SGLang); else the built-in simulator.\n"
            "SIGTERM drains and stops; a second one stops at once. SIGHUP reads FILE again.\n"
            "\nExit codes: 0 fine, 1 failed, 2 usage.\n");
    return code;
}

/* -- configuration --------------------------------------------------------------------------------------- */

static void *run_loop(void *arg)
{
    loop_real_run(((struct thread *)arg)->loop);
    return NULL;
}

static bool start_thread(struct thread *t)
{
    int e = pthread_create(&t->id, NULL, run_loop, t);

    t->started = e == 0;
    if (e != 0)
        fprintf(stderr, "tidegate: a thread cannot be started: %s\n", strerror(e));
    return t->started;
}

static void join_thread(struct thread *t)
{
    if (t->started) {
        loop_real_stop(t->loop);
        pthread_join(t->id, NULL);
        t->started = false;
    }
}

/* The simulator as the provider: on a port of its own, then the configuration that points there. */
static enum err configure_sim(struct server *s, struct config_report *report)
{
    struct real_opts ro = {.seed = (uint64_t)clock_wall_us(), .pending_max = 16 * 1024 * 1024};
    struct sim_opts so;
    struct addr at, bound;
    char text[64];

    sim_opts_default(&so);
    so.deepseek = true;
    s->sim_thread.loop = loop_real_new(&ro);
    if (s->sim_thread.loop == NULL)
        return ERR_SYSTEM;
    s->sim = sim_new(s->sim_thread.loop, &so);
    (void)!addr_parse(SLICE("127.0.0.1:0"), &at);
    if (sim_listen(s->sim, &at, &bound) != ERR_OK)
        return ERR_SYSTEM;
    addr_format(&bound, text, sizeof text);
    s->facts.source = BANNER_SIM;
    s->facts.nofile = &s->nofile;
    return config_for_sim(text, &s->cfg, &s->facts.yaml, report);
}

/* The engines on this machine as providers, if there are any. */
static enum err configure_local(struct server *s, struct config_report *report)
{
    s->facts.source = BANNER_LOCAL;
    s->facts.nofile = &s->nofile;
    return nofile_configure(&s->nofile, &s->cfg, &s->facts.yaml, report);
}

static bool configure(struct server *s, const char *file)
{
    struct config_report report = {.text = ""};
    enum err e = ERR_OK;

    if (file == NULL && access("tidegate.yaml", F_OK) == 0)
        file = "tidegate.yaml";
    if (file != NULL) {
        s->facts.source = BANNER_FILE;
        s->facts.file = file;
        e = config_load(file, &config_env_process, &s->cfg, &report);
    } else {
        s->facts.source = BANNER_ENV;
        e = config_from_env(&config_env_process, &s->cfg, &s->facts.yaml, &report);
        if (e == ERR_OK && s->cfg == NULL)
            e = configure_local(s, &report);
        if (e == ERR_OK && s->cfg == NULL)
            e = configure_sim(s, &report);
    }
    fputs(report.text, stderr);
    if (e != ERR_OK && report.text[0] == '\0')
        fprintf(stderr, "tidegate: the configuration could not be made: %s\n", strerror(errno));
    return e == ERR_OK;
}

/* -- making ---------------------------------------------------------------------------------------------- */

static bool open_access_log(struct server *s)
{
    const char *where = s->cfg->access_log;

    s->access_fd = -1;
    if (strcmp(where, "stdout") == 0)
        s->access_fd = outlet_open(STDOUT_FILENO);
    else if (strcmp(where, "off") != 0) /* a named pipe that nobody reads must not hold up the start */
        s->access_fd = open(where, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
    if (s->access_fd < 0 && strcmp(where, "off") != 0) {
        fprintf(stderr, "tidegate: the access log %s cannot be opened: %s\n", where, strerror(errno));
        return false;
    }
    return true;
}

static struct loop *new_loop(struct server *s, uint64_t seed)
{
    struct real_opts o = {.seed = seed,
                          .budget = &s->app->budget,
                          .pending_max = app_pending_max(s->cfg),
                          .sockets = s->sockets};

    o.helpers = s->helpers;
    return loop_real_new(&o);
}

static bool make_workers(struct server *s)
{
    const char *which = "";

    for (int i = 0; i < s->cfg->workers; i++) {
        s->threads[i].loop = new_loop(s, s->app->seed + (uint64_t)i + 1);
        if (s->threads[i].loop == NULL) {
            fprintf(stderr, "tidegate: a worker cannot be made: %s\n", strerror(errno));
            return false;
        }
        s->workers[i] = worker_new(s->app, s->threads[i].loop, i);
        if (front_open(s->workers[i], &s->facts.bound, &which) != ERR_OK) {
            fprintf(stderr, "tidegate: cannot listen at %s: %s\n", which, strerror(errno));
            return false;
        }
    }
    return true;
}

static void on_drained(void *ud)
{
    struct server *s = ud;

    loop_real_stop(s->control_loop);
}

/* What a service manager shows of us. */
static const char *status_text(const struct server *s, char out[128])
{
    const struct config *cfg = s->app->edition->cfg;

    snprintf(out, 128, "Serving %zu model%s at %s", cfg->models_n, cfg->models_n == 1 ? "" : "s",
             cfg->listen[0].at);
    return out;
}

static void tell_stopping(struct server *s)
{
    const struct config_options *opt = &s->app->edition->cfg->opt;

    supervisor_stopping(s->supervisor,
                        clock_add(clock_add(opt->drain_delay_us, opt->drain_us), STOP_SLACK_US),
                        "Draining: open requests may finish");
}

static void on_signal(void *ud, int sig)
{
    struct server *s = ud;

    if (sig == SIGHUP) {
        control_reload(s->control, "SIGHUP");
        return;
    }
    if (s->signals_n++ == 0) {
        LOG_INF(&s->log, "draining: /readyz fails, open requests may finish; a second signal stops at once");
        tell_stopping(s);
        control_drain(s->control);
    } else {
        LOG_WRN(&s->log, "stopping at once");
        control_cut(s->control);
    }
}

/* -- reading the file again ------------------------------------------------------------------------------ */

static void on_file_changed(void *ud)
{
    struct server *s = ud;

    control_reload(s->control, "the file has changed");
}

/* Begins or ends watching, as the configuration in force says. */
static void follow_file(struct server *s)
{
    bool wanted = s->app->edition->cfg->watch && s->facts.source == BANNER_FILE;

    if (!wanted)
        watch_free(&s->watch);
    if (!wanted || s->watch != NULL)
        return;
    s->watch = watch_new(s->control_loop, s->facts.file, on_file_changed, s);
    if (s->watch == NULL)
        LOG_WRN(&s->log, "watch: %s cannot be watched: %s", s->facts.file, strerror(errno));
}

static void on_reload(void *ud)
{
    supervisor_reloading(((struct server *)ud)->supervisor);
}

static void on_reloaded(void *ud)
{
    struct server *s = ud;
    char text[128];

    follow_file(s);
    supervisor_reloaded(s->supervisor, status_text(s, text));
}

static struct reload_opts reload_opts(struct server *s)
{
    struct reload_opts o = {
        .env = &config_env_process, .on_begin = on_reload, .on_end = on_reloaded, .ud = s};

    if (s->facts.source == BANNER_ENV)
        o.why_not = "The configuration was made from the environment, which does not change while a program "
                    "runs.";
    else if (s->facts.source == BANNER_LOCAL)
        o.why_not = "There is no configuration file: the engines on this machine are the providers.";
    else if (s->facts.source == BANNER_SIM)
        o.why_not = "There is no configuration file: the built-in simulator is the provider.";
    else if (strcmp(s->facts.file, "-") == 0)
        o.why_not = "The configuration came from standard input, which cannot be read a second time.";
    else
        o.file = s->facts.file;
    return o;
}

static bool make_control(struct server *s)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGHUP};
    struct control_opts o = {
        .on_drained = on_drained, .ud = s, .more_metrics = process_metrics, .reload = reload_opts(s)};
    const char *which = "";

    s->control_loop = new_loop(s, s->app->seed);
    if (s->control_loop == NULL ||
        loop_real_signals(s->control_loop, SIGNALS, COUNT_OF(SIGNALS), on_signal, s) != ERR_OK) {
        fprintf(stderr, "tidegate: the control thread cannot be made: %s\n", strerror(errno));
        return false;
    }
    s->control = control_new(s->app, s->control_loop, &o, &which);
    if (s->control == NULL)
        fprintf(stderr, "tidegate: cannot listen at %s: %s\n", which, strerror(errno));
    else
        follow_file(s);
    return s->control != NULL;
}

/* The files of TLS are all that can fail in it: which endpoint's they are is found by trying again. */
static void complain_of_app(const struct config *cfg, const char *why)
{
    int fault = trust_check(cfg, &why);

    if (fault >= 0)
        fprintf(stderr, "tidegate: endpoint %s: %s\n", cfg->endpoints[fault].name, why);
    else
        fprintf(stderr, "tidegate: %s\n", why);
}

/* For all clients that may come, and their calls. */
static void spread_files(const struct config *cfg, int64_t files_max)
{
    int64_t want = 2 * cfg->opt.conns_max + FILES_SPARE;

    process_spread_files(files_max == 0 || want < files_max ? want : files_max);
}

static bool make(struct server *s)
{
    enum log_level level = LOG_INFO;
    struct app_opts o = {.log = &s->log, .wall_us = clock_wall_us(), .files_max = process_raise_files()};
    const char *why = "";
    int log_fd = outlet_open(STDERR_FILENO);

    spread_files(s->cfg, o.files_max);
    process_allow_cores(s->cfg->core_dumps);
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES); /* else the largest block ever freed becomes the threshold */
    if (!reserve_open()) {
        fprintf(stderr, "tidegate: the machine has no memory left to start with\n");
        return false;
    }
    (void)!log_level_parse(slice_of(s->cfg->log_level), &level);
    log_init(&s->log, log_fd >= 0 ? log_fd : STDERR_FILENO, level, isatty(STDERR_FILENO) != 0);
    if (!open_access_log(s) || (s->sockets = listening_prepare(s->cfg)) == NULL)
        return false;
    o.access_fd = s->access_fd;
    rng_secret_bytes(&o.seed, sizeof o.seed);
    s->helpers = helpers_new(HELPERS_N);
    s->app = app_new(s->cfg, &o, &why);
    if (s->app == NULL) {
        if (check_certs(s->cfg) == 0) /* which tells the place */
            complain_of_app(s->cfg, why);
        return false;
    }
    s->workers_n = s->cfg->workers;
    s->workers = mem_zalloc((size_t)s->cfg->workers * sizeof *s->workers);
    s->threads = mem_zalloc((size_t)s->cfg->workers * sizeof *s->threads);
    if (!make_workers(s) || !make_control(s))
        return false;
    listening_done(s->sockets, &s->log);
    certs_warn(s->cfg, clock_wall_us() / CLOCK_SECOND_US, &s->log);
    return true;
}

/* -- running --------------------------------------------------------------------------------------------- */

static void tell_ready(struct server *s)
{
    struct loop **loops = mem_zalloc((size_t)s->workers_n * sizeof *loops);
    char text[128];

    for (int i = 0; i < s->workers_n; i++)
        loops[i] = s->threads[i].loop;
    supervisor_ready(s->supervisor, s->control_loop, loops, (size_t)s->workers_n, status_text(s, text));
    mem_free(loops);
}

static bool run(struct server *s)
{
    if (s->sim != NULL && !start_thread(&s->sim_thread))
        return false;
    for (int i = 0; i < s->workers_n; i++) {
        if (!start_thread(&s->threads[i]))
            return false;
    }
    banner_print(stderr, s->cfg, &s->facts);
    tell_ready(s);
    config_unref(&s->cfg); /* editions hold what is in force */
    loop_real_run(s->control_loop);
    LOG_INF(&s->log, "stopped");
    return true;
}

/* Undoes whatever was made, in reverse; after a start that failed half-way as well. */
static void unmake(struct server *s)
{
    int n = s->threads != NULL ? s->workers_n : 0;

    for (int i = 0; i < n; i++)
        join_thread(&s->threads[i]);
    join_thread(&s->sim_thread);
    watch_free(&s->watch);
    supervisor_free(&s->supervisor);
    control_free(&s->control);
    for (int i = n - 1; i >= 0; i--)
        worker_free(&s->workers[i]);
    sim_free(&s->sim);
    helpers_free(&s->helpers); /* one may still be ringing the bell of a loop that has its result already */
    for (int i = 0; i < n; i++)
        loop_free(&s->threads[i].loop);
    loop_free(&s->control_loop);
    loop_free(&s->sim_thread.loop);
    sockets_free(&s->sockets);
    app_free(&s->app);
    mem_free(s->workers);
    mem_free(s->threads);
    config_unref(&s->cfg);
    mem_free(s->facts.yaml);
    if (s->facts.nofile != NULL)
        nofile_fini(&s->nofile);
    reserve_close();
}

int serve_main(int argc, char **argv)
{
    struct server s = {.access_fd = -1};
    sigset_t stop;
    bool fine;

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage(stdout, 0);
    if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
        return usage(stderr, 2);
    process_allow_cores(false); /* until the file says otherwise: the environment holds secrets, too */
    tls_use_counted_memory();
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    s.supervisor = supervisor_new();
    fine = configure(&s, argc == 2 ? argv[1] : NULL) && make(&s) && run(&s);
    unmake(&s);
    return fine ? 0 : 1;
}
