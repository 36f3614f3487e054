/* SPDX-License-Identifier: MIT */
/* The pages of engines and providers: health while loading, props, slots, metrics, loads, balance, models by
 * id. */
#include "base/json.h"
#include "sim_kit.h"

static struct caller *get(struct kit *k, const char *path)
{
    struct caller *c = kit_call(k, path, NULL, NULL);

    kit_run(k, 100 * MS);
    CHECK(c->complete);
    return c;
}

TEST(health_is_503_while_the_model_is_loaded)
{
    static const char *const PATHS[] = {"/health", "/v1/health", "/props", "/slots"};
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    o.loading_us = 5 * CLOCK_SECOND_US;
    kit_init(&k, &o);
    for (size_t i = 0; i < 4; i++) {
        struct caller *c = get(&k, PATHS[i]);

        CHECK_INT(c->status, 503);
        CHECK(
            buf_has(&c->body, "{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}"));
    }
    CHECK(buf_has(&get(&k, "/v1/loads")->body, "\"max_total_num_tokens\":0,"));
    kit_run(&k, 5 * CLOCK_SECOND_US);
    for (size_t i = 0; i < 4; i++)
        CHECK_INT(get(&k, PATHS[i])->status, 200);
    CHECK(buf_has(&get(&k, "/health")->body, "{\"status\":\"ok\"}"));
    kit_fini(&k);
}

TEST(pages_show_what_is_under_way)
{
    struct sim_opts o;
    struct caller *c;
    struct kit k;

    sim_opts_default(&o);
    o.slots = 2;
    kit_init(&k, &o);
    CHECK(buf_has(&get(&k, "/props")->body, "\"total_slots\":2,"));
    CHECK_INT(get(&k, "/slots?fail_on_no_slot=1")->status, 200);
    for (int i = 0; i < 3; i++)
        (void)kit_chat(&k, "any~ttft=60s", true, "x", "");
    kit_run(&k, 100 * MS);
    c = get(&k, "/slots");
    CHECK_INT(buf_count(&c->body, "\"is_processing\":true"), 2);
    CHECK_INT(get(&k, "/slots?fail_on_no_slot=1")->status, 503);
    c = get(&k, "/metrics");
    CHECK(buf_has(&c->body, "\nllamacpp:requests_processing 2\n"));
    CHECK(buf_has(&c->body, "\nllamacpp:requests_deferred 1\n"));
    CHECK(buf_has(&c->body, "\nvllm:num_requests_running{model_name=\"sim\",engine=\"0\"} 2\n"));
    CHECK(buf_has(&c->body, "\nvllm:num_requests_waiting{model_name=\"sim\",engine=\"0\"} 1\n"));
    CHECK(buf_has(&c->body, "\nvllm:kv_cache_usage_perc{model_name=\"sim\",engine=\"0\"} 1.0000\n"));
    CHECK(buf_has(&get(&k, "/v1/loads")->body,
                  "\"num_running_reqs\":2,\"num_waiting_reqs\":1,\"token_usage\":1.0"));
    kit_run(&k, 200 * CLOCK_SECOND_US);
    c = get(&k, "/metrics");
    CHECK(buf_has(&c->body, "\nllamacpp:requests_processing 0\n"));
    CHECK(buf_has(&c->body, "\nllamacpp:prompt_tokens_total 3\n"));
    kit_fini(&k);
}

TEST(an_account_has_a_balance_or_is_refused)
{
    struct sim_opts o;
    struct caller *c;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    c = get(&k, "/user/balance");
    CHECK(buf_has(
        &c->body,
        "{\"is_available\":true,\"balance_infos\":[{\"currency\":\"CNY\",\"total_balance\":\"110.00\","));
    kit_fini(&k);
    o.balance = 0;
    kit_init(&k, &o);
    CHECK(buf_has(&get(&k, "/user/balance")->body, "\"is_available\":false"));
    c = kit_chat(&k, "any", false, "x", "");
    kit_run(&k, CLOCK_SECOND_US);
    CHECK_INT(c->status, 402);
    kit_fini(&k);
}

TEST(a_model_has_a_page_of_its_own)
{
    struct sim_opts o;
    struct kit k;

    sim_opts_default(&o);
    kit_init(&k, &o);
    CHECK(buf_has(&get(&k, "/v1/models/org/name:7b")->body, "{\"id\":\"org/name:7b\",\"object\":\"model\""));
    CHECK_INT(get(&k, "/v1/models/missing")->status, 404);
    CHECK_INT(get(&k, "/v1/models/")->status, 404);
    kit_fini(&k);
}
