/* SPDX-License-Identifier: MIT */
/* Messages between threads: one mailbox per loop (after h2o's multithread queue).
 *
 * A message is embedded in what it is about; sending moves nothing and allocates nothing. The receiver
 * detaches the whole list under the lock and delivers outside it. The loop is woken only when the box was
 * empty. */
#ifndef IO_MAILBOX_H
#define IO_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"

struct message {
    struct list node;
    void (*deliver)(struct message *m); /* runs on the receiver's thread, outside the lock */
};

struct mailbox {
    pthread_mutex_t lock;
    struct list queue;      /* under lock */
    int filled;             /* atomic: queue is not empty; written under lock */
    struct list delivering; /* taken out of the queue. Receiver's thread only */
    void (*wake)(void *ud); /* called without the lock when the box became non-empty; thread-safe */
    void *ud;
};

void mailbox_init(struct mailbox *b, void (*wake)(void *ud), void *ud);
void mailbox_fini(struct mailbox *b); /* asserts that it is empty */

void message_init(struct message *m, void (*deliver)(struct message *m));
/* Thread: any. The message must not be in a box already; its memory belongs to the receiver until delivered.
 * */
void mailbox_send(struct mailbox *b, struct message *m);
/* Thread: the receiver's. Takes back a message that was sent but not delivered; false if it was not in the
 * box. */
bool mailbox_withdraw(struct mailbox *b, struct message *m);
/* Thread: the receiver's. Delivers what was there when it was called, at most TURN_MESSAGES (io/turn.def) of
 * it; returns how many. */
size_t mailbox_deliver(struct mailbox *b);
/* Thread: the receiver's. */
bool mailbox_is_empty(struct mailbox *b);

#endif
