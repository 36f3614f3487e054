/* SPDX-License-Identifier: MIT */
/* Whole configurations: every report word for word (findings.def), what good ones become, and that nothing of
 * a secret ever shows. */
#include "config/config.h"

#include "base/clock.h"
#include "base/mem.h"
#include "config/options.h"
#include "tap.h"
#include "unit/config/reading.h"

TEST(every_finding_is_reported_word_for_word)
{
    static const struct {
        const char *name, *yaml, *report;
    } findings[] = {
#define FINDING(name, yaml, report) {#name, yaml, report},
#include "unit/config/findings.def"
#undef FINDING
    };

    for (size_t i = 0; i < sizeof(findings) / sizeof(findings[0]); i++) {
        struct config_report report;
        struct config *c = reading_of(findings[i].yaml, &report);
        bool refused = strstr(findings[i].report, ": error: ") != NULL;

        if (!CHECK_STR(report.text, findings[i].report))
            printf("# finding %s\n", findings[i].name);
        CHECK(!strstr(report.text, CANARY));
        CHECK_INT(c == NULL, refused);
        CHECK_INT(report.errors_n > 0, refused);
        config_unref(&c);
    }
}

static const char full[] =
    "listen: [127.0.0.1:8080, \"[::1]:8080\", \"0.0.0.0:8081\"]\n"
    "admin: localhost:0\n"
    "metrics: \":9090\"\n"
    "workers: 3\n"
    "access_log: ./access.log\n"
    "log_level: ${LEVEL}\n"
    "timeouts: {connect: 1m30s, hold: 0s}\n"
    "limits: {body: 100MB, attempts: 10}\n"
    "keys:\n"
    "  - {name: web, key: \"${WEB_KEY}\", priority: high, models: [flash, \"*\"]}\n"
    "  - {name: batch, key: sk-canary-2}\n"
    "accounts:\n"
    "  - {name: main, slots: {deepseek-flash: 2500, \"*\": 7}}\n"
    "  - {name: found, learn: true}\n"
    "endpoints:\n"
    "  - name: deepseek\n"
    "    provider: deepseek\n"
    "    url: https://API.deepseek.com/\n"
    "    key: \"Bearer-${SECRET}\"\n"
    "    account: main\n"
    "    region: cn\n"
    "  - {name: six, provider: openai, url: \"http://[::1]:9101/v1//\", ca_file: /dev/null}\n"
    "models:\n"
    "  - name: flash\n"
    "    aliases: [quick, {name: slow, set: {thinking: {type: enabled}, n: 2, s: \"2\", list: [null, ~, "
    "-1.5e3, x],\n"
    "              who: \"${SECRET}\"}}]\n"
    "    tiers:\n"
    "      - [{endpoint: deepseek, weight: 70, model: deepseek-flash}, {endpoint: six, weight: 30}]\n"
    "      - [{endpoint: six}]\n"
    "    deadline: 60s\n"
    "  - {name: \"*\", tiers: [[{endpoint: six}]]}\n";

static void check_sections(const struct config *c)
{
    CHECK_INT(c->listen_n, 3);
    CHECK_STR(c->listen[1].at, "[::1]:8080");
    CHECK_STR(c->admin->at, "127.0.0.1:0");
    CHECK_STR(c->metrics->at, "0.0.0.0:9090");
    CHECK_INT(c->workers, 3);
    CHECK_STR(c->access_log, "./access.log");
    CHECK_STR(c->log_level, "debug");
    CHECK_INT(c->opt.connect_us, 90 * CLOCK_SECOND_US);
    CHECK_INT(c->opt.hold_us, 0);
    CHECK_INT(c->opt.body_max, 100000000);
    CHECK_INT(c->opt.attempts_max, 10);
    CHECK_INT(c->keys_n, 2);
    CHECK_STR(c->keys[0].name, "web");
    CHECK_STR(c->keys[0].secret.p, "sk-canary-web");
    CHECK_STR(c->keys[0].secret_from, "${WEB_KEY}");
    CHECK_INT(c->keys[0].priority, PRIORITY_HIGH);
    CHECK_INT(c->keys[0].models_n, 2);
    CHECK_INT(c->keys[0].models[0], 0);
    CHECK_INT(c->keys[0].models[1], 1);
    CHECK_INT(c->keys[1].priority, PRIORITY_NORMAL);
    CHECK_INT(c->keys[1].models_n, 0);
    CHECK_INT(c->accounts_n, 2);
    CHECK(!c->accounts[0].learn && c->accounts[1].learn);
    CHECK_INT(c->accounts[1].slots_n, 1); /* one for all, without a cap */
    CHECK_INT(c->accounts[1].slots[0].n, 0);
    CHECK_INT(c->accounts[0].slots_n, 2);
    CHECK_INT(c->accounts[0].slots[1].n, 7);
}

