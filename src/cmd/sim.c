/* SPDX-License-Identifier: MIT */
/* tidegate sim: files, one loop, lines that say where it listens. */
#include "cmd/sim.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "cmd/process.h"
#include "cmd/sim_options.h"
#include "io/tls.h"
#include "sim/timeline.h"

#define PENDING_MAX_BYTES ((size_t)32 * 1024 * 1024)
#define TIMELINE_MAX_BYTES ((size_t)1024 * 1024)
#define OWN_NAMES "localhost 127.0.0.1 ::1"

/* What is made from the options. */
struct program {
    struct sim_command cmd;
    struct arena arena;
    struct buf text; /* of the timeline's file */
    struct sim_timeline timeline;
    struct tls_config *made, *wrong; /* certificates made on the spot; NULL when nobody needs one */
    struct tls_config *tls[SIM_PLACES_MAX];
    struct loop *loop;
    struct sim *sim;
};

/* -- files ---------------------------------------------------------------------------------------------- */

static bool read_file(const char *path, struct buf *out)
{
    FILE *f = fopen(path, "re");
    char piece[4096];
    bool fine = f != NULL;
    size_t n;

    while (fine && (n = fread(piece, 1, sizeof piece, f)) > 0)
        fine = buf_add(out, (struct slice){piece, n}) == ERR_OK;
    if (fine && ferror(f))
        fine = false;
    if (f != NULL)
        (void)fclose(f);
    return fine;
}

static bool load_timeline(struct program *p)
{
    const char *path = p->cmd.timeline;
    struct sim_timeline_error error;

    if (path == NULL)
        return true;
    if (!read_file(path, &p->text)) {
        fprintf(stderr, "tidegate sim: %s cannot be read: %s\n", path,
                errno != 0 ? strerror(errno) : "it is larger than 1 MiB");
        return false;
    }
    if (!sim_timeline_parse(buf_slice(&p->text), &p->arena, &p->timeline, &error)) {
        fprintf(stderr, "%s:%d:%d: %s\n", path, error.line, error.column, error.text);
        return false;
    }
    p->cmd.opts.timeline = &p->timeline;
    return true;
}

static bool make_certificates(struct program *p)
{
    p->made = tls_config_self_made(OWN_NAMES);
    p->wrong = tls_config_self_made("wrong.invalid");
    if (p->made == NULL || p->wrong == NULL) {
        fprintf(stderr, "tidegate sim: OpenSSL cannot make a certificate\n");
        return false;
    }
    if (p->cmd.tls_out != NULL && !tls_config_save(p->made, p->cmd.tls_out)) {
        fprintf(stderr, "tidegate sim: %s cannot be written: %s\n", p->cmd.tls_out, strerror(errno));
        return false;
    }
    return true;
}

static bool load_tls(struct program *p)
{
    for (size_t i = 0; i < p->cmd.places_n; i++) {
        const struct sim_place *at = &p->cmd.places[i];
        const char *why = "";

        if (!at->tls)
            continue;
        if (p->made == NULL && !make_certificates(p))
            return false;
        if (at->cert == NULL)
            continue;
        p->tls[i] = tls_config_server(at->cert, at->key, &why);
        if (p->tls[i] == NULL) {
            fprintf(stderr, "tidegate sim: --listen %s: %s (%s, %s)\n", at->address, why, at->cert, at->key);
            return false;
        }
    }
    return true;
}

/* -- running -------------------------------------------------------------------------------------------- */

static void on_signal(void *ud, int sig)
{
    (void)sig;
    loop_real_stop(ud);
}

/* SO_REUSEPORT would share the port of a simulator that runs already. */
static bool can_bind(const char *text, const struct addr *at)
{
    int e = addr_port(at) != 0 ? loop_real_probe(at) : 0;

    if (e == 0)
        return true;
    fprintf(stderr, "tidegate sim: cannot listen at %s: %s%s\n", text, strerror(e),
            e == EADDRINUSE ? " (another program has this port: choose one with --listen)" : "");
    return false;
}

/* The first lines are for people, the others too: one for each listener, in their order. */
static void announce(const struct sim_place *at, const struct addr *bound)
{
    const char *scheme = at->tls ? "https" : "http";
    char text[64];

    addr_format(bound, text, sizeof text);
    fprintf(stderr, "tidegate sim: listening at %s://%s/v1 (OpenAI's form) and %s://%s (DeepSeek's form)\n",
            scheme, text, scheme, text);
}

static bool listen_everywhere(struct program *p)
{
    for (size_t i = 0; i < p->cmd.places_n; i++) {
        const struct sim_place *at = &p->cmd.places[i];
        struct sim_listen_opts o = {.name = at->name, .rule = at->rule};
        struct addr bound;

        if (at->tls) {
            o.tls = p->tls[i] != NULL ? p->tls[i] : p->made;
            o.wrong = p->wrong;
        }
        if (sim_listen_with(p->sim, &at->at, &o, &bound) != ERR_OK) {
            fprintf(stderr, "tidegate sim: cannot listen at %s: %s\n", at->address, strerror(errno));
            return false;
        }
        announce(at, &bound);
    }
    return true;
}

static bool serve(struct program *p)
{
    static const int STOP[] = {SIGTERM, SIGINT};
    struct real_opts ro = {.seed = p->cmd.opts.seed, .pending_max = PENDING_MAX_BYTES};
    bool fine;

    p->loop = loop_real_new(&ro);
    if (p->loop == NULL || loop_real_signals(p->loop, STOP, 2, on_signal, p->loop) != ERR_OK) {
        fprintf(stderr, "tidegate sim: the loop cannot be made: %s\n", strerror(errno));
        loop_free(&p->loop);
        return false;
    }
    p->sim = sim_new(p->loop, &p->cmd.opts);
    fine = listen_everywhere(p);
    if (fine)
        loop_real_run(p->loop);
    sim_free(&p->sim);
    loop_free(&p->loop);
    return fine;
}

static bool run(struct program *p)
{
    bool fine;

    arena_init(&p->arena, NULL, 0, 4096);
    buf_init(&p->text, TIMELINE_MAX_BYTES, NULL);
    errno = 0;
    fine = load_timeline(p) && load_tls(p);
    for (size_t i = 0; fine && i < p->cmd.places_n; i++)
        fine = can_bind(p->cmd.places[i].address, &p->cmd.places[i].at);
    fine = fine && serve(p);
    for (size_t i = 0; i < p->cmd.places_n; i++)
        tls_config_free(&p->tls[i]);
    tls_config_free(&p->made);
    tls_config_free(&p->wrong);
    buf_fini(&p->text);
    arena_fini(&p->arena);
    return fine;
}

int sim_main(int argc, char **argv)
{
    struct program p = {.loop = NULL};
    sigset_t stop;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(SIM_HELP, stdout);
            return 0;
        }
    }
    if (!sim_command_read(&p.cmd, argc, argv))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    process_raise_files();
    return run(&p) ? 0 : 1;
}
