/* SPDX-License-Identifier: MIT */
/* Addresses that take no connections, over real sockets and in virtual io. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "io/loop.h"
#include "io/virtual.h"
#include "tap.h"

/* A connect that is under way or has an end: 0, errno, or EINPROGRESS when nothing came within `ms`. */
static int try_connect(const struct addr *to, int ms)
{
    int fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0;
    socklen_t n = sizeof error;
    struct pollfd p = {fd, POLLOUT, 0};

    if (connect(fd, (const struct sockaddr *)&to->ss, to->n) != 0 && errno != EINPROGRESS)
        error = errno;
    else if (poll(&p, 1, ms) == 0)
        error = EINPROGRESS;
    else
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0);
    close(fd);
    return error;
}

static void nobody(void *ud, struct stream *s, const struct addr *peer)
{
    (void)ud;
    (void)peer;
    stream_close(&s);
}

TEST(an_address_can_refuse_be_deaf_and_listen_again)
{
    struct real_opts ro = {.pending_max = 65536};
    struct loop *l = loop_real_new(&ro);
    struct listener *ls = NULL;
    struct mute *m = NULL;
    struct addr any, at;

    CHECK_INT(addr_parse(SLICE("127.0.0.1:0"), &any), ERR_OK);
    CHECK_INT(l->ops->listen(l, &any, nobody, NULL, &ls, &at), ERR_OK);
    CHECK_INT(try_connect(&at, 10000), 0);
    CHECK_INT(l->ops->mute(l, &at, false, &m), ERR_OK); /* beside the listener: it only holds the port */
    CHECK_INT(try_connect(&at, 10000), 0);
    l->ops->unlisten(&ls);
    CHECK_INT(try_connect(&at, 10000), ECONNREFUSED);
    l->ops->unmute(&m);
    CHECK_INT(l->ops->mute(l, &at, true, &m), ERR_OK);
    for (int i = 0; i < 3; i++)
        CHECK_INT(try_connect(&at, 50), EINPROGRESS);
    CHECK_INT(l->ops->listen(l, &at, nobody, NULL, &ls, NULL), ERR_OK);
    l->ops->unmute(&m);
    CHECK_INT(try_connect(&at, 10000), 0);
    l->ops->unlisten(&ls);
    CHECK_INT(l->ops->mute(l, &at, false, &m), ERR_OK);
    l->ops->unmute(&m);
    CHECK(m == NULL);
    l->ops->unmute(&m);
    loop_free(&l);
}

TEST(a_foreign_address_cannot_be_held)
{
    struct real_opts ro = {.pending_max = 65536};
    struct loop *l = loop_real_new(&ro);
    struct mute *m = NULL;
    struct addr at;

    CHECK_INT(addr_parse(SLICE("192.0.2.1:9"), &at), ERR_OK);
    CHECK_INT(l->ops->mute(l, &at, true, &m), ERR_SYSTEM);
    CHECK(m == NULL);
    loop_free(&l);
}

struct knock {
    struct stream *s;
    bool open;
    enum err why;
};

static void on_open(void *ud)
{
    ((struct knock *)ud)->open = true;
}

static void on_close(void *ud, enum err why)
{
    ((struct knock *)ud)->why = why;
}

/* One connect of ten virtual seconds. */
static struct knock knock(struct vnet *v, struct loop *l, const struct addr *at)
{
    static const struct stream_cb CB = {on_open, NULL, NULL, on_close};
    struct knock k = {.why = ERR_OK};

    k.s = l->ops->connect(l, at, 65536);
    stream_set_cb(k.s, &CB, &k);
    vnet_run(v, vnet_now_us(v) + 10000000, NULL);
    stream_close(&k.s);
    vnet_run(v, vnet_now_us(v) + 1000000, NULL);
    return k;
}

TEST(virtual_addresses_are_deaf_while_they_are_held)
{
    struct vnet_opts o = {.seed = 1};
    struct vnet *v = vnet_new(&o);
    struct loop *l = vnet_loop(v, NULL, 65536);
    struct listener *ls = NULL;
    struct mute *m = NULL;
    struct knock k;
    struct addr at;

    CHECK_INT(addr_parse(SLICE("10.0.0.1:80"), &at), ERR_OK);
    CHECK_INT(l->ops->mute(l, &at, false, &m), ERR_OK);
    k = knock(v, l, &at);
    CHECK(!k.open && k.why == ERR_REFUSED);
    l->ops->unmute(&m);
    CHECK_INT(l->ops->listen(l, &at, nobody, NULL, &ls, NULL), ERR_OK);
    CHECK(knock(v, l, &at).open);
    CHECK_INT(l->ops->mute(l, &at, true, &m), ERR_OK);
    k = knock(v, l, &at);
    CHECK(!k.open && k.why == ERR_OK);
    l->ops->unmute(&m);
    CHECK(m == NULL && knock(v, l, &at).open);
    l->ops->unlisten(&ls);
    loop_free(&l);
    vnet_free(&v);
}
