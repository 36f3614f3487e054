/* SPDX-License-Identifier: MIT */
/* Shared listening sockets: Unix sockets and their files, inherited descriptors, and loops that share them.
 */
#include "io/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "real_kit.h"

#define FIRST 200 /* where the tests' inherited descriptors begin */

static char dir[] = "/tmp/tidegate-test-XXXXXX";

__attribute__((constructor)) static void make_dir(void)
{
    if (mkdtemp(dir) == NULL)
        abort();
}

__attribute__((destructor)) static void remove_dir(void)
{
    rmdir(dir);
}

static struct addr at_path(const char *name, char *path, size_t n)
{
    struct addr a;

    snprintf(path, n, "%s/%s", dir, name);
    CHECK(addr_of_unix(slice_of(path), &a));
    return a;
}

static bool exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

TEST(a_unix_socket_has_its_mode_and_goes_at_the_end)
{
    char path[100];
    struct addr at = at_path("mode", path, sizeof path);
    struct sockets *s = sockets_new();
    struct stat st;
    mode_t before = umask(0077);

    CHECK_INT(sockets_bind(s, &at, 0666), 0);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0666);
    CHECK_INT(umask(before), 0077); /* as it was */
    CHECK(sockets_have(s, &at, NULL));
    sockets_free(&s);
    CHECK(!exists(path));
    sockets_free(&s); /* of nothing: nothing */
}

TEST(a_dead_socket_is_replaced_a_living_one_and_a_file_are_not)
{
    char path[100];
    struct addr at = at_path("dead", path, sizeof path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0), file;
    struct sockets *s = sockets_new(), *other = sockets_new();

    CHECK(bind(dead, (struct sockaddr *)&at.ss, at.n) == 0);
    close(dead);
    CHECK(exists(path));
    CHECK_INT(sockets_bind(s, &at, 0600), 0);
    CHECK_INT(sockets_bind(other, &at, 0600), EADDRINUSE);
    sockets_free(&other);
    CHECK(exists(path)); /* only its maker removes it */
    unlink(path);
    file = open(path, O_CREAT | O_WRONLY, 0600);
    sockets_free(&s); /* somebody else's by now */
    CHECK(exists(path));
    s = sockets_new();
    CHECK_INT(sockets_bind(s, &at, 0600), EADDRINUSE);
    sockets_free(&s);
    CHECK(exists(path));
    close(file);
    unlink(path);
}

TEST(a_folder_that_is_not_there)
{
    struct sockets *s = sockets_new();
    struct addr at;

    CHECK(addr_of_unix(SLICE("/nowhere/at/all"), &at));
    CHECK_INT(sockets_bind(s, &at, 0600), ENOENT);
    CHECK_INT(sockets_dup(s, &at), -1);
    sockets_free(&s);
}

TEST(loops_that_share_a_unix_socket_all_accept)
{
    char path[100];
    struct addr at = at_path("shared", path, sizeof path);
    struct sockets *sockets = sockets_new();
    struct listener *ls;
    struct side x[40] = {0};
    struct kit k;

    CHECK_INT(sockets_bind(sockets, &at, 0600), 0);
    kit_init(&k);
    real_of(k.l)->sockets = sockets;
    CHECK_INT(k.l->ops->listen(k.l, &at, kit_on_accept, &k, &ls, NULL), ERR_OK);
    sockets_settle(sockets);
    CHECK(!sockets_have(sockets, &at, NULL));
    k.at = at;
    for (size_t i = 0; i < COUNT_OF(x); i++)
        kit_connect(&k, &x[i]);
    kit_until(&k, &k.accepts_n, COUNT_OF(x));
    for (size_t i = 0; i < COUNT_OF(x); i++)
        stream_close(&x[i].s);
    k.l->ops->unlisten(&ls);
    kit_rest(&k, CLOCK_MS_US);
    kit_connect(&k, &x[0]); /* the last duplicate has gone: nobody waits in a queue */
    kit_until(&k, &x[0].closes_n, 1);
    CHECK_INT(x[0].why, ERR_REFUSED);
    stream_close(&x[0].s);
    kit_fini(&k);
    sockets_free(&sockets);
}

/* -- inherited ------------------------------------------------------------------------------------------- */

/* Listening TCP sockets at FIRST, FIRST + 1. */
static void pass_on(int n)
{
    for (int i = 0; i < n; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        struct addr at;

        CHECK(addr_parse(SLICE("127.0.0.1:0"), &at) == ERR_OK);
        CHECK(bind(fd, (struct sockaddr *)&at.ss, at.n) == 0 && listen(fd, 4) == 0);
        CHECK_INT(dup2(fd, FIRST + i), FIRST + i);
        close(fd);
    }
}

static const char *own_pid(void)
{
    static char text[16];

    snprintf(text, sizeof text, "%d", (int)getpid());
    return text;
}

TEST(inherited_sockets_are_found_by_name_and_by_address)
{
    struct sockets *s = sockets_new();
    struct addr web, same, real = {.n = 0};
    const char *why;
    char text[200], first[ADDR_TEXT_BYTES];
    int fd;

    pass_on(2);
    CHECK_INT(sockets_inherit(s, FIRST, own_pid(), "2", "web:admin", &why), ERR_OK);
    CHECK((fcntl(FIRST, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(FIRST, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(addr_parse(SLICE("fd:web"), &web) == ERR_OK);
    CHECK(sockets_have(s, &web, &real) && addr_port(&real) != 0);
    addr_format(&real, first, sizeof first);
    CHECK(addr_parse(slice_of(first), &same) == ERR_OK && sockets_have(s, &same, NULL));
    CHECK(sockets_unused(s, 0, text, sizeof text) && sockets_unused(s, 1, text, sizeof text));
    CHECK(!sockets_unused(s, 2, text, sizeof text));
    fd = sockets_dup(s, &same);
    CHECK(fd >= 0);
    close(fd);
    CHECK(sockets_unused(s, 0, text, sizeof text) && strstr(text, ", named admin") != NULL);
    CHECK(!sockets_unused(s, 1, text, sizeof text));
    CHECK(addr_parse(SLICE("fd:other"), &web) == ERR_OK && !sockets_have(s, &web, NULL));
    sockets_free(&s);
    CHECK(fcntl(FIRST, F_GETFD) < 0); /* closed */
}

TEST(what_is_meant_for_others_or_makes_no_sense)
{
    struct sockets *s = sockets_new();
    const char *why;

    pass_on(1);
    CHECK_INT(sockets_inherit(s, FIRST, NULL, NULL, NULL, &why), ERR_OK);
    CHECK_INT(sockets_inherit(s, FIRST, "1", "1", "web", &why), ERR_OK);
    CHECK(fcntl(FIRST, F_GETFD) >= 0);
    CHECK_INT(sockets_inherit(s, FIRST, "x", "1", "web", &why), ERR_MALFORMED);
    CHECK_INT(sockets_inherit(s, FIRST, own_pid(), "-1", "web", &why), ERR_MALFORMED);
    CHECK_INT(sockets_inherit(s, FIRST, own_pid(), "100000", "web", &why), ERR_MALFORMED);
    CHECK_INT(sockets_inherit(s, FIRST + 1, own_pid(), "1", "web", &why), ERR_MALFORMED); /* nothing there */
    CHECK(strstr(why, "not a listening") != NULL);
    CHECK_INT(sockets_inherit(s, STDERR_FILENO, own_pid(), "1", NULL, &why), ERR_MALFORMED);
    CHECK_INT(sockets_inherit(s, FIRST, own_pid(), "1", NULL, &why), ERR_OK); /* nameless */
    sockets_free(&s);
}
