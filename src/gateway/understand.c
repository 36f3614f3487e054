/* SPDX-License-Identifier: MIT */
#include "gateway/understand.h"

#include "gateway/app.h"
#include "gateway/identify.h"
#include "gateway/prepare.h"

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

/* Leaves out the endpoints whose provider does not have this API. */
static enum err find_speakers(struct exchange *ex, struct request_fault *fault)
{
    const struct config *cfg = desk_config(ex->desk);
    const struct config_model *model = &cfg->models[ex->match.model];
    const struct surface *surface = ex->request.surface;

    ex->silent = prepare_silent(cfg, model, surface->id);
    if (ex->silent != prepare_targets(model))
        return ERR_OK;
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
        e = find_speakers(ex, fault);
    if (e == ERR_OK)
        e = wishes_read(ex->rq, ex->key, &ex->wishes, &fault->why, &fault->param);
    return e;
}
