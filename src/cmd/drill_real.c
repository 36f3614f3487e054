/* SPDX-License-Identifier: MIT */
/* Drills over real sockets.
 *
 * A folder of its own holds the gateway's file, its access log, its admin socket and the providers'
 * timelines; it is gone afterwards. Providers start first; timelines begin LEAD_S later than they do, and so
 * do the clients. */
#include "cmd/drill_real.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/child.h"
#include "cmd/drill_scrape.h"
#include "cmd/process.h"
#include "rehearse/drill_figures.h"
#include "rehearse/drill_stage.h"

#define LEAD_S 2
#define TEXT_MAX ((size_t)64 * 1024)
#define PENDING_MAX ((size_t)64 << 20)
#define PATH_BYTES CHILD_PATH_BYTES

enum version { WHOLE, QUIET, DIRECT };

struct real {
    const struct drill_scenario *scenario;
    struct drill_result *result;
    enum version version;
    char folder[64];
    struct child providers[DRILL_PROVIDERS_MAX], gateway;
    unsigned ports[DRILL_PROVIDERS_MAX], port; /* port: the gateway's */
    int64_t began_us, wall_us;                 /* when the last provider was ready; when clients began */
    struct loop *loop;
    struct drill_take *take;
    struct drill_scrape scrape;
    bool interrupted;
};

static bool complain(struct real *r, const char *what)
{
    snprintf(r->result->why, sizeof r->result->why, "%s: %s", what, strerror(errno));
    return false;
}

static void path_of(const struct real *r, const char *name, size_t i, char out[PATH_BYTES])
{
    snprintf(out, PATH_BYTES, "%s/%s%zu", r->folder, name, i);
}

/* -- files ----------------------------------------------------------------------------------------------- */

static bool write_file(struct real *r, const char *path, const struct buf *text)
{
    FILE *f = fopen(path, "we");
    bool fine = f != NULL && fwrite(text->p, 1, text->n, f) == text->n;

    if (f != NULL)
        fine = fclose(f) == 0 && fine;
    return fine || complain(r, path);
}

static bool make_folder(struct real *r)
{
    const char *tmp = getenv("TMPDIR");

    if (tmp == NULL || tmp[0] != '/' || strlen(tmp) > 30)
        tmp = "/tmp";
    snprintf(r->folder, sizeof r->folder, "%s/tidegate-drill-XXXXXX", tmp);
    if (mkdtemp(r->folder) != NULL)
        return true;
    complain(r, r->folder);
    r->folder[0] = '\0';
    return false;
}

