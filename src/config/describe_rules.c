/* SPDX-License-Identifier: MIT */
/* "rule 1: if key web, prompt_tokens >= 8001: use eu, local" */
#include "config/describe_rules.h"

#define SAY(out, ...) ((void)buf_printf((out), __VA_ARGS__))

/* Comma after comma, the first time the word for what stands between. */
struct words {
    struct buf *out;
    const char *before;
};

static void next(struct words *w)
{
    SAY(w->out, "%s", w->before);
    w->before = ", ";
}

static void say_tokens(const struct config_rule *r, struct words *w)
{
    if (r->tokens_min == 0 && r->tokens_max == INT64_MAX)
        return;
    next(w);
    if (r->tokens_max == INT64_MAX)
        SAY(w->out, "prompt_tokens >= %lld", (long long)r->tokens_min);
    else if (r->tokens_min == 0)
        SAY(w->out, "prompt_tokens <= %lld", (long long)r->tokens_max);
    else
        SAY(w->out, "prompt_tokens %lld..%lld", (long long)r->tokens_min, (long long)r->tokens_max);
}

static void say_conditions(const struct config *c, const struct config_rule *r, struct buf *out)
{
    struct words w = {out, "if "};

    for (size_t i = 0; i < r->keys_n; i++) {
        if (i == 0)
            next(&w);
        SAY(out, "%s%s", i == 0 ? "key " : " or ", c->keys[r->keys[i]].name);
    }
    for (size_t i = 0; i < r->headers_n; i++) {
        const struct config_rule_header *h = &r->headers[i];

        next(&w);
        SAY(out, "header %.*s: %.*s", SLICE_ARG(h->name),
            SLICE_ARG(h->from_env ? SLICE("(from the environment)") : h->value));
    }
    say_tokens(r, &w);
    SAY(out, "%s: ", w.before[0] == 'i' ? "every request" : "");
}

static void say_where(const struct config *c, const struct config_rule *r, struct buf *out)
{
    struct words w = {out, ""};

    for (size_t i = 0; i < r->use_n; i++) {
        next(&w);
        SAY(out, "%s%s", i == 0 ? "use " : "", c->endpoints[r->use[i]].name);
    }
    if (r->model >= 0) {
        next(&w);
        SAY(out, "model %.*s", SLICE_ARG(c->models[r->model].name));
    }
    if (r->tier > 0) {
        next(&w);
        SAY(out, "from tier %d on", r->tier);
    }
    if (r->sensitive) {
        next(&w);
        SAY(out, "sensitive: local-only");
    }
    SAY(out, "\n");
}

void describe_rules(const struct config *c, const struct config_rules *rules, const char *indent,
                    struct buf *out)
{
    for (size_t i = 0; i < rules->n; i++) {
        SAY(out, "%srule %zu: ", indent, i + 1);
        say_conditions(c, &rules->rules[i], out);
        say_where(c, &rules->rules[i], out);
    }
}
