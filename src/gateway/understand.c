/* SPDX-License-Identifier: MIT */
/* Which model, which endpoints of it, and what else the client wishes.
 *
 * Rights are those to the model that the client names: where an operator's rule moves the request, it is the
 * operator who lets it go there. */
#include "gateway/understand.h"

#include "gateway/app.h"
#include "gateway/identify.h"
#include "gateway/prepare.h"
#include "llm/estimate.h"

static enum err find_model(struct exchange *ex, struct request_fault *fault)
{
    ex->match = config_find_model(desk_config(ex->desk), ex->request.model);
    if (ex->match.model < 0) {
        fault->why =
            arena_printf(ex->arena, "The model '%.*s' does not exist here.", SLICE_ARG(ex->request.model)).p;
        fault->param = "model";
        return ERR_MODEL_NOT_FOUND;
    }
    return identify_may_use(ex->key, ex->match.model) ? ERR_OK : ERR_MODEL_FORBIDDEN;
}

/* -- rules ----------------------------------------------------------------------------------------------- */

static struct slice header_of(void *ud, struct slice name)
{
    const struct exchange *ex = ud;

    return http_header(ex->rq->headers, ex->rq->headers_n, name.p);
}

/* Kept with the request, so that limits need not estimate it again. */
static int64_t prompt_tokens(void *ud)
{
    struct exchange *ex = ud;
    struct estimate *e;

    if (ex->request.estimate == NULL) {
        e = ARENA_NEW(ex->arena, struct estimate);
        estimate_request(buf_slice(&ex->body), e);
        ex->request.estimate = e;
    }
    return ex->request.estimate->prompt;
}

static enum err err_of(enum rules_end end)
{
    return end == RULES_OPEN ? ERR_OK : end == RULES_FORBID ? ERR_RULE_FORBIDS : ERR_NO_LOCAL_ENDPOINT;
}

static enum err find_way(struct exchange *ex)
{
    const struct config *cfg = desk_config(ex->desk);
    struct rules_ask ask = {
        .cfg = cfg,
        .key = ex->key != NULL ? (int)(ex->key - cfg->keys) : -1,
        .model = ex->match.model,
        .sensitive = ex->wishes.sensitive,
        .header = header_of,
        .prompt_tokens = prompt_tokens,
        .ud = ex,
    };
    enum rules_end end = rules_find_way(&ask, &ex->way);

    if (ex->way.model != ex->match.model) {
        ex->match.model = ex->way.model;
        if (ex->way.model != cfg->wildcard)
            ex->match.upstream = cfg->models[ex->way.model].name;
    }
    ex->silent = ex->way.never;
    ex->request.sensitive = ex->way.sensitive;
    return err_of(end);
}

/* Leaves out the endpoints whose provider does not have this API. */
static enum err find_speakers(struct exchange *ex, struct request_fault *fault)
{
    const struct config *cfg = desk_config(ex->desk);
    const struct config_model *model = &cfg->models[ex->match.model];
    const struct surface *surface = ex->request.surface;
    uint64_t silent = prepare_silent(cfg, model, surface->id);

    ex->silent |= silent;
    if (silent != prepare_targets(model))
        return err_of(rules_without(cfg, &ex->way, silent));
    fault->why = arena_printf(ex->arena, "No endpoint of the model '%.*s' has a provider that speaks %s.",
                              SLICE_ARG(ex->request.model), surface->path)
                     .p;
    fault->param = "model";
    return ERR_ROUTE_NOT_SPOKEN;
}

enum err understand(struct exchange *ex, struct request_fault *fault)
{
    enum err e = find_model(ex, fault);

    if (e == ERR_OK)
        e = wishes_read(ex->rq, ex->key, &ex->wishes, &fault->why, &fault->param);
    if (e == ERR_OK)
        e = find_way(ex);
    if (e == ERR_OK)
        e = find_speakers(ex, fault);
    return e;
}
