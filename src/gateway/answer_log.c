/* SPDX-License-Identifier: MIT */
/* The log of a flight's answer. */
#include "gateway/answer_log.h"

#include "base/assert.h"

static struct subscriber *subscriber_at(struct list *n)
{
    return CONTAINER_OF(n, struct subscriber, node);
}

void answer_log_init(struct answer_log *l)
{
    *l = (struct answer_log){.length = -1};
    list_init(&l->subscribers);
}

void answer_log_subscribe(struct answer_log *l, struct subscriber *s, struct flight *f,
                          const struct subscriber_cb *cb)
{
    ASSERT(!l->begun && !l->ended);
    *s = (struct subscriber){.flight = f, .cb = cb, .cursor = l->next};
    list_init(&s->node);
    list_push_back(&l->subscribers, &s->node);
}

void answer_log_leave(struct answer_log *l, struct subscriber *s)
{
    (void)l;
    list_remove(&s->node);
    s->flight = NULL;
}

void answer_log_begin(struct answer_log *l, int64_t length)
{
    ASSERT(!l->begun && !l->ended);
    l->begun = true;
    l->length = length;
    LIST_EACH_SAFE (n, next, &l->subscribers)
        subscriber_at(n)->cb->on_begin(subscriber_at(n), length);
}

void answer_log_append(struct answer_log *l, struct slice event)
{
    uint64_t number = l->next++;

    ASSERT(l->begun && !l->ended);
    LIST_EACH_SAFE (n, next, &l->subscribers) {
        struct subscriber *s = subscriber_at(n);

        ASSERT(s->cursor == number);
        s->cursor++;
        s->cb->on_event(s, event);
    }
}

void answer_log_end(struct answer_log *l, const struct flight_end *end)
{
    struct list *n;

    ASSERT(!l->ended);
    l->ended = true;
    while ((n = list_pop_front(&l->subscribers)) != NULL)
        subscriber_at(n)->cb->on_end(subscriber_at(n), end);
}

bool answer_log_is_unread(const struct answer_log *l)
{
    return list_empty(&l->subscribers);
}

bool answer_log_is_held(const struct answer_log *l)
{
    LIST_EACH (n, &l->subscribers) {
        if (subscriber_at(n)->held)
            return true;
    }
    return false;
}
