/* SPDX-License-Identifier: MIT */
#include "gateway/record.h"

#include "gateway/verdict.h"

static enum result result_of(const struct exchange *ex)
{
    int status = ex->err == ERR_OK ? 200 : err_row(ex->err)->status;

    if (ex->err == ERR_CLIENT_GONE)
        return RESULT_CANCELLED;
    if (ex->err == ERR_OK)
        return ex->route->answer == NULL ? RESULT_FULL : RESULT_LOCAL;
    /* Refusals and its own limits are the client's to mend; a full line, a limit of the provider or a drain
     * is ours. */
    return status < 429 || status == 431 || ex->err == ERR_LIMITED ? RESULT_REFUSED : RESULT_FAILED;
}

void record_call(struct desk *d, int endpoint, enum outcome o, const struct verdict *v)
{
    struct metrics *m = d->metrics;
    size_t row = (size_t)endpoint;

    metrics_add(m, METRIC_CALLS_INFLIGHT, row, -1);
    metrics_add(m, METRIC_CONNECTS, row, (int64_t)pool_take_connects(&d->pools[endpoint]));
    metrics_add(m, METRIC_CALLS, stats_endpoint_outcome(endpoint, o), 1);
    metrics_add(m, METRIC_KEEPALIVE_BYTES, row, (int64_t)verdict_keepalive_bytes(v));
    metrics_add(m, METRIC_EVENTS, 0, (int64_t)v->relay.events_n);
    if (v->begun && outcome_row(o)->kind == KIND_FAULT)
        metrics_add(m, METRIC_TRUNCATED, row, 1);
    desk_warn(d, endpoint, o, v);
}

void record_exchange(struct exchange *ex)
{
    struct metrics *m = ex->desk->metrics;
    int64_t took_us = ex->w->loop->now_us - ex->started_us;

    ex->result = result_of(ex);
    metrics_add(m, METRIC_EXCHANGES, 0, -1);
    metrics_add(m, METRIC_REQUESTS, stats_route_result(ex->route->id, ex->result), 1);
    if (ex->status != 0)
        metrics_add(m, METRIC_RESPONSES, stats_code(ex->status), 1);
    if (ex->err != ERR_OK)
        metrics_add(m, METRIC_ERRORS, (size_t)ex->err, 1);
    if (ex->match.model >= 0) {
        size_t model = (size_t)ex->match.model;

        metrics_observe(m, METRIC_DURATION, model, took_us);
        metrics_observe(m, METRIC_LINE_WAIT, model, ex->facts.wait_us);
        if (ex->facts.first_us > 0)
            metrics_observe(m, METRIC_TTFT, model, ex->facts.first_us - ex->started_us);
        metrics_add(m, METRIC_TOKENS_IN, model, ex->facts.usage.prompt_tokens);
        metrics_add(m, METRIC_TOKENS_OUT, model, ex->facts.usage.completion_tokens);
    }
}
