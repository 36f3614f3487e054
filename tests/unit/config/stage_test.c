/* SPDX-License-Identifier: MIT */
/* What is kept on the stage, what is left out, and who holds whom. */
#include "config/stage.h"

#include "tap.h"

static const char YAML[] =
    "listen: 127.0.0.1:9999\n"
    "admin: 127.0.0.1:9998\n"
    "workers: 3\n"
    "accounts: [{name: acc, slots: {m: 2}}]\n"
    "keys: [{name: k, key: sk-canary-client}]\n"
    "timeouts: {transport: 7s}\n"
    "endpoints:\n"
    "  - {name: unused, provider: openai, url: \"http://127.0.0.1:1/v1\"}\n"
    "  - {name: a, provider: openai, url: \"https://a.example/deep/v1\", key: sk-canary-a, account: acc}\n"
    "  - {name: b, provider: deepseek, url: \"https://b.example\", key: sk-canary-b, server_name: "
    "x.example}\n"
    "models:\n"
    "  - {name: other, tiers: [[{endpoint: unused}]]}\n"
    "  - name: m\n"
    "    aliases: [mm]\n"
    "    limits: {rpm: 5}\n"
    "    tiers: [[{endpoint: b, weight: 2}, {endpoint: a, weight: 1}], [{endpoint: b, model: bb}]]\n";

static struct stage_place place(void *ud, int endpoint)
{
    (*(int *)ud)++;
    return (struct stage_place){endpoint == 1 ? "10.0.0.1" : "10.0.0.2", 80};
}

TEST(one_model_its_endpoints_and_nobody_elses_secrets)
{
    struct config_report report;
    struct config *c, *s;
    int asked_n = 0;

    CHECK(config_parse(SLICE(YAML), "t", &config_env_process, &c, &report) == ERR_OK);
    s = config_stage(c, 1, place, &asked_n);
    CHECK_INT(asked_n, 2); /* once for each endpoint of the model */
    CHECK_INT(s->models_n, 1);
    CHECK_INT(s->endpoints_n, 2);
    CHECK_STR(s->endpoints[0].name, "b");
    CHECK_STR(s->endpoints[1].name, "a");
    CHECK(strcmp(s->endpoints[1].host, "10.0.0.1") == 0 && !s->endpoints[1].tls);
    CHECK(slice_eq(s->endpoints[1].base_path, SLICE("/v1")) && s->endpoints[0].base_path.n == 0);
    CHECK(s->endpoints[0].server_name == NULL && s->endpoints[1].account == 0);
    CHECK(slice_eq(s->endpoints[1].secret, SLICE("made-up")));
    CHECK(s->models[0].tiers[0].targets[1].endpoint == 1 && s->models[0].tiers[1].targets[0].endpoint == 0);
    CHECK(s->models[0].tiers[0].targets[0].weight == 2);
    CHECK(config_limits_are_none(&s->models[0].limits));
    CHECK(s->keys_n == 0 && s->workers == 1 && s->admin == NULL && s->listen_n == 1);
    CHECK_INT(s->opt.transport_us, 7000000);
    CHECK_INT(config_find_model(s, SLICE("m")).model, 0);
    CHECK_INT(config_find_model(s, SLICE("other")).model, -1);
    config_unref(&s);
    CHECK(slice_eq(c->endpoints[1].secret, SLICE("sk-canary-a"))); /* not wiped with the stage */
    CHECK(slice_eq(c->keys[0].secret, SLICE("sk-canary-client")));
    config_unref(&c);
}

TEST(a_stage_outlives_whoever_made_it)
{
    struct config_report report;
    struct config *c, *s;
    int asked_n = 0;

    CHECK(config_parse(SLICE(YAML), "t", &config_env_process, &c, &report) == ERR_OK);
    s = config_stage(c, 1, place, &asked_n);
    config_unref(&c);
    CHECK(slice_eq(s->models[0].name, SLICE("m")));
    config_unref(&s);
}
