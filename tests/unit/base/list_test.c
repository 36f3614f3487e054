/* SPDX-License-Identifier: MIT */
/* The intrusive list: order, removal while walking, moving whole lists. */
#include "base/list.h"

#include "tap.h"

struct item {
    int id;
    struct list link;
};

static int ids(const struct list *head)
{
    int all = 0;

    for (struct list *it = head->next; it != head; it = it->next)
        all = all * 10 + CONTAINER_OF(it, struct item, link)->id;
    return all;
}

static void items_init(struct item *items, int n)
{
    for (int i = 0; i < n; i++) {
        items[i].id = i + 1;
        list_init(&items[i].link);
    }
}

TEST(order_of_insertion)
{
    struct item items[4];
    struct list head;

    list_init(&head);
    items_init(items, 4);
    CHECK(list_empty(&head));
    CHECK(list_pop_front(&head) == NULL);
    list_push_back(&head, &items[0].link);
    list_push_back(&head, &items[1].link);
    list_push_front(&head, &items[2].link);
    list_insert_before(&items[1].link, &items[3].link);
    CHECK_INT(ids(&head), 3142);
    CHECK(list_pop_front(&head) == &items[2].link);
    CHECK(list_empty(&items[2].link));
    CHECK_INT(ids(&head), 142);
}

TEST(removal_is_safe_twice)
{
    struct item items[2];
    struct list head;

    list_init(&head);
    items_init(items, 2);
    list_push_back(&head, &items[0].link);
    list_push_back(&head, &items[1].link);
    list_remove(&items[0].link);
    list_remove(&items[0].link);
    CHECK_INT(ids(&head), 2);
    list_push_back(&head, &items[0].link);
    CHECK_INT(ids(&head), 21);
}

TEST(the_current_node_may_be_removed_while_walking)
{
    struct item items[5];
    struct list head;
    int seen_n = 0;

    list_init(&head);
    items_init(items, 5);
    for (int i = 0; i < 5; i++)
        list_push_back(&head, &items[i].link);
    LIST_EACH_SAFE (it, next, &head) {
        seen_n++;
        if (CONTAINER_OF(it, struct item, link)->id % 2)
            list_remove(it);
    }
    CHECK_INT(seen_n, 5);
    CHECK_INT(ids(&head), 24);
    seen_n = 0;
    LIST_EACH (it, &head)
        seen_n++;
    CHECK_INT(seen_n, 2);
}

TEST(moving_keeps_the_order)
{
    struct item items[3];
    struct list from, to;

    list_init(&from);
    list_init(&to);
    items_init(items, 3);
    list_move(&to, &from);
    CHECK(list_empty(&to));
    for (int i = 0; i < 3; i++)
        list_push_back(&from, &items[i].link);
    list_move(&to, &from);
    CHECK(list_empty(&from));
    CHECK_INT(ids(&to), 123);
    list_remove(&items[2].link);
    list_remove(&items[0].link);
    CHECK_INT(ids(&to), 2);
}
