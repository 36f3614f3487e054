/* SPDX-License-Identifier: MIT */
/* The resolver against a name server of the test's own on loopback, on a loop that the test turns by hand:
 * its clock is a number, so that expiry needs no waiting. */
#include "io/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tap.h"

#define WATCHES_MAX 16
#define PATIENCE_MS 5000 /* how long a turn waits for the kernel before the test gives up */

struct watch {
    int fd;
    short events;
};

/* A name server, a loop and its watched descriptors. */
struct world {
    struct loop loop;
    struct resolver *r;
    struct watch watches[WATCHES_MAX];
    int dns_fd;
    uint32_t ttl_s;
    int asked_n;   /* questions of type A */
    bool dumb;     /* never answers */
    bool no_such;  /* answers NXDOMAIN */
    int handles_n; /* descriptors that are watched now */
};

static void on_watch(void *ud, int fd, bool readable, bool writable, void **handle)
{
    struct world *w = ud;
    struct watch *at = *handle;

    if (!readable && !writable) {
        CHECK(at != NULL && at->fd == fd);
        if (at != NULL)
            at->fd = -1;
        *handle = NULL;
        w->handles_n--;
        return;
    }
    for (size_t i = 0; i < WATCHES_MAX && at == NULL; i++) {
        if (w->watches[i].fd < 0)
            at = &w->watches[i];
    }
    w->handles_n += *handle == NULL;
    *at = (struct watch){fd, (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0))};
    *handle = at;
}

static void world_init(struct world *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    char servers[64];

    memset(w, 0, sizeof *w);
    loop_init(&w->loop, NULL, 1, 1000 * CLOCK_SECOND_US, 0);
    for (size_t i = 0; i < WATCHES_MAX; i++)
        w->watches[i].fd = -1;
    w->dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(bind(w->dns_fd, (struct sockaddr *)&at, n) == 0);
    CHECK(getsockname(w->dns_fd, (struct sockaddr *)&at, &n) == 0);
    w->ttl_s = 30;
    w->r = resolver_new(&w->loop, on_watch, w);
    snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(at.sin_port));
    CHECK_INT(resolver_set_servers(w->r, servers), ERR_OK);
}

static void world_fini(struct world *w)
{
    resolver_free(&w->r);
    CHECK_INT(w->handles_n, 0);
    close(w->dns_fd);
    loop_fini(&w->loop);
}

/* Answers one question: two addresses for A, none for AAAA, the case of the name kept. */
static void serve(struct world *w)
{
    static const unsigned char RR_HEAD[] = {0xc0, 12, 0, 1, 0, 1};
    unsigned char m[512];
    struct sockaddr_in from;
    socklen_t from_n = sizeof from;
    ssize_t got = recvfrom(w->dns_fd, m, sizeof m, 0, (struct sockaddr *)&from, &from_n);
    size_t end = 12;
    uint32_t ttl = htonl(w->ttl_s);

    if (!CHECK(got > 17))
        return;
    while (end < (size_t)got && m[end] != 0)
        end += 1 + (size_t)m[end];
    bool is_a = m[end + 2] == 1;
    end += 5;
    w->asked_n += is_a;
    if (w->dumb)
        return;
    m[2] = 0x81; /* a response */
    m[3] = w->no_such ? 0x83 : 0x80;
    memset(m + 6, 0, 6);
    for (unsigned char i = 1; i <= 2 && is_a && !w->no_such; i++) {
        m[7]++;
        memcpy(m + end, RR_HEAD, sizeof RR_HEAD);
        memcpy(m + end + 6, &ttl, 4);
        memcpy(m + end + 10, (unsigned char[]){0, 4, 127, 9, 9, i}, 6);
        end += 16;
    }
    sendto(w->dns_fd, m, end, 0, (struct sockaddr *)&from, from_n);
}

static void turn(struct world *w)
{
    loop_begin_turn(&w->loop, w->loop.now_us, 0);
    loop_end_turn(&w->loop);
}

/* Serves and turns until *done. */
static void run_until(struct world *w, const int *done, int want)
{
    turn(w);
    while (*done < want) {
        struct pollfd fds[WATCHES_MAX + 1] = {{.fd = w->dns_fd, .events = POLLIN}};

        for (size_t i = 0; i < WATCHES_MAX; i++)
            fds[i + 1] = (struct pollfd){.fd = w->watches[i].fd, .events = w->watches[i].events};
        if (!CHECK(poll(fds, WATCHES_MAX + 1, PATIENCE_MS) > 0))
            return;
        if (fds[0].revents != 0)
            serve(w);
        for (size_t i = 1; i <= WATCHES_MAX; i++) {
            if (fds[i].revents != 0 && w->watches[i - 1].fd == fds[i].fd)
                resolver_ready(w->r, fds[i].fd, (fds[i].revents & ~POLLOUT) != 0,
                               (fds[i].revents & POLLOUT) != 0);
        }
        turn(w);
    }
}