static void remove_folder(struct real *r)
{
    DIR *d = r->folder[0] != '\0' ? opendir(r->folder) : NULL;
    struct dirent *e;

    if (d == NULL)
        return;
    while ((e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(r->folder);
}

/* -- providers and gateway ------------------------------------------------------------------------------- */

static bool wait_for(struct real *r, const struct child *c, const char *text, unsigned *port)
{
    char words[400];

    if (child_port(c, text, port))
        return true;
    child_last_words(c, words, sizeof words);
    snprintf(r->result->why, sizeof r->result->why, "a child does not start: %s", words);
    return false;
}

struct sim_words {
    char slots[16], limit[16], ttft[48], prefill[32], gap[32], seed[24];
};

static void tell_sim(const struct sim_opts *o, struct sim_words *w)
{
    snprintf(w->slots, sizeof w->slots, "%d", o->slots);
    snprintf(w->limit, sizeof w->limit, "%d", o->account_limit);
    snprintf(w->ttft, sizeof w->ttft, "%lldus:%.3f", (long long)o->ttft.median_us, o->ttft.sigma);
    snprintf(w->prefill, sizeof w->prefill, "%lldus", (long long)o->prefill_us);
    snprintf(w->gap, sizeof w->gap, "%lldus", (long long)o->gap.median_us);
    snprintf(w->seed, sizeof w->seed, "%llu", (unsigned long long)o->seed);
}

static bool start_provider(struct real *r, size_t i)
{
    const struct drill_provider *p = &r->scenario->providers[i];
    char timeline[PATH_BYTES], said[PATH_BYTES];
    struct sim_words w;
    struct sim_opts o;
    struct buf text;
    bool fine;

    path_of(r, "timeline", i, timeline);
    path_of(r, "provider", i, said);
    buf_init(&text, TEXT_MAX, NULL);
    drill_stage_timeline(p, LEAD_S, &text);
    fine = write_file(r, timeline, &text);
    buf_fini(&text);
    drill_stage_sim(p, r->result->seed + i, &o);
    tell_sim(&o, &w);
    const char *const argv[] = {
        "tidegate", "sim",    "--listen",   "127.0.0.1:0", "--slots", w.slots, "--account-limit",
        w.limit,    "--ttft", w.ttft,       "--prefill",   w.prefill, "--gap", w.gap,
        "--seed",   w.seed,   "--timeline", timeline,      NULL};

    return fine && (child_start(&r->providers[i], argv, said) || complain(r, "a provider")) &&
           wait_for(r, &r->providers[i], "listening at http://", &r->ports[i]);
}

static bool start_gateway(struct real *r)
{
    char at[DRILL_PROVIDERS_MAX][32], more[3 * PATH_BYTES], file[PATH_BYTES], said[PATH_BYTES];
    struct drill_places places = {.listen = "127.0.0.1:0", .more = more};
    const char *const argv[] = {"tidegate", "serve", file, NULL};
    struct buf text;
    bool fine;

    path_of(r, "gateway.yaml", 0, file);
    path_of(r, "gateway", 0, said);
    for (size_t i = 0; i < drill_providers_n(r->scenario); i++) {
        snprintf(at[i], sizeof at[i], "127.0.0.1:%u", r->ports[i]);
        places.providers[i] = at[i];
    }
    snprintf(more, sizeof more, "admin: 'unix:%s/admin'\naccess_log: %s/access\nworkers: 2\n", r->folder,
             r->folder);
    buf_init(&text, TEXT_MAX, NULL);
    drill_stage_file(r->scenario, &places, &text);
    fine = write_file(r, file, &text);
    buf_fini(&text);
    return fine && (child_start(&r->gateway, argv, said) || complain(r, "the gateway")) &&
           wait_for(r, &r->gateway, "listening at ", &r->port);
}

/* -- the clients ----------------------------------------------------------------------------------------- */

static void on_look(void *ud, struct drill_sight *sights)
{
    drill_scrape_look(&((struct real *)ud)->scrape, sights);
}

static void on_done(void *ud)
{
    loop_real_stop(((struct real *)ud)->loop);
}

static void on_signal(void *ud, int sig)
{
    struct real *r = ud;

    (void)sig;
    r->interrupted = true;
    drill_take_stop(r->take);
}

static void wait_for_lead(const struct real *r)
{
    int64_t us = r->began_us + LEAD_S * CLOCK_SECOND_US - clock_mono_us();
    struct timespec t = {us / CLOCK_SECOND_US, us % CLOCK_SECOND_US * 1000};

    if (us > 0)
        nanosleep(&t, NULL);
}

static void run_clients(struct real *r)
{
    bool direct = r->version == DIRECT;
    struct drill_take_opts o = {.target = {.host = "127.0.0.1",
                                           .port = (uint16_t)(direct ? r->ports[0] : r->port),
                                           .base_path = SLICE("/v1"),
                                           .authority = SLICE("drill.test")},
                                .seed = r->result->seed,
                                .quiet = r->version == QUIET,
                                .look = direct ? NULL : on_look,
                                .on_done = on_done,
                                .ud = r};
    char path[PATH_BYTES];
    struct addr admin;

    snprintf(path, sizeof path, "%s/admin", r->folder);
    if (!addr_of_unix(slice_of(path), &admin))
        return;
    wait_for_lead(r);
    r->loop->now_us = clock_mono_us();
    r->wall_us = clock_wall_us();
    if (!direct)
        drill_scrape_init(&r->scrape, r->loop, r->scenario, &admin);
    r->take = drill_take_new(r->loop, r->scenario, &o);
    loop_real_run(r->loop);
    if (!direct)
        drill_scrape_fini(&r->scrape);
}

/* -- figures --------------------------------------------------------------------------------------------- */

static bool read_log(struct real *r, struct drill_figures *out)
{
    char path[PATH_BYTES];
    struct stat st;
    void *map;
    int fd;

    snprintf(path, sizeof path, "%s/access", r->folder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0)
        return complain(r, path);
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return complain(r, path);
    drill_figures_of_log(r->scenario, r->take, (struct slice){map, (size_t)st.st_size}, r->wall_us, out);
    munmap(map, (size_t)st.st_size);
    return true;
}

static bool measure(struct real *r, struct drill_figures *out)
{
    drill_figures_of_clients(r->scenario, r->take, out);
    if (r->interrupted) {
        snprintf(r->result->why, sizeof r->result->why, "interrupted");
        return false;
    }
    if (r->version == DIRECT)
        return true;
    drill_figures_of_watch(r->scenario, r->take, out);
    child_stop(&r->gateway); /* it writes the last lines of its log */
    return read_log(r, out);
}

/* -- playing --------------------------------------------------------------------------------------------- */

static bool make_loop(struct real *r)
{
    static const int STOP[] = {SIGINT, SIGTERM};
    struct real_opts o = {.seed = r->result->seed, .pending_max = PENDING_MAX};

    r->loop = loop_real_new(&o);
    return (r->loop != NULL && loop_real_signals(r->loop, STOP, 2, on_signal, r) == ERR_OK) ||
           complain(r, "the loop");
}

static void stop_all(struct real *r)
{
    child_stop(&r->gateway);
    for (size_t i = 0; i < DRILL_PROVIDERS_MAX; i++)
        child_stop(&r->providers[i]);
    remove_folder(r);
}

static bool play(struct drill_result *result, enum version version, struct drill_figures *out)
{
    static const char *const WORDS[] = {"with the gateway", "without the flood", "without the gateway"};
    struct real r = {.scenario = result->scenario, .result = result, .version = version};
    bool fine = make_folder(&r);

    fprintf(stderr, "tidegate drill: %s, %.0f s %s\n", result->scenario->name, result->scenario->duration_s,
            WORDS[version]);
    for (size_t i = 0; fine && i < drill_providers_n(r.scenario); i++)
        fine = start_provider(&r, i);
    r.began_us = clock_mono_us();
    fine = fine && (version == DIRECT || start_gateway(&r)) && make_loop(&r);
    if (fine) {
        run_clients(&r);
        fine = r.take != NULL ? measure(&r, out) : complain(&r, r.folder);
    }
    drill_take_free(&r.take);
    loop_free(&r.loop);
    stop_all(&r);
    return fine;
}

static void block_signals(void)
{
    sigset_t stop;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    process_raise_files();
}

bool drill_real_run(const struct drill_scenario *s, const struct drill_opts *o, struct drill_result *out)
{
    memset(out, 0, sizeof *out);
    out->scenario = s;
    out->seed = o->seed;
    out->real = true;
    out->has_quiet = drill_has_floods(s);
    out->has_direct = o->direct;
    if (s->duration_s > DRILL_REAL_MAX_S) {
        snprintf(out->why, sizeof out->why,
                 "%s lasts %.0f s, and real time is not compressed: --real takes scenarios of at most %d s",
                 s->name, s->duration_s, DRILL_REAL_MAX_S);
        return false;
    }
    block_signals();
    if (!play(out, WHOLE, &out->gateway) || (out->has_quiet && !play(out, QUIET, &out->quiet)) ||
        (out->has_direct && !play(out, DIRECT, &out->direct)))
        return false;
    drill_judge(out);
    return true;
}
