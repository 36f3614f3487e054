/* SPDX-License-Identifier: MIT */
/* Health, readiness, models, and what OPTIONS asks. */
#include "gateway/local.h"

#include "base/clock.h"
#include "gateway/app.h"
#include "gateway/exchange.h"
#include "gateway/identify.h"
#include "http/url.h"
#include "llm/reply.h"

#define MODELS_BYTES_MAX (1024 * 1024)
#define OWNER SLICE("tidegate")

static enum err add_model(struct buf *out, const struct config_model *m, int64_t created_s)
{
    enum err e = ERR_OK;

    if (!slice_eq(m->name, SLICE("*")))
        e = reply_models_add(out, m->name, created_s, OWNER);
    for (size_t i = 0; i < m->aliases_n && e == ERR_OK; i++)
        e = reply_models_add(out, m->aliases[i].name, created_s, OWNER);
    return e;
}

void local_models(struct exchange *ex)
{
    const struct app *app = ex->w->app;
    const struct config *cfg = desk_config(ex->desk);
    struct buf out;
    enum err e;

    buf_init(&out, MODELS_BYTES_MAX, NULL);
    e = reply_models_begin(&out);
    for (size_t i = 0; i < cfg->models_n && e == ERR_OK; i++) {
        if (identify_may_use(ex->key, (int)i))
            e = add_model(&out, &cfg->models[i], app->started_wall_us / CLOCK_SECOND_US);
    }
    if (e == ERR_OK)
        e = reply_models_end(&out);
    if (e == ERR_OK)
        exchange_respond(ex, 200, SLICE("application/json"), arena_dup(&ex->w->loop->turn, buf_slice(&out)));
    else
        exchange_fail(ex, ERR_INTERNAL);
    buf_fini(&out);
}

/* The id is what follows in the path, percent-encoded or not: it may hold slashes and colons. With a model
 * "*" every name is one that may be asked for, so none is denied here that would be answered there. */
void local_model(struct exchange *ex)
{
    const struct app *app = ex->w->app;
    struct slice id = url_decode(routes_rest(ex->route, ex->rq), ex->arena);
    struct config_match match = config_find_model(desk_config(ex->desk), id);
    struct buf out;

    if (match.model < 0 || !identify_may_use(ex->key, match.model)) {
        exchange_fail(ex, match.model < 0 ? ERR_MODEL_NOT_FOUND : ERR_MODEL_FORBIDDEN);
        return;
    }
    buf_init(&out, MODELS_BYTES_MAX, NULL);
    if (reply_model(&out, id, app->started_wall_us / CLOCK_SECOND_US, OWNER) == ERR_OK)
        exchange_respond(ex, 200, SLICE("application/json"), arena_dup(&ex->w->loop->turn, buf_slice(&out)));
    else
        exchange_fail(ex, ERR_INTERNAL);
    buf_fini(&out);
}

void local_about(struct exchange *ex)
{
    exchange_respond(ex, 204, SLICE_NONE, SLICE_NONE);
}

void local_healthz(struct exchange *ex)
{
    exchange_respond(ex, 200, SLICE("text/plain; charset=utf-8"), SLICE("ok\n"));
}

void local_readyz(struct exchange *ex)
{
    if (app_is_draining(ex->w->app))
        exchange_fail(ex, ERR_DRAINING);
    else
        exchange_respond(ex, 200, SLICE("text/plain; charset=utf-8"), SLICE("ready\n"));
}
