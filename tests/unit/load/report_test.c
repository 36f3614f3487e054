/* SPDX-License-Identifier: MIT */
/* The page and the JSON: every figure where it belongs, and room for the largest of all. */
#include "load/report.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/json.h"
#include "tap.h"

struct desk {
    struct tally *tally;
    struct report report;
    struct buf out;
    struct json_doc *doc;
};

static void desk_init(struct desk *d)
{
    *d = (struct desk){.tally = tally_new()};
    d->report = (struct report){.target = SLICE("http://a/v1"),
                                .model = SLICE("m \"x\""),
                                .schedule = SLICE("poisson, 10/s"),
                                .seed = 5,
                                .class_names = {NULL, "high", NULL, "bulk"},
                                .tally = d->tally,
                                .elapsed_us = 2 * CLOCK_SECOND_US,
                                .connects_n = 3};
    buf_init(&d->out, REPORT_MAX_BYTES, NULL);
}

static void desk_fini(struct desk *d)
{
    json_free(&d->doc);
    buf_fini(&d->out);
    tally_free(&d->tally);
}

static struct json_value desk_json(struct desk *d)
{
    const char *why = "";

    d->out.n = 0;
    report_json(&d->report, &d->out);
    if (!CHECK_INT(json_parse(buf_slice(&d->out), NULL, &d->doc, &why), ERR_OK)) {
        printf("# %s\n", why);
        exit(1);
    }
    return json_root(d->doc);
}

static bool says(const struct desk *d, const char *text)
{
    return slice_find(buf_slice(&d->out), slice_of(text)) >= 0;
}

static void fill(struct tally_group *g, uint64_t n)
{
    g->intended_n = 10 * n;
    g->sent_n = 9 * n;
    g->attempts_n = 12 * n;
    g->held_n = 2;
    g->ended_n[END_FULL] = 6 * n;
    g->ended_n[END_DEGRADED] = n;
    g->ended_n[END_FAILED] = 2 * n;
    g->ended_n[END_REFUSED] = n;
    g->tokens_n = 50 * n;
    tally_add(&g->first, 100 * CLOCK_MS_US);
    tally_add(&g->first, 300 * CLOCK_MS_US);
    tally_add(&g->total, 250 * CLOCK_SECOND_US);
    tally_reason(g, "queue_full", 503);
    tally_reason(g, "queue_full", 503);
    tally_reason(g, "refused", 0);
}

TEST(the_page)
{
    struct desk d;

    desk_init(&d);
    fill(&d.tally->all, 2);
    fill(&d.tally->of_class[1], 1);
    report_text(&d.report, &d.out);
    CHECK(says(&d, "target    http://a/v1\nmodel     m \"x\"\nschedule  poisson, 10/s\nseed      5\n"));
    CHECK(says(&d, "ran       2.0 s, 10.0 requests/s, 50.0 tokens/s, 3 connections\n"));
    CHECK(says(&d,
               "all              20        18        24        12         2         0         0         4   "
               "      2         0   77.778%\n"));
    CHECK(says(&d, "high             10         9        12         6"));
    CHECK(says(&d, "bulk              0         0         0"));
    CHECK(says(&d,
               "first token  all               2     100.35     300.00     300.00     300.00     300.00\n"));
    CHECK(says(&d, "answer       all               1     250000     250000"));
    CHECK(!says(&d, "gap "));
    CHECK(says(&d, "2 requests had to wait for a connection"));
    CHECK(says(&d, "all          503         2  queue_full\n"));
    CHECK(says(&d, "high           0         1  refused\n"));
    d.out.n = 0;
    d.report.interrupted = true;
    report_text(&d.report, &d.out);
    CHECK(says(&d, "2.0 s (interrupted)"));
    desk_fini(&d);
}

TEST(a_run_without_anything)
{
    struct desk d;
    struct json_value v;

    desk_init(&d);
    d.report.elapsed_us = 0;
    report_text(&d.report, &d.out);
    CHECK(says(&d, "        -\n"));
    CHECK(!says(&d, "failures") && !says(&d, "nan") && !says(&d, "inf"));
    v = desk_json(&d);
    CHECK(json_is_null(json_get(json_get(v, "all"), "answered_rate")));
    CHECK_INT(json_count(json_get(v, "classes")), 2);
    desk_fini(&d);
}

TEST(the_json)
{
    struct desk d;
    struct json_value v, all, first;

    desk_init(&d);
    fill(&d.tally->all, 2);
    v = desk_json(&d);
    CHECK(slice_eq(json_string(json_get(v, "model")), SLICE("m \"x\"")));
    CHECK_INT(json_int(json_get(v, "seed"), 0), 5);
    CHECK(json_double(json_get(v, "seconds"), 0) == 2);
    all = json_get(v, "all");
    CHECK_INT(json_int(json_get(all, "requests"), 0), 20);
    CHECK(json_double(json_get(all, "answered_rate"), 0) == 0.777778);
    first = json_get(all, "first_token_ms");
    CHECK_INT(json_int(json_get(first, "n"), 0), 2);
    CHECK(json_double(json_get(first, "mean"), 0) == 200);
    CHECK(json_double(json_get(first, "max"), 0) == 300);
    CHECK_INT(json_int(json_get(json_at(json_get(all, "failures"), 0), "n"), 0), 2);
    desk_fini(&d);
}

TEST(the_largest_fits)
{
    struct desk d;

    desk_init(&d);
    for (size_t i = 0; i <= SOURCE_CLASSES_MAX; i++) {
        struct tally_group *g = i == 0 ? &d.tally->all : &d.tally->of_class[i - 1];

        if (i > 0)
            d.report.class_names[i - 1] = "critical";
        memset(g->ended_n, 0xff, sizeof g->ended_n);
        g->intended_n = g->sent_n = g->attempts_n = g->tokens_n = g->bytes = UINT64_MAX;
        tally_add(&g->first, INT64_MAX);
        tally_add(&g->total, INT64_MAX);
        for (int k = 0; k < TALLY_REASONS_MAX + 1; k++) {
            char code[JUDGE_CODE_BYTES];

            snprintf(code, sizeof code, "%047d", k);
            tally_reason(g, code, 599);
        }
    }
    report_text(&d.report, &d.out);
    CHECK(says(&d, "(others)"));
    CHECK(d.out.n < REPORT_MAX_BYTES / 2);
    d.out.n = 0;
    report_json(&d.report, &d.out);
    CHECK(d.out.n < REPORT_MAX_BYTES / 2);
    CHECK_INT(json_parse(buf_slice(&d.out), NULL, &d.doc, NULL), ERR_OK);
    desk_fini(&d);
}
