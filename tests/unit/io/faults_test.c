/* SPDX-License-Identifier: MIT */
/* Every system call of real io fails once, in each way that it can: what that ends, and what goes on.
 *
 * The program is linked with --wrap for the calls below (see the Makefile), so that the code under test is
 * the one that ships. A row names a call, its errors, a scene in which it is made, and what must come of it;
 * a pair of streams that was there before talks on through all of it. docs/failing.md carries these tables in
 * the words of users. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/helpers.h"
#include "io/notify_socket.h"
#include "io/outlet.h"
#include "io/watch.h"
#include "real_kit.h"

/* -- the kernel that fails ------------------------------------------------------------------------------- */

#define SHORT (-1) /* instead of an error: it takes or gives a part */

static struct {
    const char *call; /* NULL: nothing fails */
    int error;
    int skip; /* calls that still succeed */
    int hits;
} fault;

static void strike(const char *call, int error, int skip)
{
    fault.call = call;
    fault.error = error;
    fault.skip = skip;
    fault.hits = 0;
}

static bool is_struck(const char *call)
{
    if (fault.call == NULL || strcmp(fault.call, call) != 0 || fault.skip-- > 0)
        return false;
    fault.call = NULL;
    fault.hits++;
    if (fault.error != SHORT)
        errno = fault.error;
    return true;
}

