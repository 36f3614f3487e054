/* SPDX-License-Identifier: MIT */
/* Making the request of a call. Usage is always asked for upstream: the gateway counts with it, and the relay
 * takes it out again when the client did not ask. */
#include "gateway/prepare.h"

#include "base/assert.h"
#include "gateway/headers.h"

#define SAME(name) ((int)PROVIDER_##name == (int)DIALECT_##name)
_Static_assert(SAME(N) && SAME(OPENAI) && SAME(DEEPSEEK) && SAME(LLAMA) && SAME(VLLM) && SAME(SGLANG) &&
                   SAME(OLLAMA) && SAME(ANTHROPIC) && SAME(TIDEGATE),
               "a provider of the configuration is the dialect of the same number");
#undef SAME

const struct config_target *prepare_target(const struct config_model *model, int target)
{
    size_t i = (size_t)target;

    for (size_t t = 0; t < model->tiers_n; i -= model->tiers[t++].targets_n) {
        if (i < model->tiers[t].targets_n)
            return &model->tiers[t].targets[i];
    }
    assert_fail(__FILE__, __LINE__, "a ticket names a target that its model does not have");
}

static const struct dialect *dialect_of(const struct prepare_ask *ask)
{
    return dialect_get((enum dialect_id)ask->endpoint->provider);
}

uint64_t prepare_targets(const struct config_model *model)
{
    size_t n = 0;

    for (size_t t = 0; t < model->tiers_n; t++)
        n += model->tiers[t].targets_n;
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

uint64_t prepare_silent(const struct config *cfg, const struct config_model *model, enum surface_id surface)
{
    uint64_t silent = 0;
    int i = 0;

    for (size_t t = 0; t < model->tiers_n; t++) {
        for (size_t k = 0; k < model->tiers[t].targets_n; k++, i++) {
            enum provider p = cfg->endpoints[model->tiers[t].targets[k].endpoint].provider;

            if (dialect_get((enum dialect_id)p)->path[surface].n == 0)
                silent |= UINT64_C(1) << i;
        }
    }
    return silent;
}

static void make_body(const struct prepare_ask *ask, struct arena *arena, struct client_request *out)
{
    size_t n = ask->alias != NULL ? ask->alias->sets_n : 0;
    struct request_set *sets = arena_alloc(arena, n * sizeof *sets);
    size_t max = request_pieces_max(ask->request);
    struct slice *pieces = arena_alloc(arena, max * sizeof *pieces);
    struct request_edit edit = {.model = ask->target->model.p != NULL ? ask->target->model : ask->upstream,
                                .sets = sets,
                                .sets_n = n,
                                .no_developer = dialect_of(ask)->no_developer,
                                .ask_usage = ask->request->stream};

    for (size_t i = 0; i < n; i++)
        sets[i] = (struct request_set){ask->alias->sets[i].name, ask->alias->sets[i].json};
    out->body = pieces;
    out->body_n = request_rewrite(ask->request, &edit, arena, pieces, max, &out->body_bytes);
}

void prepare_request(const struct prepare_ask *ask, struct arena *arena, struct client_request *out)
{
    const struct config_endpoint *ep = ask->endpoint;
    enum surface_id surface = ask->request->surface->id;
    struct headers_ask headers_ask = {
        .endpoint = ep,
        .authorization = ask->authorization,
        .request_id = ask->request_id,
        .client = ask->kept,
        .client_n = ask->kept_n,
        .stream = ask->request->stream,
        .sensitive = ask->request->sensitive,
        .hops = ask->hops,
        .surface = surface,
    };
    struct header *headers = arena_alloc(arena, HEADERS_UP_MAX * sizeof *headers);

    /* Rules have left it no other target; should that ever fail, nothing is better than the wrong place. */
    ASSERT(!ask->request->sensitive || ep->local);
    *out = (struct client_request){
        .method = SLICE("POST"),
        .base_path = dialect_base(dialect_of(ask), surface, ep->base_path),
        .path = dialect_of(ask)->path[surface],
        .authority = ep->authority,
        .headers = headers,
        .headers_n = headers_up(&headers_ask, arena, headers),
    };
    make_body(ask, arena, out);
}
