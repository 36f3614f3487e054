/* SPDX-License-Identifier: MIT */
/* The metrics page: exact text, zeros before the first event, sums over blocks, a reader beside a writer. */
#include "base/metrics.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/mem.h"
#include "tap.h"

struct fixture {
    struct metrics_layout layout;
    struct metrics *blocks[2];
    struct buf page;
    char section[8192];
};

static void fixture_init(struct fixture *f)
{
    static const char *const models[] = {"model=\"flash\"", "model=\"pro\""};
    static const char *const others[] = {"x=\"0\"", "x=\"1\"", "x=\"2\""};

    memset(f, 0, sizeof(*f));
    for (int i = 1; i < LABELS_N; i++) {
        f->layout.rows[i] = i == LABELS_MODEL ? models : others;
        f->layout.rows_n[i] = i == LABELS_MODEL ? 2 : 3;
    }
    metrics_layout_finish(&f->layout);
    f->blocks[0] = metrics_new(&f->layout);
    f->blocks[1] = metrics_new(&f->layout);
    buf_init(&f->page, 1 << 20, NULL);
}

static void fixture_fini(struct fixture *f)
{
    metrics_free(&f->blocks[0]);
    metrics_free(&f->blocks[1]);
    buf_fini(&f->page);
}

/* Renders and keeps the group of one metric: from its HELP line to the next one. */
static const char *render_section(struct fixture *f, const char *name)
{
    char start[200];

    f->page.n = 0;
    CHECK_INT(metrics_render(f->blocks, 2, &f->page), ERR_OK);
    snprintf(start, sizeof(start), "# HELP %s ", name);
    ptrdiff_t at = slice_find(buf_slice(&f->page), slice_of(start));
    if (!CHECK(at >= 0))
        return "";
    struct slice rest = slice_from(buf_slice(&f->page), (size_t)at);
    ptrdiff_t end = slice_find(slice_from(rest, 1), SLICE("# HELP "));
    if (end >= 0)
        rest.n = (size_t)end + 1;
    snprintf(f->section, sizeof(f->section), "%.*s", SLICE_ARG(rest));
    return f->section;
}

TEST(a_plain_counter)
{
    struct fixture f;

    fixture_init(&f);
    CHECK_STR(render_section(&f, "tidegate_events_relayed_total"),
              "# HELP tidegate_events_relayed_total Payload events relayed to clients.\n"
              "# TYPE tidegate_events_relayed_total counter\n"
              "tidegate_events_relayed_total 0\n");
    metrics_add(f.blocks[0], METRIC_EVENTS, 0, 5);
    metrics_add(f.blocks[1], METRIC_EVENTS, 0, INT64_C(10000000000));
    CHECK_STR(strrchr(render_section(&f, "tidegate_events_relayed_total"), ' '), " 10000000005\n");
    CHECK_INT(metrics_get(f.blocks, 2, METRIC_EVENTS, 0), INT64_C(10000000005));
    CHECK_INT(metrics_get(f.blocks, 1, METRIC_EVENTS, 0), 5);
    fixture_fini(&f);
}

TEST(all_rows_of_a_metric_are_one_group)
{
    struct fixture f;

    fixture_init(&f);
    metrics_add(f.blocks[0], METRIC_CALLS_INFLIGHT, 1, 3);
    metrics_add(f.blocks[1], METRIC_CALLS_INFLIGHT, 1, -1);
    metrics_set(f.blocks[0], METRIC_CALLS_INFLIGHT, 2, -4);
    CHECK_STR(render_section(&f, "tidegate_upstream_inflight"),
              "# HELP tidegate_upstream_inflight Calls in flight now.\n"
              "# TYPE tidegate_upstream_inflight gauge\n"
              "tidegate_upstream_inflight{x=\"0\"} 0\n"
              "tidegate_upstream_inflight{x=\"1\"} 2\n"
              "tidegate_upstream_inflight{x=\"2\"} -4\n");
    metrics_set(f.blocks[0], METRIC_CALLS_INFLIGHT, 2, 0);
    CHECK_INT(metrics_get(f.blocks, 2, METRIC_CALLS_INFLIGHT, 2), 0);
    fixture_fini(&f);
}

