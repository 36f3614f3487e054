/* SPDX-License-Identifier: MIT */
/* Preparing what serve listens at. */
#include "cmd/listening.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/certs.h"
#include "io/loop.h"

#define FIRST_INHERITED 3 /* SD_LISTEN_FDS_START */

/* What this process got is its own: a program that it starts must not take it for passed on once more. */
static bool inherit(struct sockets *s)
{
    const char *why;
    enum err e = sockets_inherit(s, FIRST_INHERITED, getenv("LISTEN_PID"), getenv("LISTEN_FDS"),
                                 getenv("LISTEN_FDNAMES"), &why);

    if (e != ERR_OK)
        fprintf(stderr, "tidegate: %s\n", why);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return e == ERR_OK;
}

static void complain(const char *text, const struct addr *at, int e)
{
    const char *hint = "";

    if (e == EADDRINUSE && addr_is_unix(at))
        hint = " (another program listens there, or the file is no socket: stop it, or remove the file)";
    else if (e == EADDRINUSE)
        hint = " (another program, or another tidegate, has this port: stop it, or start with a file whose "
               "`listen` and `admin` name other ones)";
    else if (e == ENOENT && addr_inherited(at).n > 0)
        hint = " (no socket of this name was passed on: see FileDescriptorName= of the .socket unit)";
    fprintf(stderr, "tidegate: cannot listen at %s: %s%s\n", text, strerror(e), hint);
}

static bool prepare(struct sockets *s, const struct config_listener *l)
{
    struct addr at;
    int e = 0;

    if (addr_parse(slice_of(l->at), &at) != ERR_OK || sockets_have(s, &at, NULL))
        return true;
    if (addr_is_unix(&at))
        e = sockets_bind(s, &at, l->mode);
    else if (addr_inherited(&at).n > 0)
        e = ENOENT;
    else if (addr_port(&at) != 0)
        e = loop_real_probe(&at);
    if (e != 0)
        complain(l->at, &at, e);
    return e == 0;
}

struct sockets *listening_prepare(const struct config *cfg)
{
    struct sockets *s = sockets_new();
    const struct config_listener *l;
    bool fine = inherit(s);

    for (size_t i = 0; fine && (l = certs_listener(cfg, i)) != NULL; i++)
        fine &= prepare(s, l);
    if (!fine)
        sockets_free(&s);
    return s;
}

void listening_done(struct sockets *s, struct log *log)
{
    char text[ADDR_TEXT_BYTES + ADDR_FD_NAME_BYTES + 16];

    for (size_t i = 0; sockets_unused(s, i, text, sizeof text); i++)
        LOG_WRN(log,
                "an inherited socket is not used: %s; name its address in listen, or fd:NAME with its name",
                text);
    sockets_settle(s);
}
