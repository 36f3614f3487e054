/* SPDX-License-Identifier: MIT */
/* Virtual io: helper threads, as steps that come at a time which the dice choose. */
#include "base/clock.h"
#include "base/mem.h"
#include "io/helpers.h"
#include "io/virtual_net.h"

#define TASK_MAX_US (5 * CLOCK_MS_US)

struct vtask {
    struct vevent event;
    struct task *task;
};

static void on_task(struct vevent *e)
{
    struct vtask *v = CONTAINER_OF(e, struct vtask, event);
    struct task *t = v->task;

    mem_free(v);
    t->work(t);
    mailbox_send(t->home, &t->message);
}

void vtask_offload(struct loop *l, struct task *t)
{
    struct vnet *v = vloop_of(l)->net;
    struct vtask *vt = MEM_NEW(struct vtask);

    vt->task = t;
    vt->event.fire = on_task;
    vnet_arm(v, &vt->event, clock_add(v->now_us, (int64_t)rng_below(&v->dice, TASK_MAX_US)));
}
