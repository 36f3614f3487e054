/* SPDX-License-Identifier: MIT */
/* Messages between threads: an intrusive list under a mutex. */
#include "io/mailbox.h"

#include "io/turn.h"

void mailbox_init(struct mailbox *b, void (*wake)(void *ud), void *ud)
{
    ASSERT(pthread_mutex_init(&b->lock, NULL) == 0);
    list_init(&b->queue);
    list_init(&b->delivering);
    b->filled = 0;
    b->wake = wake;
    b->ud = ud;
}

void mailbox_fini(struct mailbox *b)
{
    ASSERT(list_empty(&b->queue) && list_empty(&b->delivering));
    ASSERT(pthread_mutex_destroy(&b->lock) == 0);
}

void message_init(struct message *m, void (*deliver)(struct message *m))
{
    list_init(&m->node);
    m->deliver = deliver;
}

void mailbox_send(struct mailbox *b, struct message *m)
{
    pthread_mutex_lock(&b->lock);
    bool was_empty = list_empty(&b->queue);
    list_push_back(&b->queue, &m->node);
    __atomic_store_n(&b->filled, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&b->lock);
    /* From here on the message is the receiver's: it may be delivered and gone already. */
    if (was_empty && b->wake)
        b->wake(b->ud);
}

/* One unlinking serves both lists: a message is in `queue`, which the lock guards, or in `delivering`, which
 * only the calling thread touches, or in none. */
bool mailbox_withdraw(struct mailbox *b, struct message *m)
{
    pthread_mutex_lock(&b->lock);
    bool was_there = !list_empty(&m->node);
    list_remove(&m->node);
    __atomic_store_n(&b->filled, !list_empty(&b->queue), __ATOMIC_RELEASE);
    pthread_mutex_unlock(&b->lock);
    return was_there;
}

size_t mailbox_deliver(struct mailbox *b)
{
    struct list *node;
    size_t n = 0;

    if (mailbox_is_empty(b))
        return 0;
    pthread_mutex_lock(&b->lock);
    list_append(&b->delivering, &b->queue);
    __atomic_store_n(&b->filled, 0, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&b->lock);
    /* One at a time from the front: a delivery may withdraw the messages behind it and free what they are in.
     * */
    while (n < TURN_MESSAGES && (node = list_pop_front(&b->delivering))) {
        struct message *m = CONTAINER_OF(node, struct message, node);
        m->deliver(m);
        n++;
    }
    return n;
}

/* Without the lock: a loop asks this with every turn. Whoever fills the box after this look wakes the loop.
 */
bool mailbox_is_empty(struct mailbox *b)
{
    return list_empty(&b->delivering) && __atomic_load_n(&b->filled, __ATOMIC_ACQUIRE) == 0;
}
