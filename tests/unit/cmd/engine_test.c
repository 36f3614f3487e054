/* SPDX-License-Identifier: MIT */
/* Telling engines apart by their answers, as they were recorded or are documented. */
#include "cmd/engine.h"

#include "base/assert.h"
#include "tap.h"

struct bench {
    struct arena arena;
    struct config_engine engine;
    const char *next;
    enum engine_state state;
};

static struct engine_answer answer_of(int status, const char *server, const char *body, struct header *h)
{
    *h = (struct header){SLICE("Server"), slice_of(server)};
    return (struct engine_answer){status, h, server[0] ? 1 : 0, slice_of(body)};
}

static void read_models(struct bench *b, int status, const char *server, const char *body)
{
    struct header h;
    struct engine_answer a = answer_of(status, server, body, &h);

    memset(b, 0, sizeof *b);
    arena_init(&b->arena, NULL, 0, 4096);
    b->engine.at = "127.0.0.1:1";
    b->state = engine_read_models(&a, &b->arena, &b->engine, &b->next);
}

static void read_more(struct bench *b, int status, const char *body)
{
    struct header h;
    struct engine_answer a = answer_of(status, "", body, &h);

    b->state = engine_read_more(&a, &b->engine);
}

static void bench_fini(struct bench *b)
{
    arena_fini(&b->arena);
}

#define LIST(models) "{\"object\":\"list\",\"data\":[" models "]}"
#define LLAMA LIST("{\"id\":\"tiny.gguf\",\"owned_by\":\"llamacpp\",\"meta\":{\"n_ctx_train\":2048}}")
#define VLLM                                                                                                 \
    LIST(                                                                                                    \
        "{\"id\":\"Qwen/Qwen3-8B\",\"object\":\"model\",\"created\":1,\"owned_by\":\"vllm\",\"root\":\"x\"," \
        "\"parent\":null,\"max_model_len\":40960},{\"id\":\"lora\",\"owned_by\":\"vllm\",\"max_model_len\":" \
        "null}")
#define SGLANG LIST("{\"id\":\"q\",\"owned_by\":\"sglang\",\"max_model_len\":131072}")
#define OLLAMA LIST("{\"id\":\"qwen3:8b\",\"object\":\"model\",\"created\":1,\"owned_by\":\"library\"}")

TEST(each_engine_is_known_by_its_list)
{
    static const struct {
        const char *server, *body;
        enum engine_state state;
        enum provider provider;
        const char *model, *next;
        int64_t context;
    } ROWS[] = {
        {"llama.cpp", LLAMA, ENGINE_USABLE, PROVIDER_LLAMA, "tiny.gguf", "/props", 0},
        {"", LLAMA, ENGINE_USABLE, PROVIDER_LLAMA, "tiny.gguf", "/props", 0},
        {"llama.cpp", LIST("{\"id\":\"m\"}"), ENGINE_USABLE, PROVIDER_LLAMA, "m", "/props", 0},
        {"uvicorn", VLLM, ENGINE_USABLE, PROVIDER_VLLM, "Qwen/Qwen3-8B", NULL, 40960},
        {"uvicorn", SGLANG, ENGINE_USABLE, PROVIDER_SGLANG, "q", NULL, 131072},
        {"", OLLAMA, ENGINE_USABLE, PROVIDER_OPENAI, "qwen3:8b", "/api/version", 0},
        {"tidegate", LIST(""), ENGINE_GATEWAY, PROVIDER_OPENAI, NULL, NULL, 0},
        {"nginx", LIST("{\"id\":\"m\",\"owned_by\":\"tidegate\"}"), ENGINE_GATEWAY, PROVIDER_OPENAI, NULL,
         NULL, 0},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        read_models(&b, 200, ROWS[i].server, ROWS[i].body);
        CHECK_INT(b.state, ROWS[i].state);
        CHECK_INT(b.engine.provider, ROWS[i].provider);
        CHECK_STR(b.next ? b.next : "-", ROWS[i].next ? ROWS[i].next : "-");
        if (ROWS[i].model && CHECK(b.engine.models_n > 0)) {
            CHECK(slice_eq(b.engine.models[0].name, slice_of(ROWS[i].model)));
            CHECK_INT(b.engine.models[0].context, ROWS[i].context);
        }
        bench_fini(&b);
    }
}

TEST(a_header_of_ours_is_enough_to_be_a_gateway)
{
    struct header h = {SLICE("X-Tidegate-Endpoint"), SLICE("e")};
    struct engine_answer a = {200, &h, 1, SLICE(VLLM)};
    struct config_engine engine = {.at = ""};
    struct arena arena;
    const char *next;

    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(engine_read_models(&a, &arena, &engine, &next), ENGINE_GATEWAY);
    arena_fini(&arena);
}

