/* SPDX-License-Identifier: MIT */
/* The printed form of rehearsals: which models are shown together, and that JSON is JSON. */
#include "cmd/rehearsal.h"

#include <stdlib.h>

#include "base/json.h"
#include "tap.h"

static const char YAML[] =
    "endpoints:\n"
    "  - {name: a, provider: openai, url: \"https://a.example/v1\", key: sk-canary}\n"
    "  - {name: b, provider: openai, url: \"https://b.example/v1\", key: none}\n"
    "models:\n"
    "  - {name: one, tiers: [[{endpoint: a}]]}\n"
    "  - {name: two, tiers: [[{endpoint: a}], [{endpoint: b}]]}\n"
    "  - {name: \"th\\\"ree\", tiers: [[{endpoint: a, model: other}]], limits: {rpm: 1}}\n"
    "  - {name: four, tiers: [[{endpoint: a}]], deadline: 9s}\n"
    "  - {name: five, tiers: [[{endpoint: a, weight: 1}, {endpoint: b, weight: 1}]]}\n";

static char *printed(void (*print)(struct config *c, FILE *to))
{
    struct config_report report;
    struct config *c;
    size_t n;
    char *text;
    FILE *to = open_memstream(&text, &n);

    CHECK(config_parse(SLICE(YAML), "t", &config_env_process, &c, &report) == ERR_OK);
    print(c, to);
    fclose(to);
    config_unref(&c);
    return text;
}

TEST(models_that_fare_alike_are_shown_together)
{
    char *text = printed(rehearsal_print);

    CHECK(strstr(text, "when endpoints fail: model one, th\"ree\n") != NULL);
    CHECK(strstr(text, "when endpoints fail: model two\n") != NULL);
    CHECK(strstr(text, "when endpoints fail: model four\n") != NULL);
    CHECK(strstr(text, "when endpoints fail: model five\n") != NULL);
    CHECK(strstr(text, "  a is silent (plain request)              the client gets 504 deadline_exceeded "
                       "after 9s\n") != NULL);
    CHECK(strstr(text, "canary") == NULL);
    free(text);
}

TEST(for_machines_it_is_one_json_document)
{
    char *text = printed(rehearsal_print_json);
    struct json_doc *doc = NULL;
    struct json_value models, rows;

    CHECK(json_parse(slice_of(text), NULL, &doc, NULL) == ERR_OK);
    models = json_get(json_root(doc), "models");
    CHECK(slice_eq(json_string(json_at(json_get(json_at(models, 0), "names"), 1)), SLICE("th\"ree")));
    CHECK(json_is_absent(json_at(models, 4)));
    rows = json_get(json_at(models, 1), "rows");
    CHECK(slice_eq(json_string(json_get(json_at(rows, 1), "answered_by")), SLICE("b")));
    CHECK_INT(json_int(json_get(json_root(doc), "left_out"), -1), 0);
    json_free(&doc);
    free(text);
}
