/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked list: circular, with the head as sentinel; a node in no list points at itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/assert.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_insert_before(struct list *at, struct list *node)
{
    ASSERT(list_empty(node));
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}

/* Safe on a node that is in no list. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* NULL when empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *n = head->next;

    if (n == head)
        return NULL;
    list_remove(n);
    return n;
}

/* NULL when empty. */
static inline struct list *list_pop_back(struct list *head)
{
    struct list *n = head->prev;

    if (n == head)
        return NULL;
    list_remove(n);
    return n;
}

/* Moves every node of `from` behind those of `to`, keeping the order. */
static inline void list_append(struct list *to, struct list *from)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    from->prev->next = to;
    to->prev->next = from->next;
    to->prev = from->prev;
    list_init(from);
}

/* Moves every node of `from` to the (empty) list `to`, keeping the order. */
static inline void list_move(struct list *to, struct list *from)
{
    ASSERT(list_empty(to));
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of a new variable cannot stand in parentheses. */
#define LIST_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* The current node may be removed inside the loop. */
#define LIST_EACH_SAFE(it, nx, head) \
    for (struct list *it = (head)->next, *nx = it->next; it != (head); it = nx, nx = nx->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
