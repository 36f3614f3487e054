/* SPDX-License-Identifier: MIT */
/* Tasks go to helper threads and come home. */
#include "io/helpers.h"

#include <sched.h>

#include "base/assert.h"
#include "io/loop.h"
#include "io/virtual.h"
#include "tap.h"

struct job {
    struct task task;
    pthread_t worked_on, came_to;
    int work_n, done_n;
    uint64_t sum;
    int64_t done_us;
    struct loop *loop;
};

static void on_work(struct task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);

    j->worked_on = pthread_self();
    j->work_n++;
    for (uint64_t i = 0; i < 1000; i++)
        j->sum += i;
}

static void on_done(struct task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);

    j->came_to = pthread_self();
    j->done_n++;
    if (j->loop != NULL)
        j->done_us = j->loop->now_us;
}

static void on_home(struct message *m)
{
    struct task *t = CONTAINER_OF(m, struct task, message);

    t->done(t);
}

static void submit(struct helpers *h, struct job *j, struct mailbox *home)
{
    *j = (struct job){.task = {.work = on_work, .done = on_done, .home = home}};
    message_init(&j->task.message, on_home);
    helpers_submit(h, &j->task);
}

static void check_job(const struct job *j, bool elsewhere)
{
    CHECK_INT(j->work_n, 1);
    CHECK_INT(j->done_n, 1);
    CHECK_INT(j->sum, 499500);
    CHECK(pthread_equal(j->came_to, pthread_self()) != 0);
    CHECK((pthread_equal(j->worked_on, pthread_self()) == 0) == elsewhere);
}

TEST(tasks_are_done_elsewhere_and_come_home_once)
{
    static struct job jobs[500];
    struct helpers *h = helpers_new(3);
    struct mailbox box;
    size_t home_n = 0;

    mailbox_init(&box, NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        submit(h, &jobs[i], &box);
    while (home_n < COUNT_OF(jobs)) {
        home_n += mailbox_deliver(&box);
        sched_yield();
    }
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        check_job(&jobs[i], true);
    helpers_free(&h);
    CHECK(h == NULL);
    mailbox_fini(&box);
}

TEST(without_helpers_a_task_is_done_at_once_and_still_comes_by_message)
{
    struct mailbox box;
    struct job j;

    mailbox_init(&box, NULL, NULL);
    submit(NULL, &j, &box);
    CHECK_INT(j.work_n, 1);
    CHECK_INT(j.done_n, 0);
    CHECK_INT(mailbox_deliver(&box), 1);
    check_job(&j, false);
    mailbox_fini(&box);
}

TEST(helpers_that_never_had_a_task_end)
{
    struct helpers *h = helpers_new(2);

    helpers_free(&h);
    helpers_free(&h);
    CHECK(h == NULL);
}

static int64_t done_at(uint64_t seed)
{
    struct vnet *net = vnet_new(&(struct vnet_opts){.seed = seed});
    struct job j = {.task = {.work = on_work, .done = on_done}};
    int64_t sent_us;

    j.loop = vnet_loop(net, NULL, 1024);
    sent_us = vnet_now_us(net);
    loop_offload(j.loop, &j.task);
    CHECK_INT(j.done_n, 0);
    vnet_run(net, sent_us + 1000000, NULL);
    CHECK_INT(j.work_n, 1);
    CHECK_INT(j.done_n, 1);
    loop_free(&j.loop);
    vnet_free(&net);
    return j.done_us - sent_us;
}

TEST(in_virtual_time_a_task_takes_a_time_that_the_seed_decides)
{
    int64_t first = done_at(1);
    bool varies = false;

    CHECK(first >= 0 && first < 5000);
    CHECK_INT(done_at(1), first);
    for (uint64_t seed = 2; seed < 6; seed++)
        varies = varies || done_at(seed) != first;
    CHECK(varies);
}