TEST(the_second_answer_says_more)
{
    struct bench b;

    read_models(&b, 200, "llama.cpp", LLAMA);
    read_more(&b, 200, "{\"default_generation_settings\":{\"n_ctx\":512},\"total_slots\":4}");
    CHECK_INT(b.state, ENGINE_USABLE);
    CHECK_INT(b.engine.slots, 4);
    CHECK_INT(b.engine.models[0].context, 512);
    read_more(&b, 200, "{\"total_slots\":-1}");
    CHECK_INT(b.engine.slots, 0);
    read_more(&b, 200, "no JSON");
    CHECK_INT(b.state, ENGINE_USABLE);
    read_more(&b, 401, "{\"error\":{\"message\":\"Invalid API Key\"}}");
    CHECK_INT(b.state, ENGINE_LOCKED); /* its list is public, its answers are not */
    bench_fini(&b);

    read_models(&b, 200, "", OLLAMA);
    read_more(&b, 200, "{\"version\":\"0.12.3\"}");
    CHECK(b.state == ENGINE_USABLE && b.engine.provider == PROVIDER_OLLAMA);
    bench_fini(&b);

    read_models(&b, 200, "", "{\"object\":\"list\",\"data\":null}"); /* Ollama with nothing pulled */
    CHECK_INT(b.engine.models_n, 0);
    read_more(&b, 200, "{\"version\":\"0.12.3\"}");
    CHECK(b.state == ENGINE_USABLE && b.engine.provider == PROVIDER_OLLAMA);
    bench_fini(&b);
}

TEST(an_unknown_kind_is_used_when_it_lists_something)
{
    static const struct {
        const char *body;
        enum engine_state state;
    } ROWS[] = {{LIST("{\"id\":\"m\",\"owned_by\":\"me\"}"), ENGINE_USABLE}, {LIST(""), ENGINE_NONE}};

    for (size_t i = 0; i < COUNT_OF(ROWS) * 2; i++) {
        struct bench b;

        read_models(&b, 200, "", ROWS[i / 2].body);
        read_more(&b, i % 2 ? 404 : 200, "{}");
        CHECK_INT(b.state, ROWS[i / 2].state);
        CHECK_INT(b.engine.provider, PROVIDER_OPENAI);
        bench_fini(&b);
    }
}

TEST(an_api_that_wants_a_key_is_told_of)
{
    struct bench b;

    read_models(&b, 401, "llama.cpp", "{\"error\":{\"message\":\"Invalid API Key\",\"code\":401}}");
    CHECK_INT(b.state, ENGINE_LOCKED);
    bench_fini(&b);
    read_models(&b, 401, "uvicorn", "{\"error\":\"Unauthorized\"}"); /* vLLM */
    CHECK_INT(b.state, ENGINE_LOCKED);
    bench_fini(&b);
    read_models(&b, 401, "tidegate", "{\"error\":{\"code\":\"api_key_required\"}}");
    CHECK_INT(b.state, ENGINE_GATEWAY);
    bench_fini(&b);
}

TEST(an_engine_that_loads_is_one)
{
    struct bench b;

    read_models(&b, 503, "llama.cpp",
                "{\"error\":{\"message\":\"Loading model\",\"type\":\"unavailable_error\",\"code\":503}}");
    CHECK(b.state == ENGINE_USABLE && b.engine.loading && b.engine.provider == PROVIDER_LLAMA);
    CHECK(b.engine.models_n == 0 && b.next == NULL);
    bench_fini(&b);
}

TEST(whatever_else_listens_there_is_none)
{
    static const struct {
        int status;
        const char *body;
    } ROWS[] = {
        {200, ""},
        {200, "<html>"},
        {200, "[]"},
        {200, "{}"},
        {200, "\"list\""},
        {200, "{\"data\":{}}"},
        {200, "{\"data\":null}"},
        {404, LLAMA},
        {401, "{\"message\":\"log in\"}"},
        {401, "<html>"},
        {503, "{\"error\":\"down\"}"},
        {500, LLAMA},
        {302, ""},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct bench b;

        read_models(&b, ROWS[i].status, "", ROWS[i].body);
        if (!CHECK_INT(b.state, ENGINE_NONE))
            printf("# %d %s\n", ROWS[i].status, ROWS[i].body);
        bench_fini(&b);
    }
}

TEST(names_that_no_file_could_hold_and_the_many_behind_the_bound_are_left_out)
{
    static char body[65536];
    struct bench b;
    size_t n = 0;

    n += (size_t)snprintf(body, sizeof body,
                          "{\"data\":[{\"id\":\"\"},{\"id\":\"a b\"},{\"id\":1},{\"id\":\"*\"},{},7,null,"
                          "{\"id\":\"line\\nend\"}");
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(body + n, sizeof body - n, ",{\"id\":\"m%d\"}", i);
    snprintf(body + n, sizeof body - n, "]}");
    read_models(&b, 200, "", body);
    CHECK_INT(b.engine.models_n, ENGINE_MODELS_MAX);
    CHECK(slice_eq(b.engine.models[0].name, SLICE("m0")));
    bench_fini(&b);
}