static void check_endpoints(const struct config *c)
{
    const struct config_endpoint *e = c->endpoints;

    CHECK_INT(c->endpoints_n, 2);
    CHECK_INT(e[0].provider, PROVIDER_DEEPSEEK);
    CHECK_STR(e[0].host, "api.deepseek.com");
    CHECK_INT(e[0].port, 443);
    CHECK(e[0].tls);
    CHECK_STR(e[0].base_path.p, "");
    CHECK_STR(e[0].authority.p, "api.deepseek.com");
    CHECK_INT(e[0].key_mode, KEY_OWN);
    CHECK_STR(e[0].secret.p, "Bearer-sk-canary-secret");
    CHECK_STR(e[0].secret_from, "the environment, in part");
    CHECK_INT(e[0].account, 0);
    CHECK_STR(e[0].region, "cn");
    CHECK_STR(e[1].host, "::1");
    CHECK_STR(e[1].authority.p, "[::1]:9101");
    CHECK_STR(e[1].base_path.p, "/v1");
    CHECK_INT(e[1].key_mode, KEY_NONE);
    CHECK_INT(e[1].account, -1);
    CHECK_STR(e[1].ca_file, "/dev/null");
}

static void check_models(const struct config *c)
{
    const struct config_model *m = &c->models[0];

    CHECK_INT(c->models_n, 2);
    CHECK_INT(c->wildcard, 1);
    CHECK_INT(m->aliases_n, 2);
    CHECK_STR(m->aliases[1].name.p, "slow");
    CHECK_INT(m->aliases[1].sets_n, 5);
    CHECK_STR(m->aliases[1].sets[0].name.p, "thinking");
    CHECK_STR(m->aliases[1].sets[0].json.p, "{\"type\":\"enabled\"}");
    CHECK_STR(m->aliases[1].sets[1].json.p, "2");
    CHECK_STR(m->aliases[1].sets[2].json.p, "\"2\"");
    CHECK_STR(m->aliases[1].sets[3].json.p, "[null,null,-1.5e3,\"x\"]");
    CHECK(!m->aliases[1].sets[3].from_env);
    CHECK_STR(m->aliases[1].sets[4].json.p, "\"sk-canary-secret\"");
    CHECK(m->aliases[1].sets[4].from_env);
    CHECK_INT(m->tiers_n, 2);
    CHECK_INT(m->tiers[0].targets_n, 2);
    CHECK_INT(m->tiers[0].targets[0].weight, 70);
    CHECK_STR(m->tiers[0].targets[0].model.p, "deepseek-flash");
    CHECK_INT(m->tiers[0].targets[1].endpoint, 1);
    CHECK(!m->tiers[0].targets[1].model.p);
    CHECK_INT(m->tiers[1].targets[0].weight, 0);
    CHECK_INT(m->deadline_us, 60 * CLOCK_SECOND_US);
    CHECK_INT(c->models[1].deadline_us, c->opt.deadline_us);
    CHECK(m->spill_after_us == CLOCK_NEVER_US);
}