TEST(a_gauge_of_microseconds_is_shown_in_seconds)
{
    struct fixture f;

    fixture_init(&f);
    metrics_set(f.blocks[0], METRIC_LOOP_HELD, 1, 5250);
    metrics_set(f.blocks[0], METRIC_LOOP_HELD, 2, INT64_C(61000001));
    const char *text = render_section(&f, "tidegate_loop_held_seconds_max");
    CHECK(strstr(text, "# TYPE tidegate_loop_held_seconds_max gauge\n"));
    CHECK(strstr(text, "tidegate_loop_held_seconds_max{x=\"0\"} 0.000000\n"
                       "tidegate_loop_held_seconds_max{x=\"1\"} 0.005250\n"
                       "tidegate_loop_held_seconds_max{x=\"2\"} 61.000001\n"));
    fixture_fini(&f);
}

TEST(a_histogram_is_cumulative_with_the_buckets_for_models)
{
    struct fixture f;

    fixture_init(&f);
    metrics_observe(f.blocks[0], METRIC_TTFT, 0, 50000);
    metrics_observe(f.blocks[0], METRIC_TTFT, 0, 1);
    metrics_observe(f.blocks[1], METRIC_TTFT, 0, 3000000);
    metrics_observe(f.blocks[1], METRIC_TTFT, 0, INT64_C(700000000));
    const char *text = render_section(&f, "tidegate_time_to_first_token_seconds");
    const char *pro = strstr(text, "tidegate_time_to_first_token_seconds_bucket{model=\"pro\"");
    if (!CHECK(pro))
        return;
#define B "tidegate_time_to_first_token_seconds_bucket{model=\"flash\",le="
    static const char want[] =
        "# HELP tidegate_time_to_first_token_seconds Time from the first byte of a request to the first "
        "payload "
        "event of its answer.\n"
        "# TYPE tidegate_time_to_first_token_seconds histogram\n" B "\"0.05\"} 2\n" B "\"0.1\"} 2\n" B
        "\"0.25\"} 2\n" B "\"0.5\"} 2\n" B "\"1\"} 2\n" B "\"2.5\"} 2\n" B "\"5\"} 3\n" B "\"10\"} 3\n" B
        "\"20\"} 3\n" B "\"40\"} 3\n" B "\"80\"} 3\n" B "\"160\"} 3\n" B "\"320\"} 3\n" B "\"600\"} 3\n" B
        "\"+Inf\"} 4\n"
        "tidegate_time_to_first_token_seconds_sum{model=\"flash\"} 703.050001\n"
        "tidegate_time_to_first_token_seconds_count{model=\"flash\"} 4\n";
#undef B
    CHECK_MEM(text, (size_t)(pro - text), want, sizeof(want) - 1);
    CHECK(strstr(pro, "le=\"0.05\"} 0\n") && strstr(pro, "le=\"+Inf\"} 0\n"));
    CHECK(strstr(pro, "_sum{model=\"pro\"} 0.000000\n") && strstr(pro, "_count{model=\"pro\"} 0\n"));
    CHECK(strstr(render_section(&f, "tidegate_request_duration_seconds"), "le=\"600\"} 0\n"));
    CHECK(strstr(f.section, "le=\"1200\"} 0\n") && strstr(f.section, "le=\"1800\"} 0\n"));
    CHECK_INT(metrics_get(f.blocks, 2, METRIC_TTFT, 0), 4);
    fixture_fini(&f);
}

static const struct {
    enum metric_kind kind;
    enum metric_labels labels;
    const char *full_name, *help;
} table[] = {
#define METRIC(name, kind, labels, full_name, help) {kind, labels, full_name, help},
#include "base/metrics.def"
#undef METRIC
};

static size_t count_lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

TEST(every_metric_is_there_at_zero_before_the_first_event)
{
    static struct fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < METRIC_N; i++) {
        const char *text = render_section(&f, table[i].full_name);
        size_t rows_n = table[i].labels == LABELS_NONE ? 1 : table[i].labels == LABELS_MODEL ? 2 : 3;
        size_t lines_n = table[i].kind != METRIC_SECONDS ? 1 : i == METRIC_DURATION ? 19 : 17;
        CHECK_INT(count_lines(text), 2 + rows_n * lines_n);
        for (const char *line = strchr(strchr(text, '\n') + 1, '\n') + 1; *line;
             line = strchr(line, '\n') + 1) {
            const char *value = strstr(line, "} ") && strstr(line, "} ") < strchr(line, '\n')
                                    ? strstr(line, "} ") + 2
                                    : strchr(line, ' ') + 1;
            CHECK(strncmp(value, "0\n", 2) == 0 || strncmp(value, "0.000000\n", 9) == 0);
        }
    }
    CHECK(f.page.p[f.page.n - 1] == '\n');
    fixture_fini(&f);
}

