/* SPDX-License-Identifier: MIT */
/* What engines say of their load, as they were seen to say it. */
#include "llm/signals.h"

#include "base/rng.h"
#include "tap.h"

static bool read_page(enum dialect_id d, const char *page, int *slots, int *queued)
{
    struct signals s;
    bool said = signals_read(d, slice_of(page), &s);

    *slots = s.slots;
    *queued = s.queued;
    return said;
}

TEST(llama_server_has_slots)
{
    int slots, queued;

    CHECK(read_page(DIALECT_LLAMA, "{\"default_generation_settings\":{\"n_ctx\":4096},\"total_slots\":4}",
                    &slots, &queued));
    CHECK(slots == 4 && queued == -1);
    CHECK(!read_page(DIALECT_LLAMA, "{\"role\":\"router\"}", &slots, &queued));
    CHECK(!read_page(DIALECT_LLAMA, "{\"total_slots\":0}", &slots, &queued) && slots == 0);
    CHECK(!read_page(DIALECT_LLAMA, "{\"total_slots\":\"many\"}", &slots, &queued));
    CHECK(!read_page(DIALECT_LLAMA, "{\"total_slots\":1e12}", &slots, &queued) && slots == 0);
    CHECK(!read_page(DIALECT_LLAMA, "<html>", &slots, &queued));
}

TEST(vllms_series_are_matched_exactly_and_added_up)
{
    static const char PAGE[] =
        "# HELP vllm:num_requests_waiting Number of requests waiting to be processed.\n"
        "# TYPE vllm:num_requests_waiting gauge\n"
        "vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 99.0\n"
        "vllm:num_requests_waiting{engine=\"0\",model_name=\"a} b\"} 3.0\n"
        "vllm:num_requests_waiting{engine=\"1\",model_name=\"a\"} 2 1700000000\n"
        "vllm:num_requests_running{engine=\"0\"} 7.0\n";
    int slots, queued;

    CHECK(read_page(DIALECT_VLLM, PAGE, &slots, &queued));
    CHECK(slots == 0 && queued == 5);
    CHECK(read_page(DIALECT_VLLM, "vllm_num_requests_waiting 0.0\n", &slots, &queued) && queued == 0);
    CHECK(!read_page(DIALECT_VLLM, "# nothing is counted\n", &slots, &queued)); /* --disable-log-stats */
    CHECK(queued == -1);
    CHECK(!read_page(DIALECT_VLLM, "vllm:num_requests_waiting NaN\n", &slots, &queued));
    CHECK(!read_page(DIALECT_VLLM, "vllm:num_requests_waiting{engine=\"0\" 3\n", &slots, &queued));
}

TEST(the_ranks_of_sglang_add_up)
{
    int slots, queued;

    CHECK(read_page(DIALECT_SGLANG,
                    "{\"loads\":[{\"dp_rank\":0,\"num_running_reqs\":1,\"num_waiting_reqs\":2,"
                    "\"max_total_num_tokens\":100,\"max_running_requests\":16},"
                    "{\"dp_rank\":1,\"num_waiting_reqs\":0,\"max_total_num_tokens\":100,"
                    "\"max_running_requests\":16},"
                    "{\"dp_rank\":2,\"num_waiting_reqs\":9,\"max_total_num_tokens\":0,"
                    "\"max_running_requests\":16}]}",
                    &slots, &queued));
    CHECK(slots == 32 && queued == 2);                                    /* the third is not ready */
    CHECK(!read_page(DIALECT_SGLANG, "{\"loads\":[]}", &slots, &queued)); /* broken */
}

TEST(who_has_no_page_is_not_asked)
{
    for (int d = 0; d < DIALECT_N; d++) {
        struct signals s;

        CHECK((signals_page((enum dialect_id)d) != NULL) ==
              (d == DIALECT_LLAMA || d == DIALECT_VLLM || d == DIALECT_SGLANG));
        if (signals_page((enum dialect_id)d) == NULL)
            CHECK(!signals_read((enum dialect_id)d, SLICE("{\"total_slots\":4}"), &s));
    }
}

TEST(the_header_is_read_in_all_its_forms)
{
    static const char *const FIVE[] = {
        "TEXT named_metrics.kv_cache_usage_perc=0.42, named_metrics.num_requests_waiting=5.0",
        "named_metrics.num_requests_waiting=5",
        "JSON {\"named_metrics\": {\"kv_cache_usage_perc\": 0.42, \"num_requests_waiting\": 5.0}}",
        "{\"namedMetrics\": {\"numRequestsWaiting\": 5}}",
        "text namedMetrics.numRequestsWaiting=5.0,cpu_utilization=0.1",
    };
    static const char *const NOTHING[] = {"",       "TEXT",   "TEXT cpu_utilization=0.3",
                                          "JSON {", "BIN Q0", "TEXT named_metrics.num_requests_waiting=-1"};
    struct signals s;

    for (size_t i = 0; i < sizeof FIVE / sizeof *FIVE; i++)
        CHECK(signals_read_header(slice_of(FIVE[i]), &s) && s.queued == 5);
    for (size_t i = 0; i < sizeof NOTHING / sizeof *NOTHING; i++)
        CHECK(!signals_read_header(slice_of(NOTHING[i]), &s));
}

TEST(any_bytes_are_read_without_harm)
{
    static const char LETTERS[] = "{}[]\":,=. \nvllm:num_requests_waiting0159TEXTJSON";
    struct rng r;
    int wrong_n = 0;

    rng_seed(&r, 3);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        size_t n = rng_below(&r, sizeof text);
        struct signals s;

        for (size_t k = 0; k < n; k++)
            text[k] = LETTERS[rng_below(&r, sizeof LETTERS - 1)];
        for (int d = 0; d < DIALECT_N; d++)
            (void)signals_read((enum dialect_id)d, (struct slice){text, n}, &s);
        (void)signals_read_header((struct slice){text, n}, &s);
        wrong_n += s.queued < -1 || s.queued > SIGNALS_MAX;
    }
    CHECK_INT(wrong_n, 0);
}
