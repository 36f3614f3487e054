/* SPDX-License-Identifier: MIT */
/* Scripts of outages: how they are read, what is wrong with them and where, and that they hold when they say.
 */
#include "sim/timeline.h"

#include "sim_kit.h"

static struct arena arena;

static bool read_text(const char *text, struct sim_timeline *out, struct sim_timeline_error *error)
{
    arena_init(&arena, NULL, 0, 1024);
    return sim_timeline_parse(slice_of(text), &arena, out, error);
}

TEST(rows_are_read)
{
    struct sim_timeline_error error;
    struct sim_timeline t;

    CHECK(read_text("# a bad day\n"
                    "\n"
                    "at=30s for=10s fault=503,retry_after=5 p=0.25 model=big listener=a\n"
                    "   fault=refuse\tat=0   # for ever\r\n",
                    &t, &error));
    CHECK_INT((long long)t.rows_n, 2);
    CHECK_INT(t.rows[0].at_us, 30 * CLOCK_SECOND_US);
    CHECK_INT(t.rows[0].until_us, 40 * CLOCK_SECOND_US);
    CHECK(slice_eq(t.rows[0].rule.items, SLICE("503,retry_after=5")) && t.rows[0].p == 0.25);
    CHECK(slice_eq(t.rows[0].model, SLICE("big")) && slice_eq(t.rows[0].listener, SLICE("a")));
    CHECK_INT(t.rows[1].rule.early, SIM_REFUSE);
    CHECK_INT(t.rows[1].until_us, CLOCK_NEVER_US);
    CHECK(t.rows[1].p == 1);
    CHECK(sim_timeline_holds(&t.rows[0], 30 * CLOCK_SECOND_US, SLICE("a")));
    CHECK(!sim_timeline_holds(&t.rows[0], 30 * CLOCK_SECOND_US, SLICE("b")));
    CHECK(!sim_timeline_holds(&t.rows[0], 30 * CLOCK_SECOND_US - 1, SLICE("a")));
    CHECK(!sim_timeline_holds(&t.rows[0], 40 * CLOCK_SECOND_US, SLICE("a")));
    arena_fini(&arena);
    CHECK(read_text("", &t, &error));
    CHECK_INT((long long)t.rows_n, 0);
    arena_fini(&arena);
}

TEST(mistakes_are_told_with_line_and_column)
{
    static const struct {
        const char *text;
        int line, column;
        const char *says;
    } ROWS[] = {
        {"at=1s fault=503\nat=1s fault=whatever", 2, 7, "\"fault=whatever\" is not understood"},
        {"fault=503", 1, 1, "at=TIME is missing"},
        {"\n\nat=5s p=1", 3, 1, "fault=NAME is missing"},
        {"at=5 fault=503", 1, 1, "a time since the start"},
        {"at=5s for=0s fault=503", 1, 7, "a duration above zero"},
        {"at=5s fault=503 p=1.5", 1, 17, "a probability from 0 to 1"},
        {"at=5s fault=503 p", 1, 17, "a probability from 0 to 1"},
        {"at=5s fault=503 when=now", 1, 17, "the words are at, for, fault, p, model and listener"},
        {"at=5s fault=503 at=6s", 1, 17, "is given a second time"},
        {"at=5s fault=cut,stall", 1, 7, "\"fault=cut,stall\" is not understood"},
        {"at=5s fault=refuse,ttft=1s", 1, 7, "is not understood"},
        {"at=5s fault=503 model=", 1, 17, "a model's name"},
        {"at=5s model=a fault=refuse", 1, 7, "knows no model"},
        {"at=5s fault=503 listener=", 1, 17, "a listener's name"},
    };

    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct sim_timeline_error error = {0};
        struct sim_timeline t;

        CHECK(!read_text(ROWS[i].text, &t, &error));
        CHECK_INT(error.line, ROWS[i].line);
        CHECK_INT(error.column, ROWS[i].column);
        if (!CHECK(strstr(error.text, ROWS[i].says) != NULL))
            printf("# %s: %s\n", ROWS[i].text, error.text);
        arena_fini(&arena);
    }
}

TEST(an_outage_comes_and_goes_when_it_says)
{
    static const char text[] = "at=30s for=10s fault=503\n"
                               "at=50s for=10s fault=ttft=9s model=slow\n"
                               "at=70s for=10s fault=503 p=0.5\n";
    struct sim_timeline_error error;
    struct sim_timeline t;
    struct sim_opts o;
    struct kit k;
    int busy_n[10] = {0};

    CHECK(read_text(text, &t, &error));
    sim_opts_default(&o);
    o.timeline = &t;
    kit_init(&k, &o);
    for (int i = 0; i < 100; i++) { /* one a second, and another name */
        (void)kit_chat(&k, "slow", true, "x", "");
        (void)kit_chat(&k, "fast~503", true, "x", ""); /* a suffix comes before the timeline */
        kit_run(&k, CLOCK_SECOND_US);
    }
    kit_run(&k, 30 * CLOCK_SECOND_US);
    for (int i = 0; i < 100; i++) {
        const struct caller *c = k.callers[2 * i];
        bool slow = c->first_us - c->started_us > 8 * CLOCK_SECOND_US;

        busy_n[i / 10] += c->status == 503;
        CHECK_INT(slow, i >= 50 && i < 60);
        CHECK_INT(k.callers[2 * i + 1]->status, 503);
    }
    for (int i = 0; i < 10; i++) {
        if (i == 7)
            CHECK(busy_n[i] > 0 && busy_n[i] < 10);
        else
            CHECK_INT(busy_n[i], i == 3 ? 10 : 0);
    }
    kit_fini(&k);
    arena_fini(&arena);
}
