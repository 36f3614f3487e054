/* SPDX-License-Identifier: MIT */
/* base/metrics_join: figures go from one layout to another by the text of their labels. */
#include "base/metrics.h"

#include "tap.h"

static const char *const SAME[] = {"x=\"0\"", "x=\"1\""};

/* A layout whose models are given; every other set has two rows. */
static void make(struct metrics_layout *l, const char *const *models, size_t n)
{
    *l = (struct metrics_layout){0};
    for (int set = LABELS_NONE + 1; set < LABELS_N; set++) {
        l->rows[set] = set == LABELS_MODEL ? models : SAME;
        l->rows_n[set] = set == LABELS_MODEL ? n : 2;
    }
    metrics_layout_finish(l);
}

static int64_t get(struct metrics *m, enum metric id, size_t row)
{
    return metrics_get(&m, 1, id, row);
}

TEST(samples_find_the_row_with_their_labels)
{
    static const char *const OLD[] = {"model=\"a\"", "model=\"b\"", "model=\"c\""};
    static const char *const NEW[] = {"model=\"c\"", "model=\"a\"", "model=\"d\""};
    struct metrics_layout from, to;
    struct metrics *old, *new;

    make(&from, OLD, 3);
    make(&to, NEW, 3);
    old = metrics_new(&from);
    new = metrics_new(&to);
    for (size_t row = 0; row < 3; row++) {
        metrics_add(old, METRIC_TOKENS_IN, row, (int64_t)(row + 1));
        metrics_observe(old, METRIC_TTFT, row, 1000);
        metrics_add(new, METRIC_TOKENS_IN, row, 10);
    }
    metrics_add(old, METRIC_EVENTS, 0, 5);
    metrics_observe(new, METRIC_TTFT, 0, 1000);
    metrics_fold(new, old);
    CHECK_INT(get(new, METRIC_TOKENS_IN, 0), 13); /* c */
    CHECK_INT(get(new, METRIC_TOKENS_IN, 1), 11); /* a */
    CHECK_INT(get(new, METRIC_TOKENS_IN, 2), 10); /* d; b is dropped */
    CHECK_INT(get(new, METRIC_TTFT, 0), 2);
    CHECK_INT(get(new, METRIC_TTFT, 1), 1);
    CHECK_INT(get(new, METRIC_TTFT, 2), 0);
    CHECK_INT(get(new, METRIC_EVENTS, 0), 5);
    CHECK_INT(get(old, METRIC_TOKENS_IN, 1), 2); /* it is only read */
    metrics_free(&old);
    metrics_free(&new);
}

TEST(a_joined_layout_has_the_rows_of_all_once)
{
    static const char *const A[] = {"model=\"a\"", "model=\"b\""};
    static const char *const B[] = {"model=\"c\"", "model=\"a\""};
    static const char *const C[] = {"model=\"b\"", "model=\"d\""};
    struct metrics_layout a, b, c, all;
    const struct metrics_layout *const three[] = {&a, &b, &c};
    struct arena arena;

    make(&a, A, 2);
    make(&b, B, 2);
    make(&c, C, 2);
    arena_init(&arena, NULL, 0, 4096);
    metrics_layout_join(&arena, three, 3, &all);
    CHECK_INT((long long)all.rows_n[LABELS_MODEL], 4);
    CHECK_STR(all.rows[LABELS_MODEL][0], "model=\"a\"");
    CHECK_STR(all.rows[LABELS_MODEL][1], "model=\"b\"");
    CHECK_STR(all.rows[LABELS_MODEL][2], "model=\"c\"");
    CHECK_STR(all.rows[LABELS_MODEL][3], "model=\"d\"");
    CHECK_INT((long long)all.rows_n[LABELS_ENDPOINT], 2);
    CHECK_INT((long long)all.rows_n[LABELS_NONE], 1);
    metrics_layout_join(&arena, three, 1, &all);
    CHECK_INT((long long)all.rows_n[LABELS_MODEL], 2);
    arena_fini(&arena);
}