TEST(a_full_configuration_becomes_what_it_says)
{
    struct config_report report;
    struct config *c = reading_of(full, &report);

    CHECK_STR(
        report.text,
        "t:14:5: warning: no endpoint uses the account found\n"
        "t:22:75: warning: ca_file has no effect on http://\n"
        "t:30:15: warning: when connecting hangs, no other endpoint is tried: timeouts.connect (1m30s) is "
        "not shorter than this deadline\n");
    if (!CHECK(c != NULL))
        return;
    check_sections(c);
    check_endpoints(c);
    check_models(c);
    config_unref(&c);
    CHECK(c == NULL);
}

TEST(what_is_left_out_has_its_default)
{
    struct config_report report;
    struct config *c = reading_of(BASE, &report);
    const struct option *rows;
    size_t n;

    CHECK_STR(report.text, "");
    if (!CHECK(c != NULL))
        return;
    rows = options_table(&n);
    for (size_t i = 0; i < n; i++)
        CHECK_INT(options_get(&c->opt, &rows[i]), rows[i].dflt);
    CHECK_INT(c->listen_n, 1);
    CHECK_STR(c->listen[0].at, "127.0.0.1:8080");
    CHECK(!c->admin && !c->metrics);
    CHECK(c->workers >= 1);
    CHECK_STR(c->access_log, "stdout");
    CHECK_STR(c->log_level, "info");
    CHECK_INT(c->wildcard, -1);
    config_unref(&c);
}

TEST(every_option_takes_its_bounds_and_nothing_beyond)
{
    const struct option *rows;
    size_t n;

    rows = options_table(&n);
    for (size_t i = 0; i < n; i++) {
        int64_t values[] = {rows[i].min, rows[i].max, rows[i].min - 1, rows[i].max + 1};
        const char *dot = strchr(rows[i].path, '.');

        if (!CHECK(dot != NULL))
            continue;
        for (int k = 0; k < 4; k++) {
            struct config_report report;
            char text[32], yaml[512];
            struct config *c;

            if (values[k] < 0)
                continue;
            snprintf(yaml, sizeof(yaml), BASE "%.*s: {%s: %s}\n", (int)(dot - rows[i].path), rows[i].path,
                     dot + 1, options_print(&rows[i], values[k], text));
            c = reading_of(yaml, &report);
            if (!CHECK_INT(c != NULL, k < 2))
                printf("# %s = %s: %s\n", rows[i].path, text, report.text);
            if (c)
                CHECK_INT(options_get(&c->opt, &rows[i]), values[k]);
            config_unref(&c);
        }
    }
}

TEST(too_many_findings_are_counted_and_the_report_stays_whole_lines)
{
    struct config_report report;
    char yaml[16384] = BASE "limits:\n";
    struct config *c;

    for (int i = 0; i < 300; i++) {
        size_t at = strlen(yaml);

        snprintf(yaml + at, sizeof(yaml) - at, "  wrong_%c%c: 1\n", 'a' + i / 26, 'a' + i % 26);
    }
    c = reading_of(yaml, &report);
    CHECK(c == NULL);
    CHECK_INT(report.errors_n, 300);
    CHECK(strlen(report.text) < sizeof(report.text));
    CHECK(strstr(report.text, "t:4:3: error: \"wrong_aa\" is not known in limits") != NULL);
    CHECK(strstr(report.text, "\nt: and 2") != NULL);
    CHECK(report.text[strlen(report.text) - 1] == '\n');
}

TEST(values_of_the_environment_bring_no_structure)
{
    struct config_report report;
    struct config *c = reading_of(BASE "access_log: ${YAML}\n", &report);

    CHECK(c == NULL);
    CHECK_STR(report.text, "t:3:13: error: access_log holds a control character\n");
    c = reading_of(BASE "log_level: ${BROKEN}\n", &report);
    CHECK(c == NULL);
    CHECK_STR(report.text, "t:3:12: error: BROKEN holds bytes that are not UTF-8\n");
}

