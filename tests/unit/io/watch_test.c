/* SPDX-License-Identifier: MIT */
/* io/watch on a real folder: what is seen, and what is not taken for a change. A change is made when the loop
 * has begun to run; the next one follows when it has been told. */
#include "io/watch.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "io/real.h"
#include "tap.h"

#define PATIENCE_US (60 * CLOCK_SECOND_US)

struct room {
    char dir[64], path[128];
    struct loop *l;
    struct watch *watch;
    struct timer next, deadline;
    struct source bell;                   /* of the test that needs one */
    void (*const *steps)(struct room *r); /* NULL: the end */
    size_t told_n;
    bool late;
};

static const char *in(const struct room *r, const char *name)
{
    static char path[4][192];
    static int i;

    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", r->dir, name);
    return path[i];
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ASSERT(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void on_next(struct timer *t)
{
    struct room *r = CONTAINER_OF(t, struct room, next);

    if (*r->steps == NULL)
        loop_real_stop(r->l);
    else
        (*r->steps++)(r);
}

static void on_deadline(struct timer *t)
{
    struct room *r = CONTAINER_OF(t, struct room, deadline);

    r->late = true;
    loop_real_stop(r->l);
}

static void on_change(void *ud)
{
    struct room *r = ud;

    r->told_n++;
    timer_set(&r->l->wheel, &r->next, r->l->now_us + 3 * WATCH_SETTLE_US); /* it must not come twice */
}

static void room_run(struct room *r, void (*const *steps)(struct room *r))
{
    struct real_opts o = {.seed = 1, .pending_max = 65536};

    r->steps = steps;
    r->l = loop_real_new(&o);
    ASSERT(r->l != NULL);
    r->watch = watch_new(r->l, r->path, on_change, r);
    ASSERT(r->watch != NULL);
    timer_init(&r->next, on_next);
    timer_init(&r->deadline, on_deadline);
    timer_set(&r->l->wheel, &r->next, r->l->now_us);
    timer_set(&r->l->wheel, &r->deadline, r->l->now_us + PATIENCE_US);
    loop_real_run(r->l);
    CHECK(!r->late);
    watch_free(&r->watch);
    CHECK(r->watch == NULL);
    loop_free(&r->l);
}

static void room_begin(struct room *r)
{
    *r = (struct room){.dir = "/tmp/tidegate-watch-test-XXXXXX"};
    ASSERT(mkdtemp(r->dir) != NULL);
    snprintf(r->path, sizeof r->path, "%s/file", r->dir);
}

/* -- steps ----------------------------------------------------------------------------------------------- */

static void write_in_place(struct room *r)
{
    put(r->path, "written");
}

static void rename_over(struct room *r)
{
    put(in(r, "new"), "renamed");
    ASSERT(rename(in(r, "new"), r->path) == 0);
}

/* Nothing of this is a change of the file; the step behind it must be the next that is told. */
static void disturb(struct room *r)
{
    put(in(r, "other"), "x");
    ASSERT(unlink(in(r, "other")) == 0);
    timer_set(&r->l->wheel, &r->next, r->l->now_us + 4 * WATCH_SETTLE_US);
}

static void remove_it(struct room *r)
{
    ASSERT(unlink(r->path) == 0);
    timer_set(&r->l->wheel, &r->next, r->l->now_us + 4 * WATCH_SETTLE_US);
}

static void swap_links(struct room *r)
{
    ASSERT(mkdir(in(r, "..second"), 0700) == 0);
    put(in(r, "..second/file"), "second");
    ASSERT(symlink("..second", in(r, "..data_tmp")) == 0);
    ASSERT(rename(in(r, "..data_tmp"), in(r, "..data")) == 0);
}

static void write_behind_links(struct room *r)
{
    put(in(r, "..second/file"), "third, longer");
}

TEST(changes_in_place_and_by_rename_are_told_once_each)
{
    static void (*const STEPS[])(struct room * r) = {write_in_place, disturb,        rename_over,
                                                     remove_it,      write_in_place, NULL};
    struct room r;

    room_begin(&r);
    put(r.path, "first");
    room_run(&r, STEPS);
    CHECK_INT((long long)r.told_n, 3);
    CHECK(unlink(r.path) == 0 && rmdir(r.dir) == 0);
}

TEST(links_that_are_swapped_are_told_and_what_is_behind_them_too)
{
    static void (*const STEPS[])(struct room * r) = {swap_links, write_behind_links, NULL};
    struct room r;

    room_begin(&r);
    ASSERT(mkdir(in(&r, "..first"), 0700) == 0);
    put(in(&r, "..first/file"), "first");
    ASSERT(symlink("..first", in(&r, "..data")) == 0 && symlink("..data/file", r.path) == 0);
    room_run(&r, STEPS);
    CHECK_INT((long long)r.told_n, 2);
    CHECK(unlink(in(&r, "..first/file")) == 0 && rmdir(in(&r, "..first")) == 0);
    CHECK(unlink(in(&r, "..second/file")) == 0 && rmdir(in(&r, "..second")) == 0);
    CHECK(unlink(in(&r, "..data")) == 0 && unlink(r.path) == 0 && rmdir(r.dir) == 0);
}

TEST(a_file_that_is_not_there_yet_is_told_when_it_comes)
{
    static void (*const STEPS[])(struct room * r) = {write_in_place, NULL};
    struct room r;

    room_begin(&r);
    room_run(&r, STEPS);
    CHECK_INT((long long)r.told_n, 1);
    CHECK(unlink(r.path) == 0 && rmdir(r.dir) == 0);
}

/* As a reload does that switches the watch off: asked for by a signal, or at the admin address. */
static void on_bell(struct source *s, uint32_t events)
{
    struct room *r = CONTAINER_OF(s, struct room, bell);

    (void)events;
    watch_free(&r->watch);
    real_unwatch(real_of(r->l), s);
    timer_set(&r->l->wheel, &r->next, r->l->now_us);
}

/* Both are ready in the next batch, the bell first. */
static void ring_and_write(struct room *r)
{
    r->bell = (struct source){eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), NULL, on_bell, NULL};
    ASSERT(r->bell.fd >= 0 && real_watch(real_of(r->l), &r->bell, EPOLLIN));
    put(r->path, "written");
}

TEST(a_watch_may_be_freed_while_its_events_wait)
{
    static void (*const STEPS[])(struct room * r) = {ring_and_write, NULL};
    struct room r;

    room_begin(&r);
    put(r.path, "first");
    room_run(&r, STEPS);
    CHECK_INT((long long)r.told_n, 0);
    CHECK(close(r.bell.fd) == 0 && unlink(r.path) == 0 && rmdir(r.dir) == 0);
}
