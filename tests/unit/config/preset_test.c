/* SPDX-License-Identifier: MIT */
/* Configurations from well-known environment variables and around the simulator. */
#include "config/config.h"

#include "base/mem.h"
#include "tap.h"
#include "unit/config/reading.h"

struct variables {
    const char *deepseek, *openai, *url;
};

static const char *get(void *ud, const char *name)
{
    const struct variables *v = ud;

    if (strcmp(name, "DEEPSEEK_API_KEY") == 0)
        return v->deepseek;
    if (strcmp(name, "OPENAI_API_KEY") == 0)
        return v->openai;
    return strcmp(name, "OPENAI_BASE_URL") == 0 ? v->url : NULL;
}

static struct config *from_env(struct variables v, char **yaml, struct config_report *report)
{
    const struct config_env env = {get, &v};
    struct config *c;
    enum err err = config_from_env(&env, &c, yaml, report);

    CHECK_INT(err, c || report->errors_n == 0 ? ERR_OK : ERR_CONFIG);
    return c;
}

/* The endpoint that the first tier of what `name` resolves to begins with. */
static const struct config_endpoint *first_endpoint(const struct config *c, const char *name)
{
    struct config_match m = config_find_model(c, slice_of(name));

    return m.model < 0 ? NULL : &c->endpoints[c->models[m.model].tiers[0].targets[0].endpoint];
}

TEST(without_variables_there_is_no_configuration)
{
    struct config_report report;
    char *yaml;

    CHECK(from_env((struct variables){0}, &yaml, &report) == NULL);
    CHECK(yaml == NULL);
    CHECK(from_env((struct variables){"", "", ""}, &yaml, &report) == NULL);
    CHECK_STR(report.text, "");
}

TEST(deepseek_alone_takes_every_name)
{
    struct config_report report;
    char *yaml;
    struct config *c = from_env((struct variables){.deepseek = "sk-canary"}, &yaml, &report);

    if (!CHECK(c != NULL))
        return;
    CHECK_STR(report.text, "");
    CHECK_INT(c->endpoints_n, 1);
    CHECK_STR(first_endpoint(c, "deepseek-chat")->host, "api.deepseek.com");
    CHECK_STR(first_endpoint(c, "deepseek-v4-pro")->secret.p, "sk-canary");
    CHECK_STR(first_endpoint(c, "another")->name, "deepseek");
    CHECK_STR(config_find_model(c, SLICE("deepseek-reasoner")).alias->sets[0].json.p,
              "{\"type\":\"enabled\"}");
    CHECK_STR(config_find_model(c, SLICE("deepseek-chat")).alias->sets[0].json.p, "{\"type\":\"disabled\"}");
    CHECK(slice_eq(config_find_model(c, SLICE("deepseek-chat")).upstream, SLICE("deepseek-flash")));
    CHECK_STR(c->listen[0].at, "127.0.0.1:8080");
    CHECK_STR(c->admin->at, "127.0.0.1:8081");
    CHECK(!strstr(yaml, CANARY) && strstr(yaml, "${DEEPSEEK_API_KEY}"));
    mem_free(yaml);
    config_unref(&c);
}

TEST(openai_gets_the_names_that_are_not_deepseeks)
{
    struct config_report report;
    char *yaml;
    struct config *c = from_env((struct variables){"sk-canary-d", "sk-canary-o", NULL}, &yaml, &report);

    if (!CHECK(c != NULL))
        return;
    CHECK_STR(first_endpoint(c, "deepseek-flash")->name, "deepseek");
    CHECK_STR(first_endpoint(c, "gpt")->host, "api.openai.com");
    CHECK_STR(first_endpoint(c, "gpt")->base_path.p, "/v1");
    CHECK_STR(first_endpoint(c, "gpt")->secret.p, "sk-canary-o");
    CHECK(!strstr(yaml, CANARY));
    mem_free(yaml);
    config_unref(&c);
}

TEST(a_base_url_alone_needs_no_key_and_may_not_bring_yaml)
{
    struct config_report report;
    struct config *c = from_env((struct variables){.url = "http://127.0.0.1:8000/v1"}, NULL, &report);

    if (!CHECK(c != NULL))
        return;
    CHECK_INT(first_endpoint(c, "x")->key_mode, KEY_NONE);
    CHECK_INT(first_endpoint(c, "x")->port, 8000);
    config_unref(&c);
    CHECK(from_env((struct variables){.url = "http://h/v1\"\nlisten: 0.0.0.0:1 #"}, NULL, &report) == NULL);
    CHECK_STR(report.text, "<environment>:6:10: error: url holds a control character\n");
    CHECK(from_env((struct variables){.deepseek = "sk canary"}, NULL, &report) == NULL);
    CHECK(strstr(report.text, "DEEPSEEK_API_KEY in the environment holds a blank") &&
          !strstr(report.text, CANARY));
}

TEST(the_printed_text_is_the_same_configuration)
{
    struct variables v = {"sk-canary-d", "sk-canary-o", "http://127.0.0.1:8000/v1"};
    const struct config_env env = {get, &v};
    struct config_report report;
    char *yaml, *one, *two;
    struct config *a = from_env(v, &yaml, &report), *b;

    if (!CHECK(a != NULL) || !CHECK_INT(config_parse(slice_of(yaml), "t", &env, &b, &report), ERR_OK))
        return;
    one = config_describe(a);
    two = config_describe(b);
    CHECK_STR(one, two);
    mem_free(one);
    mem_free(two);
    mem_free(yaml);
    config_unref(&a);
    config_unref(&b);
}

TEST(the_simulator_gets_every_name)
{
    struct config_report report;
    struct config *c;
    char *yaml;

    if (!CHECK_INT(config_for_sim("127.0.0.1:4567", &c, &yaml, &report), ERR_OK))
        return;
    CHECK_STR(report.text, "");
    CHECK_INT(first_endpoint(c, "deepseek-chat")->provider, PROVIDER_DEEPSEEK);
    CHECK_INT(first_endpoint(c, "any+cut=3")->provider, PROVIDER_TIDEGATE);
    CHECK_STR(first_endpoint(c, "any")->authority.p, "127.0.0.1:4567");
    CHECK_STR(first_endpoint(c, "any")->base_path.p, "/v1");
    mem_free(yaml);
    config_unref(&c);
    CHECK_INT(config_for_sim("somewhere", &c, &yaml, &report), ERR_CONFIG);
    CHECK(c == NULL && yaml == NULL && report.errors_n == 1);
}
