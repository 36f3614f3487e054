/* SPDX-License-Identifier: MIT */
/* config/print: the effective configuration reads back to itself, and no secret is in it. */
#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "reading.h"
#include "tap.h"

static char *print(const char *yaml)
{
    struct config_report report = {.text = ""};
    struct config *c = reading_of(yaml, &report);
    char *text;

    if (c == NULL)
        printf("# %s\n%s\n", report.text, yaml);
    ASSERT(c != NULL);
    text = config_print(c);
    config_unref(&c);
    return text;
}

/* The same after a second reading, and described the same. */
static void check_round(const char *yaml)
{
    struct config_report report = {.text = ""};
    char *once = print(yaml), *twice = print(once);
    struct config *a = reading_of(yaml, &report), *b = reading_of(once, &report);
    char *first = config_describe(a), *second = config_describe(b);

    CHECK_STR(twice, once);
    CHECK_STR(second, first);
    config_unref(&a);
    config_unref(&b);
    mem_free(first);
    mem_free(second);
    mem_free(once);
    mem_free(twice);
}

TEST(what_was_left_out_stands_there_with_its_default)
{
    char *text = print(BASE "limits: {line: 7}\n");

    CHECK(strstr(text, "listen: 127.0.0.1:8080\n") != NULL);
    CHECK(strstr(text, "workers: auto\n") != NULL);
    CHECK(strstr(text, "watch: false\n") != NULL);
    CHECK(strstr(text, "core_dumps: false\n") != NULL);
    CHECK(strstr(text, "timeouts:\n  connect: 5s\n") != NULL);
    CHECK(strstr(text, "limits:\n  line: 7\n  head: 64KiB\n") != NULL);
    CHECK(strstr(text, "line: 10000") == NULL);
    mem_free(text);
}

TEST(it_reads_back_to_the_same)
{
    static const char *const FILES[] = {
        BASE,
        BASE "keys: [{name: k, key: '${WEB_KEY}', models: [m]}]\nlisten: ['127.0.0.1:7', '[::1]:8']\n",
        BASE "accounts: [{name: x, slots: {'*': 3, \"a/b c\\\"\": 1}}]\n",
        BASE "limits: {}\ntimeouts: {deadline: \"60s\"}\n",
        "endpoints: [{name: a, provider: openai, url: 'http://127.0.0.1:1/v1', key: client}]\n"
        "models:\n- name: 'm#:x'\n  aliases: [n, {name: o, set: {a: null, b: 'null', c: [1, {}, []], d: ~,\n"
        "    e: {f: {g: 1.50}}, h: \"${LEVEL}\", i: \"$$x \\u00e9\\n\"}}]\n  tiers: [[{endpoint: a}]]\n",
        "endpoints: [{name: a, provider: openai, url: 'http://127.0.0.1:1/v1', key: none}]\n"
        "models: [{name: -m, aliases: [-, ---], tiers: [[{endpoint: a}]]}]\n",
    };

    for (size_t i = 0; i < COUNT_OF(FILES); i++)
        check_round(FILES[i]);
}

TEST(no_secret_is_shown)
{
    char *text =
        print("endpoints:\n"
              "- {name: a, provider: openai, url: 'http://127.0.0.1:1/v1', key: canary-literal}\n"
              "- {name: b, provider: openai, url: 'http://127.0.0.1:2/v1', key: 'canary-${SECRET}'}\n"
              "- {name: c, provider: openai, url: 'http://127.0.0.1:3/v1', key: '${SECRET}'}\n"
              "- {name: d, provider: openai, url: 'http://127.0.0.1:4/v1', key: '${NO:-canary-default}'}\n"
              "- {name: e, provider: openai, url: 'http://127.0.0.1:5/v1', key: none}\n"
              "keys: [{name: w, key: canary-web-literal}, {name: x, key: '${WEB_KEY}'}]\n"
              "models: [{name: m, aliases: [{name: n, set: {user: '${BATCH_KEY}'}}], tiers: [[{endpoint: a}, "
              "{endpoint: b}, {endpoint: c}, {endpoint: d}, {endpoint: e}]]}]\n");

    CHECK(strstr(text, CANARY) == NULL);
    CHECK(strstr(text, "key: \"redacted-1\"") && strstr(text, "key: \"redacted-2\""));
    CHECK(strstr(text, "key: \"${SECRET}\"") && strstr(text, "key: \"${NO:-redacted-3}\""));
    CHECK(strstr(text, "key: none") != NULL);
    check_round(text);
    mem_free(text);
}

TEST(no_password_of_a_proxy_is_shown_however_its_url_is_written)
{
    static const char *const URLS[][2] = {
        {"http://user:canary@10.0.0.9:3128", "proxy: \"http://redacted@10.0.0.9:3128\""},
        {"user:canary@10.0.0.9:3128", "proxy: \"redacted@10.0.0.9:3128\""},
        {"http://user:can@ry/canary@10.0.0.9:3128", "proxy: \"http://redacted@10.0.0.9:3128\""},
        {"user:/canary@10.0.0.9", "proxy: \"redacted@10.0.0.9\""},
        {"10.0.0.9:3128", "proxy: \"10.0.0.9:3128\""},
    };
    char yaml[512];

    for (size_t i = 0; i < COUNT_OF(URLS); i++) {
        char *text;

        snprintf(yaml, sizeof yaml,
                 "endpoints: [{name: a, provider: openai, url: 'https://api.example/v1', key: none, "
                 "proxy: '%s'}]\nmodels: [{name: '*', tiers: [[{endpoint: a}]]}]\n",
                 URLS[i][0]);
        text = print(yaml);
        CHECK(strstr(text, "canary") == NULL);
        if (!CHECK(strstr(text, URLS[i][1]) != NULL))
            printf("# %s\n", text);
        mem_free(text);
    }
}

TEST(a_configuration_made_from_the_environment_can_be_printed_as_well)
{
    struct config_report report = {.text = ""};
    struct config *c = NULL;
    char *text;

    CHECK_INT(config_from_env(&reading_env, &c, NULL, &report), ERR_OK);
    ASSERT(c != NULL);
    text = config_print(c);
    CHECK(strstr(text, "${DEEPSEEK_API_KEY}") != NULL && strstr(text, CANARY) == NULL);
    mem_free(text);
    config_unref(&c);
}