struct result {
    int n; /* how often the callback came */
    enum err e;
    size_t addrs_n;
    char first[64];
};

static void on_result(void *ud, enum err e, const struct addr *addrs, size_t addrs_n)
{
    struct result *x = ud;

    x->n++;
    x->e = e;
    x->addrs_n = addrs_n;
    if (addrs_n > 0)
        addr_format(&addrs[0], x->first, sizeof x->first);
}

static struct result look_up(struct world *w, const char *host)
{
    struct result x = {0};

    resolver_lookup(w->r, host, 443, on_result, &x);
    CHECK_INT(x.n, 0); /* never inside the call */
    run_until(w, &x.n, 1);
    return x;
}

TEST(addresses_need_no_look_up)
{
    struct world w;

    world_init(&w);
    struct result a = look_up(&w, "10.1.2.3"), b = look_up(&w, "::1"), c = look_up(&w, "[::1]");
    CHECK_STR(a.first, "10.1.2.3:443");
    CHECK_STR(b.first, "[::1]:443");
    CHECK_STR(c.first, "[::1]:443");
    CHECK_INT(a.addrs_n, 1);
    CHECK_INT(w.asked_n, 0);
    world_fini(&w);
}

TEST(the_hosts_file_comes_first)
{
    struct world w;

    world_init(&w);
    struct result x = look_up(&w, "localhost");
    CHECK_INT(x.e, ERR_OK);
    CHECK(strcmp(x.first, "127.0.0.1:443") == 0 || strcmp(x.first, "[::1]:443") == 0);
    CHECK_INT(w.asked_n, 0);
    world_fini(&w);
}

TEST(answers_are_kept_for_their_time)
{
    struct world w;

    world_init(&w);
    struct result x = look_up(&w, "model.tidegate.test");
    CHECK_INT(x.e, ERR_OK);
    CHECK_INT(x.addrs_n, 2);
    CHECK_INT(strncmp(x.first, "127.9.9.", 8), 0);
    CHECK_INT(w.asked_n, 1);
    x = look_up(&w, "Model.Tidegate.TEST.");
    CHECK_INT(x.addrs_n, 2);
    CHECK_INT(w.asked_n, 1);
    w.loop.now_us += 29 * CLOCK_SECOND_US;
    look_up(&w, "model.tidegate.test");
    CHECK_INT(w.asked_n, 1);
    w.loop.now_us += 2 * CLOCK_SECOND_US;
    x = look_up(&w, "model.tidegate.test");
    CHECK_INT(x.addrs_n, 2);
    CHECK_INT(w.asked_n, 2);
    world_fini(&w);
}

TEST(the_time_to_live_has_bounds)
{
    struct world w;

    world_init(&w);
    w.ttl_s = 0;
    look_up(&w, "short.tidegate.test");
    look_up(&w, "short.tidegate.test");
    CHECK_INT(w.asked_n, 1);
    w.ttl_s = 86400;
    look_up(&w, "long.tidegate.test");
    w.loop.now_us += 61 * CLOCK_SECOND_US;
    look_up(&w, "long.tidegate.test");
    CHECK_INT(w.asked_n, 3);
    world_fini(&w);
}

TEST(one_query_serves_all_who_wait)
{
    struct world w;
    struct result a = {0}, b = {0}, c = {0};

    world_init(&w);
    resolver_lookup(w.r, "shared.tidegate.test", 1, on_result, &a);
    struct lookup *k = resolver_lookup(w.r, "shared.tidegate.test", 2, on_result, &b);
    resolver_lookup(w.r, "shared.tidegate.test", 3, on_result, &c);
    resolver_cancel(&k);
    CHECK(k == NULL);
    run_until(&w, &a.n, 1);
    run_until(&w, &c.n, 1);
    CHECK_INT(w.asked_n, 1);
    CHECK_INT(b.n, 0);
    CHECK(strstr(a.first, ":1") != NULL);
    CHECK(strstr(c.first, ":3") != NULL);
    world_fini(&w);
}

