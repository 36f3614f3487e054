/* SPDX-License-Identifier: MIT */
/* What local engines tell of themselves (conventions 3.1, 3.3, 3.4): llama.cpp's health, props and slots, the
 * series of llama.cpp and vLLM on one page of metrics, SGLang's loads. One slot is what answers one call at a
 * time; without a bound of slots the pages say that there are NO_BOUND. */
#include "base/clock.h"
#include "sim/routes.h"

#define NO_BOUND 256
#define CONTEXT_TOKENS 8192
#define PAGE_MAX_BYTES (256 * 1024)
#define NO_HEADER ((struct header){SLICE_NONE, SLICE_NONE})

static int slots_n(const struct sim *s)
{
    return s->opts.slots > 0 ? s->opts.slots : NO_BOUND;
}

/* Whether the model is still being loaded; that is answered then. */
static bool refused_loading(struct sim *s, struct conn *c)
{
    if (!sim_is_loading(s))
        return false;
    sim_refuse(s, c, sim_error_of(SIM_LOADING));
    return true;
}

static void respond_with(struct sim *s, struct conn *c, struct buf *b)
{
    sim_respond(s, c, 200, NO_HEADER, arena_dup(&s->loop->turn, buf_slice(b)));
    buf_fini(b);
}

void sim_page_health(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    (void)rq;
    (void)rest;
    if (!refused_loading(s, c))
        sim_respond(s, c, 200, NO_HEADER, SLICE("{\"status\":\"ok\"}"));
}

void sim_page_props(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    struct buf b;

    (void)rq;
    (void)rest;
    if (refused_loading(s, c))
        return;
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_printf(
        &b,
        "{\"default_generation_settings\":{\"n_ctx\":%d},\"total_slots\":%d,\"model_path\":\"sim.gguf\","
        "\"chat_template\":\"\",\"modalities\":{\"vision\":false,\"audio\":false},"
        "\"build_info\":\"tidegate sim\",\"is_sleeping\":false}",
        CONTEXT_TOKENS, slots_n(s));
    respond_with(s, c, &b);
}

void sim_page_slots(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    bool none_free = s->stats.working_n >= slots_n(s);
    struct sim_error error;
    struct buf b;

    (void)rest;
    if (refused_loading(s, c))
        return;
    if (none_free && slice_find(rq->query, SLICE("fail_on_no_slot=1")) >= 0) {
        error = sim_error_make(503, NULL, NULL, "no slot available");
        error.shape = SIM_SHAPE_LLAMA;
        error.type = "unavailable_error";
        sim_refuse(s, c, &error);
        return;
    }
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_add(&b, SLICE("["));
    for (int i = 0; i < slots_n(s) && i < NO_BOUND; i++)
        (void)!buf_printf(&b, "%s{\"id\":%d,\"n_ctx\":%d,\"is_processing\":%s}", i > 0 ? "," : "", i,
                          CONTEXT_TOKENS, i < s->stats.working_n ? "true" : "false");
    (void)!buf_add(&b, SLICE("]"));
    respond_with(s, c, &b);
}

void sim_page_metrics(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    const struct sim_stats *st = &s->stats;
    unsigned long long prompt = st->prompt_tokens_n, tokens = st->tokens_n;
    double used = (double)st->working_n / slots_n(s);
    struct buf b;

    (void)rq;
    (void)rest;
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_printf(&b,
                      "# TYPE llamacpp:prompt_tokens_total counter\nllamacpp:prompt_tokens_total %llu\n"
                      "# TYPE llamacpp:tokens_predicted_total counter\nllamacpp:tokens_predicted_total %llu\n"
                      "# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing %d\n"
                      "# TYPE llamacpp:requests_deferred gauge\nllamacpp:requests_deferred %d\n",
                      prompt, tokens, st->working_n, st->queued_n);
    (void)!buf_printf(
        &b,
        "# TYPE vllm:num_requests_running gauge\n"
        "vllm:num_requests_running{model_name=\"sim\",engine=\"0\"} %d\n"
        "# TYPE vllm:num_requests_waiting gauge\n"
        "vllm:num_requests_waiting{model_name=\"sim\",engine=\"0\"} %d\n"
        "# TYPE vllm:kv_cache_usage_perc gauge\n"
        "vllm:kv_cache_usage_perc{model_name=\"sim\",engine=\"0\"} %.4f\n"
        "# TYPE vllm:prompt_tokens_total counter\n"
        "vllm:prompt_tokens_total{model_name=\"sim\",engine=\"0\"} %llu\n"
        "# TYPE vllm:generation_tokens_total counter\n"
        "vllm:generation_tokens_total{model_name=\"sim\",engine=\"0\"} %llu\n"
        "# TYPE vllm:request_success_total counter\n"
        "vllm:request_success_total{model_name=\"sim\",engine=\"0\",finished_reason=\"stop\"} %llu\n",
        st->working_n, st->queued_n, used, prompt, tokens, (unsigned long long)st->answered_n);
    respond_with(s, c, &b);
}

void sim_page_loads(struct sim *s, struct conn *c, const struct http_request *rq, struct slice rest)
{
    const struct sim_stats *st = &s->stats;
    struct buf b;

    (void)rq;
    (void)rest;
    buf_init(&b, PAGE_MAX_BYTES, NULL);
    (void)!buf_printf(
        &b,
        "{\"loads\":[{\"dp_rank\":0,\"num_running_reqs\":%d,\"num_waiting_reqs\":%d,\"token_usage\":%.4f,"
        "\"max_total_num_tokens\":%d,\"max_running_requests\":%d,\"gen_throughput\":0.0}]}",
        st->working_n, st->queued_n, (double)st->working_n / slots_n(s),
        sim_is_loading(s) ? 0 : slots_n(s) * CONTEXT_TOKENS, slots_n(s));
    respond_with(s, c, &b);
}
