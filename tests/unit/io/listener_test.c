/* SPDX-License-Identifier: MIT */
/* Listening: who gets a connection, what happens without descriptors, and who may have an address. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "real_kit.h"

TEST(more_connections_than_a_turn_accepts_all_come_in)
{
    struct kit k;
    struct side x[300] = {0};

    kit_init(&k);
    for (size_t i = 0; i < COUNT_OF(x); i++)
        kit_connect(&k, &x[i]);
    kit_until(&k, &k.accepts_n, COUNT_OF(x));
    for (size_t i = 0; i < COUNT_OF(x); i++)
        kit_until(&k, &x[i].opens_n, 1);
    for (size_t i = 0; i < COUNT_OF(x); i++)
        stream_close(&x[i].s);
    kit_fini(&k);
}

TEST(listens_at_every_kind_of_address)
{
    static const char *const AT[] = {"127.0.0.1:0", "[::1]:0", ":0"};

    for (size_t i = 0; i < COUNT_OF(AT); i++) {
        struct kit k;
        struct side x = {.greet = SLICE("hello")};
        struct listener *ls;
        struct addr at;

        kit_init(&k);
        CHECK_INT(addr_parse(slice_of(AT[i]), &at), ERR_OK);
        if (i == 1 && loop_real_probe(&at) != 0) {
            printf("# this machine has no IPv6\n");
            kit_fini(&k);
            continue;
        }
        CHECK_INT(k.l->ops->listen(k.l, &at, kit_on_accept, &k, &ls, &k.at), ERR_OK);
        CHECK(addr_port(&k.at) != 0);
        if (i == 2) /* every address: the loopback one among them */
            CHECK(addr_of_ip(SLICE("127.0.0.1"), addr_port(&k.at), &k.at));
        kit_pair(&k, &x);
        kit_until(&k, &k.accepted->got_n, 5);
        stream_close(&x.s);
        k.l->ops->unlisten(&ls);
        CHECK(ls == NULL);
        k.l->ops->unlisten(&ls); /* of nothing: nothing */
        kit_fini(&k);
    }
}

TEST(an_address_of_another_machine_is_refused)
{
    struct loop *l = loop_real_new(&(struct real_opts){.seed = 1});
    struct listener *ls = (struct listener *)l;
    struct addr at;

    CHECK_INT(addr_parse(SLICE("192.0.2.1:80"), &at), ERR_OK);
    CHECK_INT(loop_real_probe(&at), EADDRNOTAVAIL);
    CHECK_INT(l->ops->listen(l, &at, kit_on_accept, NULL, &ls, NULL), ERR_SYSTEM);
    CHECK(ls == NULL);
    CHECK_INT(real_of(l)->tcp_n, 0);
    loop_free(&l);
}

TEST(a_probe_tells_a_taken_address_from_a_free_one)
{
    struct kit k;

    kit_init(&k);
    CHECK_INT(loop_real_probe(&k.at), EADDRINUSE); /* though a second listener could share it */
    k.l->ops->unlisten(&k.ls);
    kit_rest(&k, CLOCK_MS_US);
    CHECK_INT(loop_real_probe(&k.at), 0);
    CHECK_INT(loop_real_probe(&k.at), 0); /* a probe leaves nothing */
    CHECK_INT(k.l->ops->listen(k.l, &k.at, kit_on_accept, &k, &k.ls, NULL), ERR_OK);
    kit_fini(&k);
}

TEST(what_was_accepted_outlives_its_listener)
{
    struct kit k;
    struct side x = {.greet = SLICE("before")}, late = {0};

    kit_init(&k);
    k.model.echo = true;
    kit_pair(&k, &x);
    k.l->ops->unlisten(&k.ls);
    kit_until(&k, &x.got_n, 6);
    kit_connect(&k, &late);
    kit_until(&k, &late.closes_n, 1);
    CHECK_INT(late.why, ERR_REFUSED);
    stream_send(x.s, SLICE(" and after"));
    kit_until(&k, &x.got_n, 16);
    stream_close(&x.s);
    stream_close(&late.s);
    kit_fini(&k);
}

/* -- closing from inside the callback ------------------------------------------------------------------- */

struct once {
    struct kit kit;
    struct listener *ls;
    size_t n;
};