/* The real call, and the one that the linker puts in its place. */
#define WRAP(type, name, parameters, arguments) \
    type __real_##name parameters;              \
    type __wrap_##name parameters;              \
    type __wrap_##name parameters               \
    {                                           \
        if (is_struck(#name))                   \
            return (type)-1;                    \
        return __real_##name arguments;         \
    }
/* One that can also do a part of it: `n` is how much it is asked for. */
#define WRAP_SHORT(name, parameters, arguments, part) \
    ssize_t __real_##name parameters;                 \
    ssize_t __wrap_##name parameters;                 \
    ssize_t __wrap_##name parameters                  \
    {                                                 \
        if (is_struck(#name)) {                       \
            if (fault.error != SHORT)                 \
                return -1;                            \
            return __real_##name part;                \
        }                                             \
        return __real_##name arguments;               \
    }

WRAP(int, socket, (int a, int b, int c), (a, b, c))
WRAP(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(int, listen, (int fd, int n), (fd, n))
WRAP(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
WRAP(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
WRAP(int, getsockopt, (int fd, int l, int o, void *v, socklen_t *n), (fd, l, o, v, n))
WRAP(int, setsockopt, (int fd, int l, int o, const void *v, socklen_t n), (fd, l, o, v, n))
WRAP(int, shutdown, (int fd, int how), (fd, how))
WRAP(int, epoll_create1, (int flags), (flags))
WRAP(int, epoll_ctl, (int set, int op, int fd, struct epoll_event *e), (set, op, fd, e))
WRAP(int, epoll_wait, (int set, struct epoll_event *e, int max, int ms), (set, e, max, ms))
WRAP(int, eventfd, (unsigned n, int flags), (n, flags))
WRAP(int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
WRAP(int, inotify_init1, (int flags), (flags))
WRAP(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
WRAP(ssize_t, sendto, (int fd, const void *p, size_t n, int f, const struct sockaddr *a, socklen_t m),
     (fd, p, n, f, a, m))
WRAP(ssize_t, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags))
WRAP_SHORT(recv, (int fd, void *p, size_t n, int f), (fd, p, n, f), (fd, p, 1, f))
WRAP_SHORT(send, (int fd, const void *p, size_t n, int f), (fd, p, n, f), (fd, p, (n + 1) / 2, f))
WRAP_SHORT(sendmsg, (int fd, const struct msghdr *m, int f), (fd, m, f),
           (fd, &(struct msghdr){.msg_iov = m->msg_iov, .msg_iovlen = 1}, f))
WRAP_SHORT(write, (int fd, const void *p, size_t n), (fd, p, n), (fd, p, (n + 1) / 2))

int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *ud);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *ud);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *ud)
{
    return is_struck("pthread_create") ? fault.error : __real_pthread_create(t, a, run, ud);
}

/* -- streams --------------------------------------------------------------------------------------------- */

enum scene {
    CONNECTING, /* one more connection is made */
    ACCEPTING,  /* a stranger comes */
    READING,    /* the accepted side is told something */
    WRITING,    /* the accepted side says something large */
    WRITING_UP, /* the connected side does */
    RESUMING,   /* the connected side was paused, and goes on */
    ENDING,     /* the accepted side ends */
};

enum result {
    FINE,   /* nobody notices */
    ENDS,   /* the stream ends, with `why` */
    CLOSED, /* the peer sees a connection that closes */
};

#define ERRORS_MAX 12

struct row {
    const char *call;
    enum scene scene;
    int skip;
    enum result result;
    enum err why;
    int errors[ERRORS_MAX]; /* up to the first 0 */
};

/* What the machine lacks is said as such, so that no endpoint is blamed for it. */
static const struct row ROWS[] = {
    {"socket", CONNECTING, 0, ENDS, ERR_EXHAUSTED, {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
    {"socket", CONNECTING, 0, ENDS, ERR_REFUSED, {EACCES}},
    {"setsockopt", CONNECTING, 0, FINE, ERR_OK, {EINVAL, ENOPROTOOPT, ENOMEM}},
    {"connect",
     CONNECTING,
     0,
     ENDS,
     ERR_REFUSED,
     {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EACCES, EPERM, EAGAIN}},
    {"connect", CONNECTING, 0, ENDS, ERR_EXHAUSTED, {ENOBUFS, ENOMEM}},
    {"connect", CONNECTING, 0, ENDS, ERR_TIMEOUT, {ETIMEDOUT}},
    {"connect", CONNECTING, 0, ENDS, ERR_RESET, {ECONNRESET}},
    {"getsockopt", CONNECTING, 0, ENDS, ERR_EXHAUSTED, {ENOBUFS, ENOMEM}},
    {"epoll_ctl", CONNECTING, 0, ENDS, ERR_EXHAUSTED, {ENOMEM, ENOSPC}},
    {"epoll_wait", CONNECTING, 0, FINE, ERR_OK, {EINTR}},
    {"accept4",
     ACCEPTING,
     0,
     FINE,
     ERR_OK,
     {ECONNABORTED, EINTR, EPERM, EPROTO, EAGAIN, ENETDOWN, EHOSTUNREACH, ETIMEDOUT}},
    {"accept4", ACCEPTING, 0, FINE, ERR_OK, {EMFILE, ENFILE, ENOBUFS, ENOMEM, EINVAL}}, /* after a rest */
    {"setsockopt", ACCEPTING, 0, FINE, ERR_OK, {EINVAL, ENOMEM}},
    {"epoll_ctl", ACCEPTING, 0, CLOSED, ERR_OK, {ENOMEM, ENOSPC}},
    {"recv", READING, 0, ENDS, ERR_RESET, {ECONNRESET}},
    {"recv", READING, 0, ENDS, ERR_TIMEOUT, {ETIMEDOUT}},
    {"recv", READING, 0, ENDS, ERR_REFUSED, {EHOSTUNREACH, ENETUNREACH}},
    {"recv", READING, 0, ENDS, ERR_EXHAUSTED, {ENOMEM, ENOBUFS}},
    {"recv", READING, 0, ENDS, ERR_SYSTEM, {EIO}},
    {"recv", READING, 0, FINE, ERR_OK, {EINTR, EAGAIN, SHORT}},
    {"send", WRITING, 0, ENDS, ERR_RESET, {EPIPE, ECONNRESET}},
    {"send", WRITING, 0, ENDS, ERR_TIMEOUT, {ETIMEDOUT}},
    {"send", WRITING, 0, ENDS, ERR_EXHAUSTED, {ENOMEM, ENOBUFS}},
    {"send", WRITING, 0, FINE, ERR_OK, {EINTR, EAGAIN, SHORT}},
    {"send", WRITING_UP, 0, FINE, ERR_OK, {EINTR, EAGAIN, SHORT}},
    {"send", WRITING_UP, 0, ENDS, ERR_EXHAUSTED, {ENOMEM, ENOBUFS}},
    {"epoll_ctl", RESUMING, 1, ENDS, ERR_EXHAUSTED, {ENOMEM, ENOSPC}}, /* it would be deaf from now on */
    {"shutdown", ENDING, 0, FINE, ERR_OK, {ENOTCONN, ENOBUFS}},
};

static char bytes[64 * 1024];

/* The old pair talks on. */
static void check_others(struct kit *k, struct side *old, struct side *peer)
{
    size_t before = peer->got_n;

    stream_send(old->s, SLICE("still here"));
    kit_until(k, &peer->got_n, before + 10);
    CHECK(old->closes_n == 0 && peer->closes_n == 0);
}

static bool ends_as(struct kit *k, struct side *x, const struct row *r)
{
    if (!kit_until(k, &x->closes_n, 1))
        return false;
    return CHECK_INT(x->why, r->why);
}

static bool play_connecting(struct kit *k, const struct row *r, struct side *x)
{
    kit_connect(k, x);
    if (r->result == ENDS)
        return CHECK_INT(x->closes_n, 0) && ends_as(k, x, r); /* never inside the call */
    return kit_until(k, &x->opens_n, 1);
}

static bool play_accepting(struct kit *k, const struct row *r)
{
    int fd = __real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t before = k->accepts_n;
    bool fine = __real_connect(fd, (const struct sockaddr *)&k->at.ss, k->at.n) == 0;
    char byte;

    if (r->result == FINE) {
        fine = fine && kit_until(k, &k->accepts_n, before + 1);
    } else {
        kit_rest(k, 50 * CLOCK_MS_US);
        fine = fine && k->accepts_n == before && __real_recv(fd, &byte, 1, 0) <= 0;
    }
    close(fd);
    return fine;
}

static bool play_talk(struct kit *k, const struct row *r, struct side *from, struct side *to)
{
    struct side *struck = r->scene == READING ? to : from;
    size_t want = to->got_n + sizeof bytes;

    stream_send(from->s, (struct slice){bytes, sizeof bytes});
    if (r->result == ENDS)
        return ends_as(k, struck, r);
    return kit_until(k, &to->got_n, want);
}

static bool play_ending(struct kit *k, struct side *from, struct side *to)
{
    size_t want = to->got_n + sizeof bytes;

    stream_send(from->s, (struct slice){bytes, sizeof bytes});
    stream_finish(&from->s);
    return kit_until(k, &to->got_n, want);
}

static bool play(struct kit *k, const struct row *r, int error)
{
    struct side up = {0}, fresh = {0}, *down = NULL;
    bool fine = false;

    if (r->scene >= READING)
        down = kit_pair(k, &up);
    strike(r->call, error, r->skip);
    switch (r->scene) {
    case CONNECTING:
        fine = play_connecting(k, r, &fresh);
        break;
    case ACCEPTING:
        fine = play_accepting(k, r);
        break;
    case READING:
    case WRITING_UP:
        fine = play_talk(k, r, &up, down);
        break;
    case WRITING:
        fine = play_talk(k, r, down, &up);
        break;
    case RESUMING:
        stream_pause(up.s);
        stream_resume(up.s);
        fine = ends_as(k, &up, r);
        break;
    case ENDING:
        fine = play_ending(k, down, &up);
        break;
    }
    fault.call = NULL;
    stream_close(&fresh.s);
    stream_close(&up.s);
    return fine;
}

TEST(every_call_of_a_stream_fails_once)
{
    size_t hits = 0, rows_n = 0;

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        for (const int *e = ROWS[i].errors; *e != 0; e++) {
            struct side old = {0}, *peer;
            struct kit k;

            kit_init(&k);
            peer = kit_pair(&k, &old);
            if (!CHECK(play(&k, &ROWS[i], *e)))
                printf("# %s in scene %d: %s\n", ROWS[i].call, (int)ROWS[i].scene,
                       *e == SHORT ? "short" : strerror(*e));
            hits += (size_t)fault.hits;
            rows_n++;
            check_others(&k, &old, peer);
            stream_close(&old.s);
            kit_fini(&k);
        }
    }
    printf("# %zu rows, %zu struck\n", rows_n, hits);
    CHECK_INT(hits, rows_n);
}

/* -- starting -------------------------------------------------------------------------------------------- */

static bool start_loop(void)
{
    struct loop *l = loop_real_new(&(struct real_opts){.seed = 1});
    bool made = l != NULL;

    loop_free(&l);
    return made;
}

static bool start_listener(void)
{
    struct loop *l = loop_real_new(&(struct real_opts){.seed = 1});
    struct listener *ls = NULL;
    struct addr at;
    bool made;
    int e;

    fault.skip = fault.call != NULL && strcmp(fault.call, "epoll_ctl") == 0 ? fault.skip : 0;
    CHECK(addr_parse(SLICE("127.0.0.1:0"), &at) == ERR_OK);
    made = l->ops->listen(l, &at, kit_on_accept, NULL, &ls, NULL) == ERR_OK;
    e = errno;
    l->ops->unlisten(&ls);
    loop_free(&l);
    errno = e;
    return made;
}

static void on_signal(void *ud, int sig)
{
    (void)ud;
    (void)sig;
}

static bool start_signals(void)
{
    static const int signals[] = {SIGUSR1};
    struct loop *l = loop_real_new(&(struct real_opts){.seed = 1});
    bool made = loop_real_signals(l, signals, 1, on_signal, NULL) == ERR_OK;
    int e = errno;

    loop_free(&l);
    errno = e;
    return made;
}

static bool start_watch(void)
{
    struct loop *l = loop_real_new(&(struct real_opts){.seed = 1});
    struct watch *w = watch_new(l, "/etc/hostname", (void (*)(void *))free, NULL);
    bool made = w != NULL;
    int e = errno;

    watch_free(&w);
    loop_free(&l);
    errno = e;
    return made;
}

static bool start_notify(void)
{
    struct notify_socket *n = notify_socket_open("@tidegate-faults-test");
    bool made = n != NULL;

    if (made)
        made = notify_socket_send(n, "READY=1");
    notify_socket_free(&n);
    return made;
}

/* What cannot be made says so, with the kernel's word; nothing of it stays behind (the sanitizer looks). */
static const struct {
    const char *call;
    bool (*start)(void);
    int skip;
    bool made; /* all the same */
    int errors[ERRORS_MAX];
} STARTS[] = {
    {"epoll_create1", start_loop, 0, false, {EMFILE, ENFILE, ENOMEM}},
    {"eventfd", start_loop, 0, false, {EMFILE, ENFILE, ENOMEM}},
    {"epoll_ctl", start_loop, 0, false, {ENOMEM, ENOSPC}},
    {"socket", start_listener, 0, false, {EMFILE, ENFILE, ENOMEM, EACCES}},
    {"bind", start_listener, 0, false, {EADDRINUSE, EADDRNOTAVAIL, EACCES}},
    {"listen", start_listener, 0, false, {EADDRINUSE}},
    {"setsockopt", start_listener, 0, true, {EINVAL}},
    {"epoll_ctl", start_listener, 1, false, {ENOMEM, ENOSPC}},
    {"signalfd", start_signals, 0, false, {EMFILE, ENFILE, ENOMEM}},
    {"epoll_ctl", start_signals, 1, false, {ENOMEM, ENOSPC}},
    {"inotify_init1", start_watch, 0, false, {EMFILE, ENFILE, ENOMEM}},
    {"epoll_ctl", start_watch, 1, false, {ENOMEM, ENOSPC}},
    {"inotify_add_watch", start_watch, 0, true, {ENOSPC, ENOMEM, ENOENT}}, /* and is tried again */
    {"socket", start_notify, 0, false, {EMFILE, ENOMEM}},
    {"sendto", start_notify, 0, false, {ECONNREFUSED, ENOBUFS, EAGAIN, ENOMEM}},
};

TEST(what_cannot_be_made_says_why)
{
    for (size_t i = 0; i < COUNT_OF(STARTS); i++) {
        for (const int *e = STARTS[i].errors; *e != 0; e++) {
            bool made;
            int said;

            strike(STARTS[i].call, *e, STARTS[i].skip);
            errno = 0;
            made = STARTS[i].start();
            said = errno;
            fault.call = NULL;
            CHECK_INT(fault.hits, 1);
            if (!CHECK_INT(made, STARTS[i].made) || (!made && !CHECK_INT(said, *e)))
                printf("# %s: %s\n", STARTS[i].call, strerror(*e));
        }
    }
}

/* -- logs, dice and threads ------------------------------------------------------------------------------ */

/* What a log could not be written is kept by its owner and written later, once. */
TEST(a_log_that_cannot_be_written_loses_nothing_at_once)
{
    static const int errors[] = {EINTR, EAGAIN, EIO, ENOSPC, EDQUOT, EFBIG, EPIPE, SHORT};

    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        FILE *f = tmpfile();
        char got[20000];
        size_t n, wrote;

        strike("write", errors[i], 0);
        wrote = outlet_write(fileno(f), (struct slice){bytes, 15000}, 0);
        CHECK_INT(fault.hits, 1);
        CHECK_INT((long long)wrote, errors[i] == EINTR || errors[i] == SHORT ? 15000 : 0);
        wrote += outlet_write(fileno(f), (struct slice){bytes + wrote, 15000 - wrote}, 0);
        CHECK_INT((long long)wrote, 15000);
        rewind(f);
        n = fread(got, 1, sizeof got, f);
        CHECK(n == 15000 && memcmp(got, bytes, n) == 0);
        fclose(f);
    }
}

TEST(random_bytes_are_waited_for)
{
    unsigned char a[32] = {0}, zero[32] = {0};

    strike("getrandom", EINTR, 0);
    rng_secret_bytes(a, sizeof a);
    CHECK_INT(fault.hits, 1);
    CHECK(memcmp(a, zero, sizeof a) != 0);
}

struct job {
    struct task task;
    pthread_t worked_on;
    int done_n;
};

static void on_work(struct task *t)
{
    CONTAINER_OF(t, struct job, task)->worked_on = pthread_self();
}

static void on_home(struct message *m)
{
    CONTAINER_OF(CONTAINER_OF(m, struct task, message), struct job, task)->done_n++;
}

TEST(without_a_thread_the_worker_helps_itself)
{
    static const int errors[] = {EAGAIN, ENOMEM, EPERM};

    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct helpers *h = helpers_new(1);
        struct job j = {.task = {.work = on_work}};
        struct mailbox home;

        mailbox_init(&home, NULL, NULL);
        j.task.home = &home;
        message_init(&j.task.message, on_home);
        strike("pthread_create", errors[i], 0);
        helpers_submit(h, &j.task);
        CHECK_INT(fault.hits, 1);
        mailbox_deliver(&home);
        CHECK(j.done_n == 1 && pthread_equal(j.worked_on, pthread_self()));
        helpers_free(&h);
        mailbox_fini(&home);
    }
}
