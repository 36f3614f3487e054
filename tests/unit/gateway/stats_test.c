/* SPDX-License-Identifier: MIT */
/* The label rows of the metrics: every row has its own labels, also for hostile names. */
#include "gateway/stats.h"

#include "base/assert.h"
#include "tap.h"

static const struct config_endpoint ENDPOINTS[] = {{.name = "one"}, {.name = "two"}};
static const struct config_model MODELS[] = {{.name = {"*", 1}}, {.name = {"a\"b\\c\nd", 7}}};
static const struct config CONFIG = {
    .endpoints = ENDPOINTS, .endpoints_n = 2, .models = MODELS, .models_n = 2};

TEST(names_of_results_and_routes_are_all_there)
{
    for (int r = 0; r < RESULT_N; r++)
        CHECK(stats_result_name((enum result)r)[0] != '\0');
    for (int r = 0; r < ROUTE_N; r++)
        CHECK(stats_route_name((enum route_id)r)[0] != '\0');
    CHECK_STR(stats_result_name(RESULT_CANCELLED), "cancelled");
    CHECK_STR(stats_route_name(ROUTE_CHAT), "chat_completions");
}

TEST(every_row_has_labels_and_no_two_the_same)
{
    struct stats s;

    stats_init(&s, &CONFIG, 2);
    for (int set = LABELS_NONE + 1; set < LABELS_N; set++) {
        size_t n = s.layout.rows_n[set];

        CHECK(n > 0);
        for (size_t i = 0; i < n; i++) {
            if (!CHECK(s.layout.rows[set][i] != NULL))
                continue;
            CHECK(strchr(s.layout.rows[set][i], '\n') == NULL);
            for (size_t j = 0; j < i; j++)
                CHECK(strcmp(s.layout.rows[set][i], s.layout.rows[set][j]) != 0);
        }
    }
    stats_fini(&s);
}

TEST(row_numbers_lead_to_their_labels)
{
    struct stats s;
    const struct metrics_layout *l = &s.layout;

    stats_init(&s, &CONFIG, 2);
    CHECK_STR(l->rows[LABELS_ROUTE_OUTCOME][stats_route_result(ROUTE_MODELS, RESULT_LOCAL)],
              "route=\"models\",outcome=\"local\"");
    CHECK_STR(l->rows[LABELS_ENDPOINT_OUTCOME][stats_endpoint_outcome(1, OUTCOME_ACCOUNT_BUSY)],
              "endpoint=\"two\",outcome=\"account_busy\"");
    CHECK_STR(l->rows[LABELS_WORKER][1], "worker=\"1\"");
    CHECK_STR(l->rows[LABELS_MODEL][0], "model=\"*\"");
    CHECK_STR(l->rows[LABELS_MODEL][1], "model=\"a\\\"b\\\\c\\nd\"");
    CHECK_STR(l->rows[LABELS_ERROR][ERR_QUEUE_FULL], "error=\"queue_full\"");
    CHECK_STR(l->rows[LABELS_CODE][stats_code(429)], "code=\"429\"");
    stats_fini(&s);
}

TEST(every_status_of_the_error_table_has_a_row_and_strange_ones_share_one)
{
    struct stats s;

    stats_init(&s, &CONFIG, 2);
    for (int e = 1; e < ERR_N; e++) {
        int status = err_row((enum err)e)->status;

        if (status != 0 &&
            !CHECK(strcmp(s.layout.rows[LABELS_CODE][stats_code(status)], "code=\"other\"") != 0))
            printf("# %d of %s\n", status, err_row((enum err)e)->name);
    }
    CHECK_STR(s.layout.rows[LABELS_CODE][stats_code(418)], "code=\"other\"");
    CHECK_INT(stats_code(-1), stats_code(418));
    CHECK_INT(s.layout.rows_n[LABELS_CODE], stats_code(418) + 1);
    stats_fini(&s);
}

TEST(a_configuration_without_endpoints_or_models_has_no_such_rows)
{
    static const struct config EMPTY = {.models_n = 0};
    struct stats s;

    stats_init(&s, &EMPTY, 1);
    CHECK_INT(s.layout.rows_n[LABELS_MODEL], 0);
    CHECK_INT(s.layout.rows_n[LABELS_ENDPOINT_OUTCOME], 0);
    CHECK(s.layout.rows[LABELS_MODEL] != NULL);
    stats_fini(&s);
}
