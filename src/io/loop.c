/* SPDX-License-Identifier: MIT */
/* The parts of a turn that real and virtual io share. */
#include "io/loop.h"

#include "base/assert.h"
#include "base/reserve.h"
#include "io/helpers.h"

#define TURN_BLOCK_BYTES (256 * 1024)

void loop_init(struct loop *l, const struct loop_ops *ops, uint64_t seed, int64_t now_us, int64_t wall_us)
{
    memset(l, 0, sizeof *l);
    l->ops = ops;
    l->now_us = now_us;
    l->wall_us = wall_us;
    l->finish_us = LOOP_FINISH_US;
    wheel_init(&l->wheel, now_us);
    mailbox_init(&l->mailbox, NULL, NULL);
    arena_init(&l->turn, NULL, 0, TURN_BLOCK_BYTES);
    list_init(&l->dirty);
    list_init(&l->afterwards);
    rng_seed(&l->dice, seed);
}

void loop_fini(struct loop *l)
{
    loop_end_turn(l);
    mailbox_fini(&l->mailbox);
    arena_fini(&l->turn);
}

void loop_free(struct loop **lp)
{
    struct loop *l = *lp;

    *lp = NULL;
    if (l != NULL)
        l->ops->free(l);
}

void loop_defer(struct loop *l, struct afterwards *a, void (*run)(struct afterwards *a))
{
    list_init(&a->node);
    a->run = run;
    list_push_back(&l->afterwards, &a->node);
}

static void on_task_home(struct message *m)
{
    struct task *t = CONTAINER_OF(m, struct task, message);

    t->done(t);
}

void loop_offload(struct loop *l, struct task *t)
{
    message_init(&t->message, on_task_home);
    t->home = &l->mailbox;
    l->ops->offload(l, t);
}

void loop_begin_turn(struct loop *l, int64_t now_us, int64_t wall_us)
{
    __atomic_store_n(&l->turns, l->turns + 1, __ATOMIC_RELAXED);
    stint_begin(&l->stint, now_us);
    l->now_us = now_us;
    l->wall_us = wall_us;
    l->spent = (struct turn_spent){0};
    mailbox_deliver(&l->mailbox);
    wheel_advance(&l->wheel, now_us);
}

void loop_end_turn(struct loop *l)
{
    struct list *n;

    while ((n = list_pop_front(&l->dirty)) != NULL) {
        struct stream *s = CONTAINER_OF(n, struct stream, dirty_node);

        s->ops->flush(s);
    }
    while ((n = list_pop_front(&l->afterwards)) != NULL) {
        struct afterwards *a = CONTAINER_OF(n, struct afterwards, node);

        a->run(a);
    }
    arena_reset(&l->turn);
    (void)reserve_fill();
}

bool loop_has_work(struct loop *l)
{
    return !list_empty(&l->dirty) || !list_empty(&l->afterwards) || !mailbox_is_empty(&l->mailbox);
}