TEST(failures_are_kept_for_a_second)
{
    struct world w;

    world_init(&w);
    w.no_such = true;
    struct result x = look_up(&w, "nowhere.tidegate.test");
    CHECK_INT(x.e, ERR_DNS);
    CHECK_INT(x.addrs_n, 0);
    int asked = w.asked_n;
    x = look_up(&w, "nowhere.tidegate.test");
    CHECK_INT(x.e, ERR_DNS);
    CHECK_INT(w.asked_n, asked);
    w.no_such = false;
    w.loop.now_us += CLOCK_SECOND_US + 1;
    x = look_up(&w, "nowhere.tidegate.test");
    CHECK_INT(x.e, ERR_OK);
    world_fini(&w);
}

TEST(what_is_no_name_fails)
{
    static const char *const HOSTS[] = {"",      ".",   "a b", "..", ".a", "a..b", "300.300.300.300.300",
                                        "a\xff", "a/b", "a\nb"};
    char longest[300];
    struct world w;

    world_init(&w);
    w.no_such = true;
    for (size_t i = 0; i < COUNT_OF(HOSTS); i++) {
        if (!CHECK_INT(look_up(&w, HOSTS[i]).e, ERR_DNS))
            printf("# \"%s\"\n", HOSTS[i]);
    }
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    CHECK_INT(look_up(&w, longest).e, ERR_DNS);
    longest[253] = '\0';
    CHECK_INT(look_up(&w, longest).e, ERR_DNS);
    world_fini(&w);
}

TEST(a_server_that_never_answers_costs_five_seconds)
{
    struct world w;
    struct result x = {0}, y = {0};

    world_init(&w);
    w.dumb = true;
    resolver_lookup(w.r, "slow.tidegate.test", 1, on_result, &x);
    for (int i = 0; i < 49 && x.n == 0; i++) {
        w.loop.now_us += 100 * CLOCK_MS_US;
        turn(&w);
    }
    CHECK_INT(x.n, 0);
    w.loop.now_us += 100 * CLOCK_MS_US;
    turn(&w);
    turn(&w);
    CHECK_INT(x.n, 1);
    CHECK_INT(x.e, ERR_DNS);
    /* The query that was let go of disturbs nobody. */
    w.dumb = false;
    w.loop.now_us += 2 * CLOCK_SECOND_US;
    resolver_lookup(w.r, "slow.tidegate.test", 1, on_result, &y);
    run_until(&w, &y.n, 1);
    CHECK_INT(y.e, ERR_OK);
    world_fini(&w);
}

TEST(the_cache_is_bounded)
{
    struct world w;
    char host[64];

    world_init(&w);
    for (int i = 0; i < 300; i++) {
        snprintf(host, sizeof host, "h%d.tidegate.test", i);
        CHECK_INT(look_up(&w, host).e, ERR_OK);
    }
    CHECK_INT(w.asked_n, 300);
    look_up(&w, "h299.tidegate.test");
    CHECK_INT(w.asked_n, 300);
    look_up(&w, "h0.tidegate.test"); /* the oldest had to go */
    CHECK_INT(w.asked_n, 301);
    world_fini(&w);
}

TEST(more_hosts_at_once_than_it_keeps_are_refused)
{
    enum { N = 260 };
    struct world w;
    struct result x[N] = {0};
    struct lookup *k[N];
    char host[64];
    int failed = 0;

    world_init(&w);
    w.dumb = true;
    for (int i = 0; i < N; i++) {
        snprintf(host, sizeof host, "h%d.tidegate.test", i);
        k[i] = resolver_lookup(w.r, host, 1, on_result, &x[i]);
    }
    turn(&w);
    for (int i = 0; i < N; i++) {
        failed += x[i].n == 1 && x[i].e == ERR_DNS;
        if (x[i].n == 0)
            resolver_cancel(&k[i]);
    }
    CHECK_INT(failed, 4);
    world_fini(&w);
}

static struct lookup *to_cancel;

static void on_cancel_other(void *ud, enum err e, const struct addr *addrs, size_t addrs_n)
{
    on_result(ud, e, addrs, addrs_n);
    resolver_cancel(&to_cancel);
}

TEST(a_callback_may_cancel_another_look_up)
{
    struct world w;
    struct result a = {0}, b = {0};

    world_init(&w);
    resolver_lookup(w.r, "10.0.0.1", 1, on_cancel_other, &a);
    to_cancel = resolver_lookup(w.r, "10.0.0.2", 1, on_result, &b);
    turn(&w);
    turn(&w);
    CHECK_INT(a.n, 1);
    CHECK_INT(b.n, 0);
    CHECK(to_cancel == NULL);
    world_fini(&w);
}

TEST(bad_server_lists_are_refused)
{
    struct world w;

    world_init(&w);
    CHECK_INT(resolver_set_servers(w.r, "not a server"), ERR_MALFORMED);
    world_fini(&w);
}
