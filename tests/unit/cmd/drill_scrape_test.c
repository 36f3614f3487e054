/* SPDX-License-Identifier: MIT */
/* What a drill reads off a page of metrics. */
#include "cmd/drill_scrape.h"

#include "tap.h"

static const struct drill_scenario TWO = {.providers = {{.name = "one"}, {.name = "two"}}};

TEST(bad_calls_are_added_up_by_provider)
{
    struct drill_sight sights[DRILL_PROVIDERS_MAX] = {{.failed_n = 99}};

    drill_scrape_read(&TWO,
                      SLICE("# TYPE tidegate_upstream_calls_total counter\n"
                            "tidegate_upstream_calls_total{endpoint=\"one\",outcome=\"ok\"} 1000\n"
                            "tidegate_upstream_calls_total{endpoint=\"one\",outcome=\"account_busy\"} 7\n"
                            "tidegate_upstream_calls_total{endpoint=\"one\",outcome=\"server_error\"} 5\n"
                            "tidegate_upstream_calls_total{endpoint=\"one\",outcome=\"client_error\"} 3\n"
                            "tidegate_upstream_calls_total{endpoint=\"two\",outcome=\"refused\"} 2\n"
                            "tidegate_upstream_calls_total{endpoint=\"three\",outcome=\"refused\"} 40\n"
                            "tidegate_upstream_calls_total{endpoint=\"two\",outcome=\"unheard_of\"} 40\n"
                            "tidegate_upstream_calls_total{endpoint=\"two\",outcome=\"reset\"} many\n"
                            "tidegate_upstream_connects_total{endpoint=\"two\"} 40\n"
                            "tidegate_upstream_calls_total{endpoint=\"two\""),
                      sights);
    CHECK_INT(sights[0].failed_n, 12);
    CHECK_INT(sights[0].refused_n, 7);
    CHECK_INT(sights[1].failed_n, 2);
    CHECK_INT(sights[1].refused_n, 0);
    CHECK_INT(sights[0].limit, -1); /* the page does not tell it */
}
