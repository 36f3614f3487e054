/* SPDX-License-Identifier: MIT */
/* The watchdog in virtual time: fed while every worker turns, and not when one does not. */
#include "cmd/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/virtual.h"
#include "tap.h"

#define WATCHDOG_US (30 * CLOCK_SECOND_US)

struct scene {
    struct vnet *net;
    struct loop *control, *workers[2];
    struct supervisor *s;
    int fd; /* the manager's */
};

static void begin(struct scene *x, const char *pid)
{
    char name[64], text[32];
    struct addr at;

    snprintf(name, sizeof name, "@tidegate-supervisor-%d", (int)getpid());
    x->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    CHECK(addr_of_unix(slice_of(name), &at) && bind(x->fd, (struct sockaddr *)&at.ss, at.n) == 0);
    snprintf(text, sizeof text, "%lld", (long long)WATCHDOG_US);
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", text, 1);
    if (pid != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    x->net = vnet_new(&(struct vnet_opts){.seed = 1});
    x->control = vnet_loop(x->net, NULL, 4096);
    for (int i = 0; i < 2; i++)
        x->workers[i] = vnet_loop(x->net, NULL, 4096);
    x->s = supervisor_new();
    CHECK(getenv("NOTIFY_SOCKET") == NULL && getenv("WATCHDOG_USEC") == NULL);
    CHECK(getenv("WATCHDOG_PID") == NULL);
}

static void end(struct scene *x)
{
    supervisor_free(&x->s);
    supervisor_free(&x->s);
    for (int i = 0; i < 2; i++)
        loop_free(&x->workers[i]);
    loop_free(&x->control);
    vnet_free(&x->net);
    close(x->fd);
}

/* The next message, or "" when there is none. */
static const char *heard(const struct scene *x)
{
    static char text[512];
    ssize_t n = recv(x->fd, text, sizeof text - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static void run(const struct scene *x, int64_t us)
{
    vnet_run(x->net, vnet_now_us(x->net) + us, NULL);
}

TEST(fed_at_half_its_interval)
{
    struct scene x;

    begin(&x, NULL);
    supervisor_ready(x.s, x.control, x.workers, 2, "Serving");
    CHECK_STR(heard(&x), "READY=1\nSTATUS=Serving");
    run(&x, WATCHDOG_US / 2 - CLOCK_SECOND_US);
    CHECK_STR(heard(&x), "");
    run(&x, 2 * CLOCK_SECOND_US);
    CHECK_STR(heard(&x), "WATCHDOG=1");
    for (int i = 0; i < 10; i++) {
        run(&x, WATCHDOG_US / 2);
        CHECK_STR(heard(&x), "WATCHDOG=1");
        CHECK_STR(heard(&x), "");
    }
    end(&x);
}

TEST(not_fed_while_a_worker_is_stuck)
{
    struct vnet *elsewhere = vnet_new(&(struct vnet_opts){.seed = 2}); /* runs only when the test says so */
    struct scene x;

    begin(&x, NULL);
    loop_free(&x.workers[1]);
    x.workers[1] = vnet_loop(elsewhere, NULL, 4096);
    supervisor_ready(x.s, x.control, x.workers, 2, "Serving");
    CHECK_STR(heard(&x), "READY=1\nSTATUS=Serving");
    run(&x, 10 * WATCHDOG_US);
    CHECK_STR(heard(&x), "");
    vnet_run(elsewhere, vnet_now_us(elsewhere) + 1, NULL); /* it turns again */
    run(&x, WATCHDOG_US / 2);
    CHECK_STR(heard(&x), "WATCHDOG=1");
    run(&x, WATCHDOG_US);
    CHECK_STR(heard(&x), "");
    end(&x); /* takes back the message that is still in its box */
    vnet_free(&elsewhere);
}

TEST(a_watchdog_of_somebody_else)
{
    struct scene x;

    begin(&x, "1");
    supervisor_ready(x.s, x.control, x.workers, 2, "Serving");
    CHECK_STR(heard(&x), "READY=1\nSTATUS=Serving");
    run(&x, 10 * WATCHDOG_US);
    CHECK_STR(heard(&x), "");
    end(&x);
}

TEST(what_a_manager_hears_of_a_life)
{
    struct scene x;
    char pid[16];

    snprintf(pid, sizeof pid, "%d", (int)getpid());
    begin(&x, pid);
    supervisor_ready(x.s, x.control, x.workers, 2, "Serving");
    CHECK_STR(heard(&x), "READY=1\nSTATUS=Serving");
    run(&x, WATCHDOG_US / 2 + CLOCK_SECOND_US);
    CHECK_STR(heard(&x), "WATCHDOG=1");
    supervisor_reloading(x.s);
    CHECK(strncmp(heard(&x), "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
    supervisor_reloaded(x.s, "Serving more");
    CHECK_STR(heard(&x), "READY=1\nSTATUS=Serving more");
    supervisor_stopping(x.s, 37 * CLOCK_SECOND_US, "Draining");
    CHECK_STR(heard(&x), "STOPPING=1\nEXTEND_TIMEOUT_USEC=37000000\nSTATUS=Draining");
    run(&x, WATCHDOG_US / 2); /* a drain has to turn as well */
    CHECK_STR(heard(&x), "WATCHDOG=1");
    end(&x);
}

TEST(without_a_manager_nothing_is_said)
{
    struct vnet *net = vnet_new(&(struct vnet_opts){.seed = 1});
    struct loop *l = vnet_loop(net, NULL, 4096);
    struct supervisor *s;

    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "nonsense", 1);
    s = supervisor_new();
    supervisor_ready(s, l, &l, 1, "Serving");
    supervisor_reloading(s);
    supervisor_reloaded(s, "Serving");
    supervisor_stopping(s, 1, "Draining");
    vnet_run(net, vnet_now_us(net) + WATCHDOG_US, NULL);
    CHECK(mailbox_is_empty(&l->mailbox));
    supervisor_free(&s);
    loop_free(&l);
    vnet_free(&net);
}
