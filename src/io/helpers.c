/* SPDX-License-Identifier: MIT */
/* The helper threads: one queue, first come first served.
 *
 * Why so plain: a task takes milliseconds, so a lock and a condition cost nothing beside it, and what may
 * wait is bounded by the memory budget that its bodies are charged to. A thread is started when a task
 * comes and all that run are busy, so a gateway that never sees a large body has none. */
#include "io/helpers.h"

#include "base/assert.h"
#include "base/mem.h"

struct helpers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list queue;                   /* under lock; linked by the tasks' messages */
    size_t started_n, idle_n, threads_n; /* under lock; threads_n is constant */
    bool stop;                           /* under lock */
    pthread_t threads[];
};

static struct task *of_node(struct list *node)
{
    return CONTAINER_OF(CONTAINER_OF(node, struct message, node), struct task, message);
}

static void do_task(struct task *t)
{
    t->work(t);
    mailbox_send(t->home, &t->message);
}

static void *help(void *ud)
{
    struct helpers *h = ud;
    struct list *node;

    pthread_mutex_lock(&h->lock);
    for (;;) {
        node = list_pop_front(&h->queue);
        if (node != NULL) {
            pthread_mutex_unlock(&h->lock);
            do_task(of_node(node));
            pthread_mutex_lock(&h->lock);
        } else if (h->stop) {
            break;
        } else {
            h->idle_n++;
            pthread_cond_wait(&h->work, &h->lock);
            h->idle_n--;
        }
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

struct helpers *helpers_new(size_t threads_n)
{
    struct helpers *h = mem_zalloc(sizeof *h + threads_n * sizeof *h->threads);

    ASSERT(pthread_mutex_init(&h->lock, NULL) == 0 && pthread_cond_init(&h->work, NULL) == 0);
    list_init(&h->queue);
    h->threads_n = threads_n;
    return h;
}

void helpers_free(struct helpers **hp)
{
    struct helpers *h = *hp;

    *hp = NULL;
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_broadcast(&h->work);
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < h->started_n; i++)
        pthread_join(h->threads[i], NULL);
    ASSERT(list_empty(&h->queue));
    pthread_cond_destroy(&h->work);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}

/* Whether some thread will take what is put into the queue. Under lock. */
static bool has_hands(struct helpers *h)
{
    if (h->idle_n == 0 && h->started_n < h->threads_n &&
        pthread_create(&h->threads[h->started_n], NULL, help, h) == 0)
        h->started_n++;
    return h->started_n > 0;
}

void helpers_submit(struct helpers *h, struct task *t)
{
    bool taken = false;

    if (h != NULL) {
        pthread_mutex_lock(&h->lock);
        taken = has_hands(h);
        if (taken) {
            list_push_back(&h->queue, &t->message.node);
            pthread_cond_signal(&h->work);
        }
        pthread_mutex_unlock(&h->lock);
    }
    if (!taken)
        do_task(t);
}
