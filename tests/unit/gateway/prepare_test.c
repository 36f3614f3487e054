/* SPDX-License-Identifier: MIT */
/* The request of a call: its path, headers and rewritten body, for every way a model can be named. */
#include "gateway/prepare.h"

#include "base/assert.h"
#include "base/json.h"
#include "tap.h"

struct bench {
    struct arena arena;
    struct request request;
    struct config_endpoint endpoint;
    struct config_target target;
    struct prepare_ask ask;
    struct client_request out;
};

static void bench_init(struct bench *b, const char *body)
{
    struct request_fault fault;

    memset(b, 0, sizeof *b);
    arena_init(&b->arena, NULL, 0, 4096);
    CHECK_INT(request_parse(surface_get(SURFACE_CHAT), slice_of(body), NULL, &b->arena, &b->request, &fault),
              ERR_OK);
    b->endpoint = (struct config_endpoint){.name = "e",
                                           .provider = PROVIDER_OPENAI,
                                           .base_path = SLICE("/v1"),
                                           .authority = SLICE("api.test:8443"),
                                           .key_mode = KEY_OWN,
                                           .secret = SLICE("secret")};
    b->ask = (struct prepare_ask){.endpoint = &b->endpoint,
                                  .target = &b->target,
                                  .request = &b->request,
                                  .upstream = SLICE("from-the-client"),
                                  .request_id = SLICE("req_1")};
}

/* The whole body, after its pieces have been counted. */
static struct slice bench_make(struct bench *b)
{
    struct buf all;
    struct slice body;

    prepare_request(&b->ask, &b->arena, &b->out);
    buf_init(&all, 1 << 20, NULL);
    for (size_t i = 0; i < b->out.body_n; i++)
        CHECK_INT(buf_add(&all, b->out.body[i]), ERR_OK);
    CHECK_INT(all.n, b->out.body_bytes);
    body = arena_dup(&b->arena, buf_slice(&all));
    buf_fini(&all);
    return body;
}

static void bench_fini(struct bench *b)
{
    arena_fini(&b->arena);
}

#define PLAIN "{\"model\":\"asked\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"x\":1.50}"
#define STREAM "{\"model\":\"asked\",\"messages\":[{}],\"stream\":true}"

TEST(the_request_line_and_host_are_the_endpoints)
{
    static const struct {
        enum provider provider;
        const char *base;
    } ROWS[] = {{PROVIDER_OPENAI, "/v1"},
                {PROVIDER_DEEPSEEK, ""},
                {PROVIDER_DEEPSEEK, "/beta"},
                {PROVIDER_OPENAI, "/a/b"}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        bench_init(&b, PLAIN);
        b.endpoint.provider = ROWS[i].provider;
        b.endpoint.base_path = slice_of(ROWS[i].base);
        bench_make(&b);
        CHECK(slice_eq(b.out.method, SLICE("POST")));
        CHECK(slice_eq(b.out.base_path, slice_of(ROWS[i].base)));
        CHECK(slice_eq(b.out.path, SLICE("/chat/completions")));
        CHECK(slice_eq(b.out.authority, SLICE("api.test:8443")));
        CHECK(slice_eq(http_header(b.out.headers, b.out.headers_n, "authorization"), SLICE("Bearer secret")));
        CHECK(slice_eq(http_header(b.out.headers, b.out.headers_n, "x-request-id"), SLICE("req_1")));
        bench_fini(&b);
    }
}

TEST(the_targets_model_name_goes_up_or_the_one_that_was_resolved)
{
    struct bench b;

    bench_init(&b, PLAIN);
    CHECK_STR(bench_make(&b).p, "{\"model\":\"from-the-client\",\"messages\":[{\"role\":\"user\","
                                "\"content\":\"hi\"}],\"x\":1.50}");
    b.target.model = SLICE("of-\"the\"-target");
    CHECK_STR(bench_make(&b).p, "{\"model\":\"of-\\\"the\\\"-target\",\"messages\":[{\"role\":\"user\","
                                "\"content\":\"hi\"}],\"x\":1.50}");
    bench_fini(&b);
}

TEST(an_alias_writes_its_fields_over_the_clients)
{
    static const struct config_set SETS[] = {{{"x", 1}, {"2", 1}, false},
                                             {{"thinking", 8}, {"{\"type\":\"disabled\"}", 19}, false}};
    static const struct config_alias ALIAS = {{"nick", 4}, SETS, 2};
    struct bench b;

    bench_init(&b, PLAIN);
    b.ask.alias = &ALIAS;
    CHECK_STR(bench_make(&b).p, "{\"model\":\"from-the-client\",\"messages\":[{\"role\":\"user\","
                                "\"content\":\"hi\"}],\"x\":2,\"thinking\":{\"type\":\"disabled\"}}");
    bench_fini(&b);
}