TEST(a_provider_whose_api_has_one_path_needs_none_in_the_url)
{
    static const struct {
        const char *provider, *url, *base_path, *shown;
    } rows[] = {
        {"llama", "http://127.0.0.1:9931", "/v1", "http://127.0.0.1:9931/v1"},
        {"llama", "http://127.0.0.1:9931/", "/v1", "http://127.0.0.1:9931/v1"},
        {"vllm", "http://127.0.0.1:8000/v1", "/v1", "http://127.0.0.1:8000/v1"},
        {"sglang", "http://127.0.0.1:30000", "/v1", "http://127.0.0.1:30000/v1"},
        {"ollama", "http://127.0.0.1:11434", "/v1", "http://127.0.0.1:11434/v1"},
        {"ollama", "http://127.0.0.1:11434/other", "/other", "http://127.0.0.1:11434/other"},
        {"anthropic", "https://api.anthropic.com", "/v1", "https://api.anthropic.com/v1"},
        {"tidegate", "http://127.0.0.1:8090", "/v1", "http://127.0.0.1:8090/v1"},
        {"deepseek", "https://api.deepseek.com", "", "https://api.deepseek.com"},
        {"deepseek", "https://api.deepseek.com/beta", "/beta", "https://api.deepseek.com/beta"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config_report report;
        struct config *c;
        char yaml[256];

        snprintf(yaml, sizeof yaml,
                 "endpoints: [{name: e, provider: %s, url: \"%s\", key: none}]\n"
                 "models: [{name: m, tiers: [[{endpoint: e}]]}]\n",
                 rows[i].provider, rows[i].url);
        c = reading_of(yaml, &report);
        CHECK_STR(report.text, "");
        if (!CHECK(c != NULL))
            continue;
        CHECK_STR(config_provider_name(c->endpoints[0].provider), rows[i].provider);
        CHECK(slice_eq(c->endpoints[0].base_path, slice_of(rows[i].base_path)));
        CHECK(slice_eq(c->endpoints[0].url, slice_of(rows[i].shown)));
        config_unref(&c);
    }
}

TEST(a_listener_may_be_a_mapping_and_inherits_tls_unless_it_says_otherwise)
{
    static const char FILE_TEXT[] =
        "tls: {certs: [{cert: /dev/null, key: /dev/zero}, {cert: /dev/zero, key: /dev/null}]}\n"
        "listen:\n"
        "  - 127.0.0.1:1\n"
        "  - {address: \"127.0.0.1:2\", tls: off, proxy_protocol: true}\n"
        "  - {address: \"127.0.0.1:3\", tls: {cert: /dev/null, key: /dev/null}}\n"
        "  - {address: \"unix:/run/x\", mode: \"0600\"}\n"
        "  - {address: \"unix:@x\", tls: {cert: /dev/null, key: /dev/null}}\n"
        "admin: unix:/run/admin\n"
        "metrics: {address: \"0.0.0.0:9\", tls: {cert: /dev/null, key: /dev/null}}\n"
        "endpoints: [{name: a, provider: openai, url: \"http://127.0.0.1:11/v1\", key: none}]\n"
        "models: [{name: m, tiers: [[{endpoint: a}]]}]\n";
    struct config_report report;
    const struct config_listener *l;
    struct config *c;

    CHECK_INT(config_parse(SLICE(FILE_TEXT), "t", &reading_env, &c, &report), ERR_OK);
    CHECK_STR(report.text, "");
    if (c == NULL)
        return;
    l = c->listen;
    CHECK_INT(c->listen_n, 5);
    CHECK(l[0].tls != NULL && l[0].tls->pairs_n == 2 && !l[0].proxy_protocol);
    CHECK_STR(l[0].tls->pairs[1].cert.path, "/dev/zero");
    CHECK_INT(l[0].tls->pairs[1].key.line, 1);
    CHECK_INT(l[0].tls->pairs[1].key.col, 73);
    CHECK(l[1].tls == NULL && l[1].proxy_protocol);
    CHECK(l[2].tls != NULL && l[2].tls != l[0].tls && l[2].tls->pairs_n == 1);
    CHECK(l[3].tls == NULL && l[3].mode == 0600); /* a Unix socket has to ask for TLS */
    CHECK(l[4].tls != NULL && l[4].mode == 0660);
    CHECK_STR(l[4].at, "unix:@x");
    CHECK(c->admin->tls == NULL && c->metrics->tls != NULL);
    config_unref(&c);
}
