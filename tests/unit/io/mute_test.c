/* SPDX-License-Identifier: MIT */
/* Addresses that take no connections, over real sockets. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "io/loop.h"
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
