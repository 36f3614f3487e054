/* SPDX-License-Identifier: MIT */
/* gateway/why_text: the words of a record, as a line and as JSON. */
#include "gateway/why_text.h"

#include "base/json.h"
#include "policy/choose.h"
#include "policy/outcome.h"
#include "tap.h"

static const char YAML[] =
    "listen: 127.0.0.1:1\n"
    "endpoints:\n"
    "  - {name: one, provider: openai, url: 'http://127.0.0.1:2/v1', key: none}\n"
    "  - {name: two, provider: openai, url: 'http://127.0.0.1:3/v1', key: none}\n"
    "models: [{name: m, tiers: [[{endpoint: one}], [{endpoint: two, model: other}]]}]\n";

struct scene {
    struct config *cfg;
    struct arena arena;
    struct why why;
    struct why_source source;
    struct buf out;
};

static void begin(struct scene *s)
{
    static struct config_report report;

    memset(s, 0, sizeof *s);
    CHECK_INT(config_parse(slice_of(YAML), "test", &config_env_process, &s->cfg, &report), ERR_OK);
    arena_init(&s->arena, NULL, 0, 4096);
    why_init(&s->why, &s->arena, 0);
    s->source = (struct why_source){.facts = {.arrived_wall_us = 1793318400 * INT64_C(1000000),
                                              .first_us = -1,
                                              .deadline_us = -1,
                                              .result = RESULT_N,
                                              .priority = PRIORITY_HIGH},
                                    .id = SLICE("id"),
                                    .key = SLICE("web"),
                                    .model = SLICE("m"),
                                    .why = &s->why,
                                    .cfg = s->cfg,
                                    .target = &s->cfg->models[0]};
    buf_init(&s->out, 1 << 16, NULL);
}

static void end(struct scene *s)
{
    buf_fini(&s->out);
    arena_fini(&s->arena);
    config_unref(&s->cfg);
}

static const char *words(struct scene *s, bool json)
{
    char _Alignas(8) bytes[WHY_RECORD_MAX];
    struct why_record r;

    CHECK(why_unpack((struct slice){bytes, why_pack(&s->source, bytes)}, &r));
    s->out.n = 0;
    CHECK_INT(json ? why_json(&r, 3, &s->out) : why_line(&r, &s->out), ERR_OK);
    CHECK_INT(buf_add(&s->out, (struct slice){"", 1}), ERR_OK);
    return s->out.p;
}

/* Queued behind a full one, then refused by the second, then answered. */
static void tell(struct why *w)
{
    static const int64_t QUEUED[] = {4, 1200000, -1, -1}, TWO[] = {1, CHOOSE_LEAST, -1};
    static const int64_t ONE[] = {0, CHOOSE_ONLY, 9};
    static const int64_t BUSY[] = {1, OUTCOME_ACCOUNT_BUSY, 429, -1, 35049, 2000000};
    static const struct looks FULL = {
        .n = 2, .out_n = 3, .at = {{0, LOOK_FULL, {8, 9}}, {.target = 1, .is = LOOK_TRIED}}};
    static const struct looks PARKED = {.n = 1, .at = {{0, LOOK_PARKED, {OUTCOME_BALANCE, 5000000}}}};

    why_note(w, WHY_QUEUED, 0, QUEUED, &FULL);
    why_note(w, WHY_CHOSEN, 1000000, TWO, &PARKED);
    why_note(w, WHY_CALLED, 1035049, BUSY, NULL);
    why_note(w, WHY_CHOSEN, 1035050, ONE, NULL);
}

TEST(a_line)
{
    struct scene s;

    begin(&s);
    CHECK_STR(words(&s, false), "");
    tell(&s.why);
    CHECK_STR(words(&s, false),
              "0.0 queued position=4 predicted_ms=1200.0 (one full used=8 limit=9, two/other tried, 3 more); "
              "1000.0 chosen two/other how=least_cost (one parked why=balance for_ms=5000.0); "
              "1035.0 called two/other outcome=account_busy status=429 took_ms=35.0 retry_after_ms=2000.0; "
              "1035.1 chosen one how=the_only_one budget=9");
    end(&s);
}

TEST(a_line_is_bounded_and_plain)
{
    struct scene s;
    const char *line;

    begin(&s);
    for (int i = 0; i < 500; i++)
        tell(&s.why);
    s.source.cfg = NULL;
    s.why.named = 0;
    line = words(&s, false);
    CHECK(strlen(line) <= WHY_LINE_MAX);
    CHECK(strstr(line, " more; ") != NULL);
    for (const char *c = line; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            CHECK(false);
    }
    end(&s);
}

TEST(json)
{
    struct scene s;

    begin(&s);
    tell(&s.why);
    CHECK_STR(
        words(&s, true),
        "{\"arrived\":\"2026-10-30T00:00:00.000Z\",\"worker\":3,\"key\":\"web\",\"model\":\"m\","
        "\"route\":\"chat_completions\",\"priority\":\"high\",\"stream\":false,\"attempts\":0,"
        "\"running\":true,\"wait_ms\":0.0,\"duration_ms\":0.0,\"dropped_steps\":0,\"steps\":["
        "{\"at_ms\":0.0,\"step\":\"queued\",\"position\":4,\"predicted_ms\":1200.0,\"targets\":["
        "{\"endpoint\":\"one\",\"is\":\"full\",\"used\":8,\"limit\":9},"
        "{\"endpoint\":\"two/other\",\"is\":\"tried\"}],\"more_targets\":3},"
        "{\"at_ms\":1000.0,\"step\":\"chosen\",\"endpoint\":\"two/other\",\"how\":\"least "
        "cost\",\"targets\":[{"
        "\"endpoint\":\"one\",\"is\":\"parked\",\"why\":\"balance\",\"for_ms\":5000.0}],\"more_targets\":0},"
        "{\"at_ms\":1035.0,\"step\":\"called\",\"endpoint\":\"two/other\",\"outcome\":"
        "\"account_busy\",\"status\":429,\"took_ms\":35.0,\"retry_after_ms\":2000.0},"
        "{\"at_ms\":1035.1,\"step\":\"chosen\",\"endpoint\":\"one\",\"how\":\"the only "
        "one\",\"budget\":9}]}");
    end(&s);
}

TEST(json_of_an_end_and_of_any_names)
{
    struct scene s;
    struct json_doc *doc;

    begin(&s);
    s.source.facts.result = RESULT_FAILED;
    s.source.facts.err = ERR_DEADLINE_EXCEEDED;
    s.source.facts.status = 504;
    s.source.facts.first_us = 5;
    s.source.facts.deadline_us = 60000000;
    s.source.facts.priority = PRIORITY_N; /* its head was not understood */
    s.source.key = SLICE("a\"b\n\xff");
    words(&s, true);
    s.out.n--;
    CHECK_INT(json_parse(buf_slice(&s.out), NULL, &doc, NULL), ERR_OK);
    CHECK_INT(json_int(json_get(json_root(doc), "status"), 0), 504);
    CHECK(slice_eq(json_string(json_get(json_root(doc), "error")), SLICE("deadline_exceeded")));
    CHECK(slice_eq(json_string(json_get(json_root(doc), "result")), SLICE("failed")));
    CHECK(json_is_absent(json_get(json_root(doc), "priority")));
    CHECK(!json_true(json_get(json_root(doc), "running")));
    json_free(&doc);
    end(&s);
}
