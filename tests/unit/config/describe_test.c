/* SPDX-License-Identifier: MIT */
/* The description that `tidegate check` prints. */
#include "config/config.h"

#include "base/mem.h"
#include "tap.h"
#include "unit/config/reading.h"

static const char yaml[] =
    "listen: 127.0.0.1:8080\n"
    "workers: 2\n"
    "region: us\n"
    "regions: {eu: {us: 90ms}}\n"
    "timeouts: {connect: 2m}\n"
    "keys:\n"
    "  - {name: web, key: \"${WEB_KEY}\", priority: high, models: [flash, pro],\n"
    "     limits: {rps: 100, inflight: 50, models: {pro: {tpm: 200000}}}}\n"
    "  - {name: all, key: sk-canary-all, sensitive: local-only}\n"
    "accounts: [{name: main, slots: {flash: 1, \"*\": 5}}]\n"
    "endpoints:\n"
    "  - {name: ds, provider: deepseek, url: \"https://api.deepseek.com\", key: \"${SECRET}\", account: "
    "main}\n"
    "  - {name: own, provider: openai, url: \"https://h/v1\", key: \"sk-canary\", region: eu, account: "
    "main}\n"
    "  - {name: lan, provider: openai, url: \"http://127.0.0.1:9/v1\", key: none, local: true, "
    "region: us, slots: {other: 2, \"*\": 1}, price: {input: 0.5, output: 1}}\n"
    "rules:\n"
    "  - {if: {key: [web, all], header: {x-team: a, x-env: \"${SECRET}\"}, prompt_tokens: \">8000\"}, model: "
    "pro}\n"
    "  - {if: {prompt_tokens: \"10..20\"}, use: [own, lan]}\n"
    "models:\n"
    "  - name: flash\n"
    "    aliases: [quick, {name: chat, set: {thinking: {type: disabled}, user: \"${SECRET}\"}}]\n"
    "    tiers: [[{endpoint: ds, weight: 2}, {endpoint: own, weight: 1, model: other}], [{endpoint: "
    "lan, model: other}]]\n"
    "    spill_after: 1500ms\n"
    "  - {name: pro, tiers: [[{endpoint: lan}, {endpoint: own}]], deadline: 90s, limits: {rpm: 600, rph: "
    "9}, sensitive: local-only, rules: [{tier: 1, sensitive: local-only}]}\n"
    "  - {name: \"*\", tiers: [[{endpoint: lan}]]}\n";

static const char want[] =
    "listen      127.0.0.1:8080\n"
    "region      us\n"
    "workers     2\n"
    "access_log  stdout\n"
    "log_level   info\n"
    "timeouts.connect = 2m (default 5s)\n"
    "key web: priority high, from ${WEB_KEY}, models flash, pro; limits rps 100, inflight 50; pro limits "
    "tpm 200000\n"
    "key all: priority normal, from the configuration file, every model; sensitive: local-only\n"
    "rule 1: if key web or all, header x-team: a, header x-env: (from the environment), prompt_tokens >= "
    "8001: "
    "model pro\n"
    "rule 2: if prompt_tokens 10..20: use own, lan\n"
    "\n"
    "model flash\n"
    "  alias quick\n"
    "  alias chat sets thinking = {\"type\":\"disabled\"}, user = (from the environment)\n"
    "  deadline 10m\n"
    "  tier 1\n"
    "       67%  ds https://api.deepseek.com, provider deepseek, key from ${SECRET}, account main (1 "
    "slot)\n"
    "       33%  own https://h/v1, provider openai, key from the configuration file, account main (5 "
    "slots), "
    "region eu (90ms away), as model other\n"
    "  tier 2, when none before it is usable within 1s500ms\n"
    "      100%  lan http://127.0.0.1:9/v1, provider openai, key none, 2 slots of its own, region us, local, "
    "as model other, price 0.5 in, 1 out\n"
    "\n"
    "model pro\n"
    "  deadline 1m30s; limits over all keys rpm 600, rph 9; sensitive: local-only\n"
    "  rule 1: every request: from tier 1 on, sensitive: local-only\n"
    "  tier 1, by least cost\n"
    "            lan http://127.0.0.1:9/v1, provider openai, key none, 1 slot of its own, region us, local, "
    "price 0.5 in, 1 out\n"
    "            own https://h/v1, provider openai, key from the configuration file, account main (5 "
    "slots), "
    "region eu (90ms away)\n"
    "\n"
    "model * (every name not listed, passed through)\n"
    "  deadline 10m\n"
    "  tier 1\n"
    "      100%  lan http://127.0.0.1:9/v1, provider openai, key none, 1 slot of its own, region us, local, "
    "price 0.5 in, 1 out\n";

TEST(a_description_shows_what_resolves_to_what_and_no_secret)
{
    struct config_report report;
    struct config *c = reading_of(yaml, &report);
    char *text;

    if (!CHECK(c != NULL)) {
        printf("# %s", report.text);
        return;
    }
    text = config_describe(c);
    CHECK_STR(text, want);
    CHECK(!strstr(text, CANARY));
    CHECK(!strstr(report.text, CANARY));
    mem_free(text);
    config_unref(&c);
}

TEST(small_shares_and_the_clients_key_are_told)
{
    struct config_report report;
    struct config *c =
        reading_of("endpoints: [{name: a, provider: openai, url: \"http://127.0.0.1:1/v1\", key: client}]\n"
                   "models: [{name: m, tiers: [[{endpoint: a, weight: 1}, {endpoint: a, weight: 999}]]}]\n",
                   &report);
    char *text;

    if (!CHECK(c != NULL))
        return;
    text = config_describe(c);
    CHECK(strstr(text, "0.10%  a http://127.0.0.1:1/v1, provider openai, key of the client\n") != NULL);
    CHECK(strstr(text, "listen      127.0.0.1:8080 (no keys: whoever reaches it may call)\n") != NULL);
    mem_free(text);
    config_unref(&c);
}