static void on_only_one(void *ud, struct stream *s, const struct addr *peer)
{
    struct once *o = ud;

    (void)peer;
    o->n++;
    stream_close(&s);
    o->kit.l->ops->unlisten(&o->ls);
    kit_look(&o->kit);
}

TEST(a_listener_may_be_closed_by_its_own_callback)
{
    struct once o = {.n = 0};
    struct side x[10] = {0};

    kit_init(&o.kit);
    CHECK_INT(addr_parse(SLICE("127.0.0.1:0"), &o.kit.at), ERR_OK);
    CHECK_INT(o.kit.l->ops->listen(o.kit.l, &o.kit.at, on_only_one, &o, &o.ls, &o.kit.at), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(x); i++)
        kit_connect(&o.kit, &x[i]);
    for (size_t i = 0; i < COUNT_OF(x); i++)
        kit_until(&o.kit, &x[i].closes_n, 1);
    CHECK_INT(o.n, 1); /* the others were reset with the listener's queue, or refused */
    for (size_t i = 0; i < COUNT_OF(x); i++)
        stream_close(&x[i].s);
    kit_fini(&o.kit);
}

/* -- two loops on one port ------------------------------------------------------------------------------ */

/* A blocking connection from outside any loop; -1 on failure. */
static int plain_connect(const struct addr *to)
{
    int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to->ss, to->n) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

TEST(two_loops_on_one_port_share_its_connections)
{
    struct kit a, b;
    struct listener *shared;
    int fds[64];

    kit_init(&a);
    kit_init(&b);
    CHECK_INT(b.l->ops->listen(b.l, &a.at, kit_on_accept, &b, &shared, NULL), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = plain_connect(&a.at);
        CHECK(fds[i] >= 0);
    }
    for (int i = 0; i < 1000 && a.accepts_n + b.accepts_n < COUNT_OF(fds); i++) {
        kit_rest(&a, 0);
        kit_rest(&b, 0);
    }
    CHECK_INT(a.accepts_n + b.accepts_n, COUNT_OF(fds));
    CHECK(a.accepts_n > 0 && b.accepts_n > 0); /* by chance alone: once in 2^63 */
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
    b.l->ops->unlisten(&shared);
    kit_fini(&a);
    kit_fini(&b);
}

/* -- no descriptors ------------------------------------------------------------------------------------- */

#define FDS_MAX 256

/* In a process of its own, since the limit is the process's. Returns 0, or the number of what went wrong. */
static int run_out_of_descriptors(void)
{
    struct rlimit limit = {FDS_MAX, FDS_MAX};
    int taken[FDS_MAX], taken_n = 0, callers[3];
    struct kit k;
    uint64_t turns;

    kit_init(&k);
    for (size_t i = 0; i < COUNT_OF(callers); i++)
        callers[i] = plain_connect(&k.at);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    while (taken_n < FDS_MAX && (taken[taken_n] = fcntl(0, F_DUPFD_CLOEXEC, 0)) >= 0)
        taken_n++;
    if (taken_n == FDS_MAX || taken_n < 10)
        return 2;
    turns = kit_rest(&k, 350 * CLOCK_MS_US); /* tries now and three times more */
    if (k.accepts_n != 0)
        return 3;
    if (turns > 4 * IDLE_TURNS_MAX)
        return 4;
    struct side x = {0};
    kit_connect(&k, &x); /* nor can anything be opened, and that is told later */
    if (x.closes_n != 0 || !kit_until(&k, &x.closes_n, 1) || x.why != ERR_EXHAUSTED)
        return 5;
    stream_close(&x.s);
    while (taken_n > 0)
        close(taken[--taken_n]);
    if (!kit_until(&k, &k.accepts_n, COUNT_OF(callers)))
        return 6;
    for (size_t i = 0; i < COUNT_OF(callers); i++)
        close(callers[i]);
    kit_fini(&k);
    return 0;
}

TEST(a_process_without_descriptors_rests_and_recovers)
{
    const char *loaded = getenv("LD_PRELOAD");
    pid_t child = 0;
    int status = -1;

    if (loaded != NULL && strstr(loaded, "vgpreload") != NULL) {
        CHECK(child == 0);
        printf("# valgrind keeps the limit of descriptors to itself\n");
        return;
    }
    fflush(NULL);
    child = fork();
    if (child == 0)
        _exit(run_out_of_descriptors());
    CHECK(child > 0);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}