TEST(names_follow_the_conventions)
{
    for (size_t i = 0; i < METRIC_N; i++) {
        const char *name = table[i].full_name;
        size_t n = strlen(name);
        bool total = n > 6 && strcmp(name + n - 6, "_total") == 0;
        bool seconds = n > 8 && strcmp(name + n - 8, "_seconds") == 0;
        bool fine = strncmp(name, "tidegate_", 9) == 0;
        fine = fine && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
        fine = fine && total == (table[i].kind == METRIC_COUNTER) &&
               (table[i].kind != METRIC_SECONDS || seconds);
        fine = fine && !strpbrk(table[i].help, "\\\n") && table[i].help[strlen(table[i].help) - 1] == '.';
        for (size_t k = 0; k < i; k++)
            fine = fine && strcmp(name, table[k].full_name) != 0;
        if (!CHECK(fine))
            printf("# metric %s\n", name);
    }
}

TEST(a_full_buffer_is_an_error)
{
    struct fixture f;

    fixture_init(&f);
    buf_init(&f.page, 1000, NULL);
    CHECK_INT(metrics_render(f.blocks, 2, &f.page), ERR_TOO_LARGE);
    fixture_fini(&f);
}

TEST(writing_allocates_only_a_rows_first_histogram)
{
    struct fixture f;

    fixture_init(&f);
    metrics_observe(f.blocks[0], METRIC_DURATION, 0, 5);
    uint64_t before = mem_alloc_n();
    for (int i = 0; i < 100; i++) {
        metrics_observe(f.blocks[0], METRIC_DURATION, 0, i);
        metrics_add(f.blocks[0], METRIC_REQUESTS, 2, 1);
    }
    CHECK_INT(mem_alloc_n() - before, 0);
    metrics_observe(f.blocks[0], METRIC_DURATION, 1, 5);
    CHECK_INT(mem_alloc_n() - before, 1);
    fixture_fini(&f);
}

static void check_escaped(int line, struct slice in, size_t n, const char *want)
{
    char out[64];

    metrics_escape(out, n, in);
    tap_str(__FILE__, line, "escaped", out, want);
}

TEST(label_values_are_escaped_and_cut_whole)
{
    check_escaped(__LINE__, SLICE("deepseek-flash"), 64, "deepseek-flash");
    check_escaped(__LINE__, SLICE("a\\b\"c\nd"), 64, "a\\\\b\\\"c\\nd");
    check_escaped(__LINE__, SLICE("a\"b"), 3, "a");
    check_escaped(__LINE__, SLICE("a\"b"), 4, "a\\\"");
    check_escaped(__LINE__, SLICE("\xe4\xbd\xa0\xe5\xa5\xbd"), 6, "\xe4\xbd\xa0");
    check_escaped(__LINE__, SLICE("x\xffy"), 64, "x\xef\xbf\xbdy");
    check_escaped(__LINE__, SLICE("abc"), 1, "");
    check_escaped(__LINE__, SLICE_NONE, 64, "");
}

#define EVENTS 20000

static void *on_writer(void *arg)
{
    struct metrics *m = arg;

    for (int i = 0; i < EVENTS; i++) {
        metrics_add(m, METRIC_EVENTS, 0, 1);
        metrics_observe(m, METRIC_TTFT, (size_t)i % 2, i * 100);
    }
    return NULL;
}

TEST(a_scrape_beside_writers_sees_whole_counts)
{
    struct fixture f;
    pthread_t threads[2];
    int64_t last = 0, back_n = 0;

    fixture_init(&f);
    for (int i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, on_writer, f.blocks[i]), 0);
    for (int i = 0; i < 20; i++) {
        f.page.n = 0;
        CHECK_INT(metrics_render(f.blocks, 2, &f.page), ERR_OK);
        int64_t now = metrics_get(f.blocks, 2, METRIC_EVENTS, 0);
        back_n += now < last;
        last = now;
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(back_n, 0);
    CHECK_INT(metrics_get(f.blocks, 2, METRIC_EVENTS, 0), 2 * EVENTS);
    CHECK_INT(metrics_get(f.blocks, 2, METRIC_TTFT, 0), EVENTS);
    CHECK_INT(metrics_get(f.blocks, 2, METRIC_TTFT, 1), EVENTS);
    fixture_fini(&f);
}
