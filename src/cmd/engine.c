/* SPDX-License-Identifier: MIT */
/* Tells engines apart by what they say without being asked for more: who owns their models, the Server
 * header; and with one question more, which only one of them answers.
 *
 * | engine       | owned_by   | Server      | the question                                       |
 * | llama-server | llamacpp   | llama.cpp   | /props: slots, the context of each                 |
 * | vLLM         | vllm       | uvicorn     |                                                    |
 * | SGLang       | sglang     | uvicorn     | (it answers Ollama's questions too)                |
 * | Ollama       | library    |             | /api/version                                       |
 * | others       |            |             | OpenAI's API, as far as anybody knows              | */
#include "cmd/engine.h"

#include "base/assert.h"
#include "base/json.h"
#include "llm/refusal.h"

#define PROPS "/props"
#define OLLAMAS_VERSION "/api/version"

static bool is_gateway(const struct engine_answer *a)
{
    struct slice server = http_header(a->headers, a->headers_n, "server");

    for (size_t i = 0; i < a->headers_n; i++) {
        if (slice_istarts(a->headers[i].name, SLICE("x-tidegate-")))
            return true;
    }
    return slice_eq(server, SLICE("tidegate"));
}

struct reading {
    struct arena *arena;
    struct config_engine_model *models;
    size_t n;
    struct slice owner; /* of the first model */
};

static bool on_model(void *ud, struct json_value v)
{
    struct reading *r = ud;
    struct slice id = json_string(json_get(v, "id"));
    int64_t context = json_int(json_get(v, "max_model_len"), 0);

    if (r->owner.p == NULL)
        r->owner = json_string(json_get(v, "owned_by"));
    if (config_engine_can_name(id))
        r->models[r->n++] = (struct config_engine_model){arena_dup(r->arena, id), context > 0 ? context : 0};
    return r->n < ENGINE_MODELS_MAX;
}

static enum provider provider_of(const struct engine_answer *a, struct slice owner)
{
    struct slice server = http_header(a->headers, a->headers_n, "server");

    if (slice_eq(owner, SLICE("vllm")))
        return PROVIDER_VLLM;
    if (slice_eq(owner, SLICE("sglang")))
        return PROVIDER_SGLANG;
    if (slice_eq(owner, SLICE("llamacpp")) || slice_istarts(server, SLICE("llama.cpp")))
        return PROVIDER_LLAMA;
    return PROVIDER_OPENAI;
}

/* A list, perhaps an empty one: Ollama without a model says null. */
static bool is_list(struct json_value root)
{
    struct json_value data = json_get(root, "data");

    return json_is_array(data) ||
           (json_is_null(data) && slice_eq(json_string(json_get(root, "object")), SLICE("list")));
}

static enum engine_state read_list(const struct engine_answer *a, struct json_value root, struct arena *arena,
                                   struct config_engine *out, const char **next)
{
    struct reading r = {.arena = arena};

    if (!is_list(root))
        return ENGINE_NONE;
    r.models = arena_alloc(arena, ENGINE_MODELS_MAX * sizeof *r.models);
    json_each_element(json_get(root, "data"), on_model, &r);
    if (slice_eq(r.owner, SLICE("tidegate")))
        return ENGINE_GATEWAY;
    out->models = r.models;
    out->models_n = r.n;
    out->provider = provider_of(a, r.owner);
    if (out->provider == PROVIDER_LLAMA)
        *next = PROPS;
    else if (out->provider == PROVIDER_OPENAI)
        *next = OLLAMAS_VERSION;
    return ENGINE_USABLE;
}

static bool is_loading(const struct engine_answer *a)
{
    return a->status == 503 &&
           refusal_read(dialect_get(DIALECT_LLAMA), a->status, a->body, NULL) == REFUSAL_LOADING;
}

enum engine_state engine_read_models(const struct engine_answer *a, struct arena *arena,
                                     struct config_engine *out, const char **next)
{
    enum engine_state state;
    struct json_doc *doc;

    *next = NULL;
    if (is_gateway(a))
        return ENGINE_GATEWAY;
    if (is_loading(a)) {
        out->provider = PROVIDER_LLAMA;
        out->loading = true;
        return ENGINE_USABLE;
    }
    if ((a->status != 200 && a->status != 401) || json_parse(a->body, NULL, &doc, NULL) != ERR_OK)
        return ENGINE_NONE;
    if (a->status == 401)
        state = json_is_absent(json_get(json_root(doc), "error")) ? ENGINE_NONE : ENGINE_LOCKED;
    else
        state = read_list(a, json_root(doc), arena, out, next);
    json_free(&doc);
    return state;
}

static void read_props(struct json_value root, struct config_engine *out)
{
    int64_t slots = json_int(json_get(root, "total_slots"), 0);
    int64_t context = json_int(json_get(json_get(root, "default_generation_settings"), "n_ctx"), 0);

    out->slots = slots > 0 && slots <= 4096 ? (int)slots : 0;
    for (size_t i = 0; i < out->models_n && context > 0; i++)
        ((struct config_engine_model *)(uintptr_t)out->models)[i].context = context;
}

/* Of an unknown kind and without a model: nothing that calls could be sent to. */
static enum engine_state usable(const struct config_engine *e)
{
    return e->provider == PROVIDER_OPENAI && e->models_n == 0 ? ENGINE_NONE : ENGINE_USABLE;
}

enum engine_state engine_read_more(const struct engine_answer *a, struct config_engine *out)
{
    struct json_doc *doc;

    if ((a->status == 401 || a->status == 403) && out->provider == PROVIDER_LLAMA)
        return ENGINE_LOCKED;
    if (a->status != 200 || json_parse(a->body, NULL, &doc, NULL) != ERR_OK)
        return usable(out);
    if (out->provider == PROVIDER_LLAMA)
        read_props(json_root(doc), out);
    else if (json_string(json_get(json_root(doc), "version")).n > 0)
        out->provider = PROVIDER_OLLAMA;
    json_free(&doc);
    return usable(out);
}
