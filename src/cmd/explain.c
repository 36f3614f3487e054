/* SPDX-License-Identifier: MIT */
/* tidegate explain [OPTION]... REQUEST_ID: one GET at the address `admin` of a gateway that runs. */
#include "cmd/explain.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/id.h"
#include "cmd/explain_text.h"
#include "config/origin.h"
#include "io/tls.h"
#include "upstream/call.h"

#define PATIENCE_US (10 * CLOCK_SECOND_US)
#define BODY_MAX ((size_t)16 << 20)
#define HEAD_MAX 16384

static const char usage[] =
    "usage: tidegate explain [OPTION]... REQUEST_ID\n"
    "\n"
    "Says why a request went where it went: how long it waited and behind how many, which endpoints could\n"
    "not take it and why, which one was chosen and how, and what became of each call. REQUEST_ID is the\n"
    "x-request-id of its answer. The gateway remembers the last requests of each worker, longest those that\n"
    "failed, waited or were tried again, and knows those in work.\n"
    "\n"
    "  --admin URL  the address `admin` of the gateway: http://HOST:PORT, https://HOST:PORT or unix:PATH\n"
    "               (http://127.0.0.1:8081)\n"
    "  --ca FILE    certificates to trust for https (the system's)\n"
    "  --json       prints the gateway's answer as it is\n"
    "\n"
    "Exit codes: 0 it is known, 1 it is not, or nobody answers, 2 usage.\n";

struct explain {
    const char *admin, *ca_file, *id;
    bool json;
    struct loop *loop;
    struct pool pool;
    struct call *call; /* under way, or NULL */
    struct timer timer;
    int status; /* 0: no head has come */
    struct buf body;
    enum err why;
};

/* -- the call -------------------------------------------------------------------------------------------- */

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct explain *x = ud;

    x->status = rs->status;
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct explain *x = ud;

    return buf_add(&x->body, bytes);
}

static void on_end(void *ud, enum err why, enum call_step step)
{
    struct explain *x = ud;

    (void)step;
    x->call = NULL;
    x->why = why;
    loop_real_stop(x->loop);
}

static const struct call_cb CALL_CB = {on_head, on_body, on_end};

static void on_patience_over(struct timer *t)
{
    struct explain *x = CONTAINER_OF(t, struct explain, timer);

    call_cancel(&x->call);
    x->why = ERR_TIMEOUT;
    loop_real_stop(x->loop);
}

static void ask(struct explain *x, const struct pool_opts *po, struct slice authority, struct arena *arena)
{
    struct call_opts o = {
        .request = {.method = SLICE("GET"),
                    .path = arena_printf(arena, "/api/explain/%s", x->id),
                    .authority = authority},
        .head_max = HEAD_MAX,
    };

    pool_init(&x->pool, x->loop, po);
    timer_init(&x->timer, on_patience_over);
    timer_set(&x->loop->wheel, &x->timer, x->loop->now_us + PATIENCE_US);
    x->call = call_start(&x->pool, &o, &CALL_CB, x);
    loop_real_run(x->loop);
    timer_stop(&x->loop->wheel, &x->timer);
    pool_fini(&x->pool);
}

/* -- where ----------------------------------------------------------------------------------------------- */

/* Fills the way to --admin; false with a message. */
static bool find_way(const struct explain *x, struct arena *arena, struct pool_opts *po,
                     struct slice *authority)
{
    struct slice at = slice_of(x->admin);
    struct origin origin;
    const char *why;

