/* SPDX-License-Identifier: MIT */
/* Who asks, and whether it is the same request: hashes with a seed that nobody outside knows. A large body
 * was hashed by the helper that read it (gateway/reading.c). */
#include "gateway/storm.h"

#include "base/assert.h"
#include "base/id.h"
#include "gateway/headers.h"
#include "shared/storms.h"

static struct storms *storms(const struct exchange *ex)
{
    return ex->desk->edition->storms;
}

static uint64_t hash_header(const struct exchange *ex, const char *name, uint64_t seed)
{
    return id_hash(http_header(ex->rq->headers, ex->rq->headers_n, name), seed);
}

/* Clients with different credentials share nothing, also where no key is configured and one client's
 * credential goes up as it is. */
static uint64_t tenant_of(const struct exchange *ex)
{
    return hash_header(ex, "x-api-key", hash_header(ex, "authorization", storms_seed(storms(ex))));
}

static uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
    return id_hash((struct slice){p, n}, seed);
}

static bool is_for_tracing(struct slice name)
{
    static const char *const NAMES[] = {"x-client-request-id", "traceparent", "tracestate"};

    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq(name, slice_of(NAMES[i])))
            return true;
    }
    return false;
}

/* A rule may send the same bytes elsewhere, where nobody has refused them. */
static struct storm_key key_of(const struct exchange *ex, uint64_t tenant, struct slice body)
{
    struct header kept[HEADERS_KEPT_MAX];
    size_t kept_n = headers_keep(ex->rq->headers, ex->rq->headers_n, &ex->w->loop->turn, kept);
    uint64_t where[] = {(uint64_t)ex->route->surface, (uint64_t)ex->match.model, ex->silent};
    uint64_t hash = hash_bytes(where, sizeof where, tenant), of_body = ex->body_hash;

    for (size_t i = 0; i < kept_n; i++) {
        if (!is_for_tracing(kept[i].name))
            hash = id_hash(kept[i].value, id_hash(kept[i].name, hash));
    }
    if (of_body == 0)
        of_body = id_hash(body, storms_seed(storms(ex)));
    return (struct storm_key){hash_bytes(&of_body, sizeof of_body, hash), body.n};
}

static void answer_from_memory(struct exchange *ex, const struct storm_answer *a)
{
    struct flight_end end = {.err = ERR_REFUSED_BEFORE,
                             .status = a->refusal.status,
                             .detail = a->refusal.detail,
                             .param = a->refusal.param,
                             .code = a->refusal.code,
                             .retry_after_us = a->wait_us};

    metrics_add(ex->desk->metrics, METRIC_REFUSED_BEFORE, (size_t)ex->match.model, 1);
    exchange_fail_with(ex, &end);
}

bool storm_pass(struct exchange *ex)
{
    struct storms *s = storms(ex);
    int64_t now_us = ex->w->loop->now_us;
    struct storm_answer answer;
    uint64_t tenant;

    if (storms_are_calm(s))
        return true;
    tenant = tenant_of(ex);
    if (!storms_watch(s, tenant, now_us))
        return true;
    ex->storm_key = key_of(ex, tenant, buf_slice(&ex->body));
    if (storms_let(s, tenant, ex->storm_key, now_us, loop_scratch(ex->w->loop, STORM_WORDS_MAX), &answer))
        return true;
    answer_from_memory(ex, &answer);
    return false;
}

/* 408, 409 and 425 are what a client may well repeat: another try can end otherwise. */
static bool is_refusal(const struct flight_end *end)
{
    return end->err == ERR_UPSTREAM_REFUSED && end->status != 408 && end->status != 409 && end->status != 425;
}

void storm_note(struct exchange *ex, struct slice body, const struct flight_end *end)
{
    struct storm_refusal r = {end->status, end->detail, end->param, end->code};
    uint64_t tenant;

    if (end->err == ERR_OK && ex->storm_key.bytes_n > 0) {
        storms_answered(storms(ex), tenant_of(ex), ex->storm_key);
    } else if (is_refusal(end) && storms_refusals_max(storms(ex)) > 0) {
        tenant = tenant_of(ex);
        storms_refused(storms(ex), tenant, key_of(ex, tenant, body), &r, ex->w->loop->now_us);
    }
}
