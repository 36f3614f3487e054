/* SPDX-License-Identifier: MIT */
/* Reserves at the door, settles at the end, and tells the client where it stands. */
#include "gateway/quota.h"

#include <stdio.h>

#include "base/clock.h"
#include "gateway/exchange.h"
#include "llm/estimate.h"

#define RETRY_AFTER_MAX_US (60 * CLOCK_SECOND_US) /* DESIGN 4.3 */
#define BYTES_PER_TOKEN 4                         /* of an answer about which nobody says anything */
#define DURATION_BYTES 32

static struct limits *limits(const struct exchange *ex)
{
    return ex->desk->edition->limits;
}

static int64_t now_us(const struct exchange *ex)
{
    return ex->w->loop->now_us;
}

static struct limits_who who_asks(const struct exchange *ex)
{
    const struct config *cfg = desk_config(ex->desk);

    return (struct limits_who){ex->key != NULL ? (int)(ex->key - cfg->keys) : -1, ex->match.model};
}

/* -- words ----------------------------------------------------------------------------------------------- */

/* As Go prints durations, rounded up to milliseconds: "20ms", "1.5s", "6m0s", "1h0m0s". */
static void print_duration(int64_t us, char out[DURATION_BYTES])
{
    int64_t ms = (us + CLOCK_MS_US - 1) / CLOCK_MS_US, s = ms / 1000;
    char fraction[8] = "";
    size_t n;

    if (ms > 0 && ms < 1000) {
        snprintf(out, DURATION_BYTES, "%lldms", (long long)ms);
        return;
    }
    if (ms % 1000 > 0) {
        n = (size_t)snprintf(fraction, sizeof fraction, ".%03d", (int)(ms % 1000));
        while (fraction[n - 1] == '0')
            fraction[--n] = '\0';
    }
    if (s >= 3600)
        snprintf(out, DURATION_BYTES, "%lldh%lldm%lld%ss", (long long)(s / 3600), (long long)(s / 60 % 60),
                 (long long)(s % 60), fraction);
    else if (s >= 60)
        snprintf(out, DURATION_BYTES, "%lldm%lld%ss", (long long)(s / 60), (long long)(s % 60), fraction);
    else
        snprintf(out, DURATION_BYTES, "%lld%ss", (long long)s, fraction);
}

static struct slice name_scope(const struct exchange *ex, enum limits_scope scope)
{
    struct slice model =
        ex->match.model >= 0 ? desk_config(ex->desk)->models[ex->match.model].name : SLICE_NONE;

    switch (scope) {
    case LIMITS_OF_KEY_MODEL:
        return arena_printf(ex->arena, "this key for the model '%.*s'", SLICE_ARG(model));
    case LIMITS_OF_MODEL:
        return arena_printf(ex->arena, "everybody together for the model '%.*s'", SLICE_ARG(model));
    default:
        return SLICE("this key");
    }
}

static const char *name_unit(enum limit l)
{
    static const char *const units[LIMIT_N] = {
        [LIMIT_RPS] = "requests per second",     [LIMIT_RPM] = "requests per minute",
        [LIMIT_RPH] = "requests per hour",       [LIMIT_TPM] = "tokens per minute",
        [LIMIT_INFLIGHT] = "requests at a time",
    };

    return units[l];
}

/* Which limit, what it is, what stands against it, and when the request fits. */
static struct slice explain(const struct exchange *ex, const struct limits_refusal *r, int64_t tokens)
{
    struct slice scope = name_scope(ex, r->scope);
    const char *limit = config_limit_name(r->why.limit);
    long long n = (long long)r->why.n, left = (long long)r->why.left, cost = (long long)tokens;
    char wait[DURATION_BYTES];

    if (r->why.wait_us == CLOCK_NEVER_US)
        return arena_printf(ex->arena,
                            "This request needs about %lld tokens (%lld of prompt, the rest for its answer), "
                            "and %.*s may use %lld per minute (limits.%s): it can never fit.",
                            cost, (long long)ex->quota->prompt, SLICE_ARG(scope), n, limit);
    if (r->why.limit == LIMIT_INFLIGHT)
        return arena_printf(ex->arena, "Limit reached: %.*s may have %lld %s in work (limits.%s).",
                            SLICE_ARG(scope), n, name_unit(r->why.limit), limit);
    print_duration(r->why.wait_us, wait);
    if (r->why.limit == LIMIT_TPM && tokens > 1)
        return arena_printf(ex->arena,
                            "Limit reached: %.*s may use %lld %s (limits.%s); this request needs about %lld "
                            "and %lld are left. It fits in %s.",
                            SLICE_ARG(scope), n, name_unit(r->why.limit), limit, cost, left, wait);
    return arena_printf(ex->arena, "Limit reached: %.*s may have %lld %s (limits.%s). The next fits in %s.",
                        SLICE_ARG(scope), n, name_unit(r->why.limit), limit, wait);
}

/* -- refusing -------------------------------------------------------------------------------------------- */

static bool refuse(struct exchange *ex, const struct limits_refusal *r)
{
    struct quota *q = ex->quota;
    bool never = r->why.wait_us == CLOCK_NEVER_US;
    struct flight_end end = {.err = never ? ERR_OVER_LIMIT : ERR_LIMITED, .retry_after_us = -1};

    end.detail = explain(ex, r, q->pass.tokens);
    if (!never && r->why.limit != LIMIT_INFLIGHT) /* when one of those in work ends, nobody knows */
        end.retry_after_us = r->why.wait_us < RETRY_AFTER_MAX_US ? r->why.wait_us : RETRY_AFTER_MAX_US;
    q->retry_us = end.retry_after_us;
    metrics_add(ex->desk->metrics, METRIC_LIMIT_REFUSALS, stats_limit(r->scope, r->why.limit), 1);
    exchange_fail_with(ex, &end);
    return false;
}