    *po = (struct pool_opts){.connect_us = PATIENCE_US, .idle_us = CLOCK_SECOND_US, .idle_max = 1};
    *authority = SLICE("localhost");
    if (slice_starts(at, SLICE("unix:"))) {
        po->host = "localhost";
        if (addr_of_unix(slice_from(at, 5), &po->at))
            return true;
        fprintf(stderr, "tidegate explain: --admin: that is no path of a Unix socket\n");
        return false;
    }
    if (slice_find(at, SLICE("://")) < 0)
        at = arena_printf(arena, "http://%s", x->admin);
    why = origin_parse(at, arena, &origin);
    if (why != NULL) {
        fprintf(stderr, "tidegate explain: --admin: %s\n", why);
        return false;
    }
    po->host = origin.host;
    po->port = origin.port;
    *authority = origin.authority;
    if (!origin.tls)
        return true;
    po->tls = tls_config_client(x->ca_file, &why);
    if (po->tls == NULL)
        fprintf(stderr, "tidegate explain: %s%s%s\n", x->ca_file != NULL ? x->ca_file : "",
                x->ca_file != NULL ? ": " : "", why);
    return po->tls != NULL;
}

/* -- the answer ------------------------------------------------------------------------------------------ */

static int show(const struct explain *x)
{
    struct slice body = buf_slice(&x->body);

    if (x->why != ERR_OK) {
        fprintf(stderr, "tidegate explain: no answer from %s: %s%s%s\n", x->admin, err_row(x->why)->text,
                x->pool.why[0] != '\0' ? " " : "", x->pool.why);
        return 1;
    }
    if (x->status != 200) {
        fputs("tidegate explain: ", stderr);
        if (!explain_print_error(body, stderr))
            fprintf(stderr, "%s answered with status %d; is it the address `admin` of a tidegate?\n",
                    x->admin, x->status);
        return 1;
    }
    if (!explain_print(body, x->json, stdout)) {
        fprintf(stderr, "tidegate explain: what %s answered is not understood\n", x->admin);
        return 1;
    }
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

static int explain(struct explain *x)
{
    struct real_opts ro = {.seed = (uint64_t)clock_wall_us(), .pending_max = BODY_MAX};
    struct slice authority;
    struct pool_opts po;
    struct arena arena;
    int rc = 1;

    signal(SIGPIPE, SIG_IGN);
    arena_init(&arena, NULL, 0, 4096);
    buf_init(&x->body, BODY_MAX, NULL);
    if (!find_way(x, &arena, &po, &authority)) {
        rc = 2;
    } else if ((x->loop = loop_real_new(&ro)) == NULL) {
        fprintf(stderr, "tidegate explain: the loop cannot be made: %s\n", strerror(errno));
    } else {
        ask(x, &po, authority, &arena);
        rc = show(x);
        loop_free(&x->loop);
    }
    tls_config_free(&po.tls);
    buf_fini(&x->body);
    arena_fini(&arena);
    return rc;
}

/* -- the command line ------------------------------------------------------------------------------------ */

/* How many arguments it takes; 0: it is no option that is known, or its value is missing. */
static int read_option(struct explain *x, char **argv)
{
    if (strcmp(argv[0], "--json") == 0) {
        x->json = true;
        return 1;
    }
    if (argv[1] == NULL)
        return 0;
    if (strcmp(argv[0], "--admin") == 0)
        x->admin = argv[1];
    else if (strcmp(argv[0], "--ca") == 0)
        x->ca_file = argv[1];
    else
        return 0;
    return 2;
}

int explain_main(int argc, char **argv)
{
    struct explain x = {.admin = "http://127.0.0.1:8081"};
    bool options = true;

    for (int i = 1; i < argc;) {
        bool is_option = options && argv[i][0] == '-' && argv[i][1] != '\0';
        int n = 1;

        if (is_option && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            fputs(usage, stdout);
            return 0;
        }
        if (is_option && strcmp(argv[i], "--") == 0)
            options = false;
        else if (is_option)
            n = read_option(&x, argv + i);
        else if (x.id == NULL && id_is_safe(slice_of(argv[i])))
            x.id = argv[i];
        else
            n = 0;
        if (n == 0) {
            fprintf(stderr, "tidegate explain: %s is not understood\n%s", argv[i], usage);
            return 2;
        }
        i += n;
    }
    if (x.id == NULL) {
        fprintf(stderr, "tidegate explain: which request?\n%s", usage);
        return 2;
    }
    return explain(&x);
}
