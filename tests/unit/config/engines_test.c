/* SPDX-License-Identifier: MIT */
/* The configuration around engines that were found: the file as it is printed, and what it means. */
#include "config/engines.h"

#include "base/assert.h"
#include "base/mem.h"
#include "tap.h"

#define MODELS(array) .models = (array), .models_n = COUNT_OF(array)

static const struct config_engine_model TINY[] = {{{"tiny.gguf", 9}, 512}};
static const struct config_engine_model MANY[] = {
    {{"qwen3:8b", 8}, 0}, {{"Org/${HOME}\"x", 13}, 0}, {{"tiny.gguf", 9}, 0}, {{"qwen3:8b", 8}, 0}};

static struct config *make(const struct config_engine *engines, size_t n, const char *want)
{
    struct config_report report;
    struct config *c;
    char *yaml;

    CHECK_INT(config_for_engines(engines, n, "127.0.0.1:8082", "127.0.0.1:8081", &c, &yaml, &report), ERR_OK);
    CHECK_STR(report.text, "");
    CHECK_STR(yaml, want);
    mem_free(yaml);
    return c;
}

TEST(one_engine_takes_every_name)
{
    const struct config_engine engine = {
        .provider = PROVIDER_LLAMA, .at = "127.0.0.1:9931", .slots = 4, MODELS(TINY)};
    struct config *c =
        make(&engine, 1,
             "listen: 127.0.0.1:8082\nadmin: 127.0.0.1:8081\n"
             "accounts:\n"
             "  - {name: llama, slots: {\"*\": 4}}\n"
             "endpoints:\n"
             "  - {name: llama, provider: llama, url: \"http://127.0.0.1:9931/v1\", key: none, local: true, "
             "account: llama}\n"
             "models:\n"
             "  - {name: \"tiny.gguf\", tiers: [[{endpoint: llama}]]}\n"
             "  - {name: \"*\", tiers: [[{endpoint: llama, model: \"tiny.gguf\"}]]}\n");

    if (!CHECK(c != NULL))
        return;
    CHECK_INT(c->accounts[0].slots[0].n, 4);
    CHECK_INT(config_find_model(c, SLICE("gpt-4o")).model, c->wildcard);
    config_unref(&c);
}

TEST(several_engines_share_what_they_both_list)
{
    const struct config_engine engines[] = {
        {.provider = PROVIDER_OLLAMA, .at = "127.0.0.1:11434", MODELS(MANY)},
        {.provider = PROVIDER_VLLM, .at = "127.0.0.1:8000", MODELS(TINY)},
        {.provider = PROVIDER_VLLM, .at = "127.0.0.1:8001", MODELS(TINY)},
    };
    struct config *c = make(
        engines, 3,
        "listen: 127.0.0.1:8082\nadmin: 127.0.0.1:8081\n"
        "endpoints:\n"
        "  - {name: ollama, provider: ollama, url: \"http://127.0.0.1:11434/v1\", key: none, local: true}\n"
        "  - {name: vllm-8000, provider: vllm, url: \"http://127.0.0.1:8000/v1\", key: none, local: true}\n"
        "  - {name: vllm-8001, provider: vllm, url: \"http://127.0.0.1:8001/v1\", key: none, local: true}\n"
        "models:\n"
        "  - {name: \"qwen3:8b\", tiers: [[{endpoint: ollama}]]}\n"
        "  - {name: \"Org/$${HOME}\\\"x\", tiers: [[{endpoint: ollama}]]}\n"
        "  - {name: \"tiny.gguf\", tiers: [[{endpoint: ollama}, {endpoint: vllm-8000}, {endpoint: "
        "vllm-8001}]]}\n");

    if (!CHECK(c != NULL))
        return;
    CHECK_INT(c->wildcard, -1); /* whose would the other names be? */
    CHECK(config_find_model(c, SLICE("Org/${HOME}\"x")).model >= 0);
    CHECK_INT(config_find_model(c, SLICE("unknown")).model, -1);
    config_unref(&c);
}

TEST(of_several_the_one_that_looks_at_no_name_takes_the_rest)
{
    const struct config_engine engines[] = {
        {.provider = PROVIDER_VLLM, .at = "127.0.0.1:8000", MODELS(TINY)},
        {.provider = PROVIDER_LLAMA, .at = "127.0.0.1:8080", .loading = true},
    };
    struct config *c =
        make(engines, 2,
             "listen: 127.0.0.1:8082\nadmin: 127.0.0.1:8081\n"
             "endpoints:\n"
             "  - {name: vllm, provider: vllm, url: \"http://127.0.0.1:8000/v1\", key: none, local: true}\n"
             "  - {name: llama, provider: llama, url: \"http://127.0.0.1:8080/v1\", key: none, local: true}\n"
             "models:\n"
             "  - {name: \"tiny.gguf\", tiers: [[{endpoint: vllm}]]}\n"
             "  - {name: \"*\", tiers: [[{endpoint: llama}]]}\n");

    CHECK(c != NULL);
    config_unref(&c);
}

TEST(names_that_a_file_can_hold)
{
    static const struct {
        const char *name;
        bool can;
    } ROWS[] = {{"qwen3:8b", true}, {"a/b", true},  {"\303\244", true}, {"", false},
                {"a b", false},     {"a\n", false}, {"*", false},       {"**", true}};
    char longest[257];

    memset(longest, 'x', sizeof longest);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        CHECK_INT(config_engine_can_name(slice_of(ROWS[i].name)), ROWS[i].can);
    CHECK(config_engine_can_name((struct slice){longest, 256}));
    CHECK(!config_engine_can_name((struct slice){longest, 257}));
}