static struct quota *quota_new(struct exchange *ex)
{
    struct quota *q = ARENA_NEW(ex->arena, struct quota);

    q->retry_us = -1;
    return q;
}

bool quota_look(struct exchange *ex)
{
    struct limits_who who = who_asks(ex);
    struct limits_refusal why;
    struct limits_levels levels;

    if (!limits_apply(limits(ex), who))
        return true;
    if (limits_ask(limits(ex), who, now_us(ex), 1, &why, &levels)) /* any request has a token */
        return true;
    ex->quota = quota_new(ex);
    ex->quota->levels = levels;
    ex->quota->pass.tokens = 1;
    return refuse(ex, &why);
}

/* What to reserve: the prompt as estimated, and the answer as the client bounds it, else as long as this
 * model's answers are, but then not more than could ever fit: the client did not ask for that much. */
static int64_t estimate_tokens(struct exchange *ex, struct quota *q, struct limits_who who)
{
    const struct config_alias *alias = ex->match.alias;
    int64_t most = limits_tokens_max(limits(ex), who), tokens;
    struct estimate e;

    if (ex->request.estimate != NULL)
        e = *ex->request.estimate;
    else
        estimate_request(buf_slice(&ex->body), &e);
    for (size_t i = 0; alias != NULL && i < alias->sets_n; i++)
        estimate_set(&e, alias->sets[i].name, alias->sets[i].json);
    q->estimated = e.prompt;
    q->prompt = limits_prompt(limits(ex), who.model, e.prompt);
    if (ex->request.surface->id == SURFACE_EMBEDDINGS)
        return q->prompt;
    if (e.answer_max >= 0)
        return q->prompt + e.answer_max * e.choices;
    tokens = q->prompt + limits_answer(limits(ex), who.model) * e.choices;
    return tokens <= most ? tokens : q->prompt > most ? q->prompt : most;
}

bool quota_enter(struct exchange *ex)
{
    struct limits_who who = who_asks(ex);
    struct limits_refusal why;
    struct quota *q;

    if (!limits_apply(limits(ex), who))
        return true;
    ex->quota = q = quota_new(ex);
    if (limits_tokens_max(limits(ex), who) > 0)
        q->pass.tokens = estimate_tokens(ex, q, who);
    if (limits_enter(limits(ex), who, now_us(ex), &q->pass, &why, &q->levels))
        return true;
    return refuse(ex, &why);
}

/* -- settling -------------------------------------------------------------------------------------------- */

/* Tokens that a request took. Where the endpoint did not say: nothing if it failed before an answer began,
 * else the prompt and what came of the answer, but not more than was reserved. */
static int64_t tokens_used(const struct exchange *ex)
{
    const struct usage *u = &ex->facts.usage;
    const struct quota *q = ex->quota;
    int64_t answer = ex->request.stream ? (int64_t)ex->events_n : (int64_t)ex->bytes_out / BYTES_PER_TOKEN;

    if (u->known)
        return u->prompt_tokens + u->completion_tokens;
    if (ex->facts.first_us == 0 && ex->err != ERR_CLIENT_GONE)
        return 0;
    return q->prompt + answer < q->pass.tokens ? q->prompt + answer : q->pass.tokens;
}

void quota_settle(struct exchange *ex)
{
    const struct usage *u = &ex->facts.usage;
    struct quota *q = ex->quota;

    if (q == NULL || q->pass.holds_n == 0)
        return;
    limits_settle(&q->pass, now_us(ex), tokens_used(ex), ex->facts.calls_n > 0);
    if (q->estimated > 0 && u->known)
        limits_learn(limits(ex), ex->match.model, q->estimated, u->prompt_tokens, u->completion_tokens);
}

/* -- headers --------------------------------------------------------------------------------------------- */

static struct slice number(struct exchange *ex, int64_t v)
{
    return arena_printf(&ex->w->loop->turn, "%lld", (long long)v);
}

static struct slice duration(struct exchange *ex, int64_t us)
{
    char text[DURATION_BYTES];

    print_duration(us, text);
    return arena_printf(&ex->w->loop->turn, "%s", text);
}

size_t quota_headers(struct exchange *ex, struct header *h, size_t n)
{
    const struct quota *q = ex->quota;
    const struct meter_level *r, *t;

    if (q == NULL)
        return n;
    r = &q->levels.requests;
    t = &q->levels.tokens;
    if (r->n > 0) {
        h[n++] = (struct header){SLICE("X-RateLimit-Limit-Requests"), number(ex, r->n)};
        h[n++] = (struct header){SLICE("X-RateLimit-Remaining-Requests"), number(ex, r->left)};
        h[n++] = (struct header){SLICE("X-RateLimit-Reset-Requests"), duration(ex, r->reset_us)};
    }
    if (t->n > 0) {
        h[n++] = (struct header){SLICE("X-RateLimit-Limit-Tokens"), number(ex, t->n)};
        h[n++] = (struct header){SLICE("X-RateLimit-Remaining-Tokens"), number(ex, t->left)};
        h[n++] = (struct header){SLICE("X-RateLimit-Reset-Tokens"), duration(ex, t->reset_us)};
    }
    if (q->retry_us >= 0)
        h[n++] = (struct header){SLICE("Retry-After-Ms"),
                                 number(ex, (q->retry_us + CLOCK_MS_US - 1) / CLOCK_MS_US)};
    return n;
}