TEST(usage_is_asked_for_in_streams_and_only_there)
{
    static const struct {
        const char *body, *want;
    } ROWS[] = {
        {PLAIN, NULL},
        {STREAM, "\"stream_options\":{\"include_usage\":true}"},
        {"{\"model\":\"m\",\"messages\":[{}],\"stream\":true,\"stream_options\":{\"a\":1,\"include_usage\":"
         "false}}",
         "\"include_usage\":true"},
        {"{\"model\":\"m\",\"messages\":[{}],\"stream\":true,\"stream_options\":null}",
         "\"stream_options\":{\"include_usage\":true}"},
        {"{\"model\":\"m\",\"messages\":[{}],\"stream\":false}", NULL},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;
        struct slice body;
        struct json_doc *doc;

        bench_init(&b, ROWS[i].body);
        body = bench_make(&b);
        CHECK_INT(json_parse(body, NULL, &doc, NULL), ERR_OK);
        CHECK_INT(json_true(json_get(json_get(json_root(doc), "stream_options"), "include_usage")),
                  ROWS[i].want != NULL);
        if (ROWS[i].want != NULL)
            CHECK(slice_find(body, slice_of(ROWS[i].want)) >= 0);
        CHECK(slice_find(body, SLICE("\"include_usage\":false")) < 0);
        json_free(&doc);
        bench_fini(&b);
    }
}

TEST(a_large_body_is_not_copied_to_change_a_name_in_it)
{
    static char text[300000];
    struct bench b;
    size_t used;

    snprintf(text, sizeof text, "{\"model\":\"asked\",\"messages\":[{\"content\":\"%0*d\"}]}", 290000, 0);
    bench_init(&b, text);
    used = b.arena.used_bytes;
    prepare_request(&b.ask, &b.arena, &b.out);
    CHECK(b.arena.used_bytes - used < 10000);
    CHECK(b.out.body_bytes > 290000);
    bench_fini(&b);
}

TEST(targets_are_counted_over_all_tiers)
{
    static const struct config_target FIRST[] = {{.endpoint = 10}, {.endpoint = 11}},
                                      SECOND[] = {{.endpoint = 12}},
                                      THIRD[] = {{.endpoint = 13}, {.endpoint = 14}};
    static const struct config_tier TIERS[] = {{FIRST, 2}, {SECOND, 1}, {THIRD, 2}};
    static const struct config_model MODEL = {.tiers = TIERS, .tiers_n = 3};

    for (int i = 0; i < 5; i++)
        CHECK_INT(prepare_target(&MODEL, i)->endpoint, 10 + i);
}

/* -- what the dialects change --------------------------------------------------------------------------- */

#define DEVELOPER        \
    "{\"model\":\"m\", " \
    "\"messages\":[{\"role\":\"developer\",\"content\":\"x\",\"reasoning_content\":\"r\"}]}"

TEST(the_developer_goes_up_as_system_where_a_provider_needs_it)
{
    static const bool SYSTEM[PROVIDER_N] = {
        [PROVIDER_DEEPSEEK] = true, [PROVIDER_LLAMA] = true,  [PROVIDER_VLLM] = true,
        [PROVIDER_SGLANG] = true,   [PROVIDER_OLLAMA] = true,
    };

    for (int p = 0; p < PROVIDER_N; p++) {
        struct bench b;

        bench_init(&b, DEVELOPER);
        b.endpoint.provider = (enum provider)p;
        b.target.model = SLICE("m");
        CHECK_STR(bench_make(&b).p,
                  SYSTEM[p] ? "{\"model\":\"m\", \"messages\":[{\"role\":\"system\",\"content\":\"x\","
                              "\"reasoning_content\":\"r\"}]}"
                            : DEVELOPER);
        CHECK(slice_eq(b.out.path, SLICE("/chat/completions")));
        bench_fini(&b);
    }
}

TEST(targets_that_do_not_speak_a_surface_are_known_by_their_bits)
{
    static const struct config_endpoint ENDPOINTS[] = {{.provider = PROVIDER_OPENAI},
                                                       {.provider = PROVIDER_DEEPSEEK},
                                                       {.provider = PROVIDER_ANTHROPIC},
                                                       {.provider = PROVIDER_VLLM}};
    static const struct config_target FIRST[] = {{.endpoint = 0}, {.endpoint = 1}},
                                      SECOND[] = {{.endpoint = 2}, {.endpoint = 3}};
    static const struct config_tier TIERS[] = {{FIRST, 2}, {SECOND, 2}};
    static const struct config_model MODEL = {.tiers = TIERS, .tiers_n = 2},
                                     ONE = {.tiers = TIERS, .tiers_n = 1};
    static const struct config CFG = {.endpoints = ENDPOINTS, .endpoints_n = 4};

    CHECK_INT(prepare_targets(&MODEL), 15);
    CHECK_INT(prepare_silent(&CFG, &MODEL, SURFACE_CHAT), 0);
    CHECK_INT(prepare_silent(&CFG, &MODEL, SURFACE_EMBEDDINGS), 2 + 4);
    CHECK_INT(prepare_silent(&CFG, &MODEL, SURFACE_MESSAGES), 1);
    CHECK_INT(prepare_silent(&CFG, &ONE, SURFACE_RESPONSES), 0);
    CHECK_INT(prepare_targets(&ONE), 3);
}
