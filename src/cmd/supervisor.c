/* SPDX-License-Identifier: MIT */
/* Keeping a service manager informed. */
#include "cmd/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/notify_socket.h"

#define STATUS_BYTES 512

/* A message to a worker, and whether it was taken. */
struct ping {
    struct message message;
    struct loop *loop;
    int taken; /* atomic: by the worker */
};

struct supervisor {
    struct notify_socket *socket; /* or NULL */
    int64_t watchdog_us;          /* the manager's interval; 0: none */
    struct loop *control;         /* NULL until ready */
    struct timer timer;
    struct ping *pings;
    size_t pings_n;
};

/* The interval, if it is meant for this process. */
static int64_t watchdog_of(const char *usec, const char *pid)
{
    uint64_t us, for_pid;

    if (usec == NULL || !slice_to_u64(slice_of(usec), INT64_MAX, &us))
        return 0;
    if (pid != NULL && (!slice_to_u64(slice_of(pid), INT32_MAX, &for_pid) || for_pid != (uint64_t)getpid()))
        return 0;
    return (int64_t)us;
}

struct supervisor *supervisor_new(void)
{
    struct supervisor *s = MEM_NEW(struct supervisor);

    s->socket = notify_socket_open(getenv("NOTIFY_SOCKET"));
    s->watchdog_us = watchdog_of(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return s;
}

void supervisor_free(struct supervisor **sp)
{
    struct supervisor *s = *sp;

    *sp = NULL;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->pings_n; i++)
        (void)mailbox_withdraw(&s->pings[i].loop->mailbox, &s->pings[i].message);
    if (s->control != NULL)
        timer_stop(&s->control->wheel, &s->timer);
    notify_socket_free(&s->socket);
    mem_free(s->pings);
    mem_free(s);
}

static void say(struct supervisor *s, const char *text)
{
    if (s->socket != NULL)
        (void)notify_socket_send(s->socket, text);
}

/* -- the watchdog ---------------------------------------------------------------------------------------- */

static void on_ping(struct message *m)
{
    __atomic_store_n(&CONTAINER_OF(m, struct ping, message)->taken, 1, __ATOMIC_RELEASE);
}

static bool is_taken(const struct ping *p)
{
    return __atomic_load_n(&p->taken, __ATOMIC_ACQUIRE) != 0;
}

static void send_pings(struct supervisor *s)
{
    for (size_t i = 0; i < s->pings_n; i++) {
        struct ping *p = &s->pings[i];

        __atomic_store_n(&p->taken, 0, __ATOMIC_RELEASE);
        message_init(&p->message, on_ping);
        mailbox_send(&p->loop->mailbox, &p->message);
    }
}

static void on_feeding_time(struct timer *t)
{
    struct supervisor *s = CONTAINER_OF(t, struct supervisor, timer);
    bool all = true;

    for (size_t i = 0; i < s->pings_n; i++)
        all &= is_taken(&s->pings[i]);
    if (all) {
        say(s, "WATCHDOG=1");
        send_pings(s);
    }
    timer_set(&s->control->wheel, &s->timer, s->control->now_us + s->watchdog_us / 2);
}

/* -- what is said ---------------------------------------------------------------------------------------- */

void supervisor_ready(struct supervisor *s, struct loop *control, struct loop *const *workers, size_t n,
                      const char *status)
{
    char text[STATUS_BYTES];

    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
    say(s, text);
    if (s->socket == NULL || s->watchdog_us == 0)
        return;
    s->control = control;
    s->pings_n = n;
    s->pings = mem_zalloc(n * sizeof *s->pings);
    for (size_t i = 0; i < n; i++) {
        s->pings[i].loop = workers[i];
        message_init(&s->pings[i].message, on_ping);
    }
    send_pings(s);
    timer_init(&s->timer, on_feeding_time);
    timer_set(&control->wheel, &s->timer, control->now_us + s->watchdog_us / 2);
}

void supervisor_reloading(struct supervisor *s)
{
    char text[STATUS_BYTES];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading",
             (long long)clock_mono_us());
    say(s, text);
}

void supervisor_reloaded(struct supervisor *s, const char *status)
{
    char text[STATUS_BYTES];

    snprintf(text, sizeof text, "READY=1\nSTATUS=%s", status);
    say(s, text);
}

void supervisor_stopping(struct supervisor *s, int64_t patience_us, const char *status)
{
    char text[STATUS_BYTES];

    snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\nSTATUS=%s", (long long)patience_us,
             status);
    say(s, text);
}
