/* SPDX-License-Identifier: MIT */
/* A configuration in words: what `tidegate check` shows. Secrets are named by where they come from, never
 * shown. */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "config/describe_rules.h"
#include "config/options.h"
#include "config/prices.h"
#include "config/value.h"

#define TEXT_MAX ((size_t)64 << 20)

/* Past TEXT_MAX the text is simply cut: a person reads it. */
#define SAY(out, ...) ((void)buf_printf((out), __VA_ARGS__))

static void say_listener(const char *what, const struct config_listener *l, const char *note, struct buf *out)
{
    SAY(out, "%-11s %s", what, l->at);
    if (strncmp(l->at, "unix:/", 6) == 0)
        SAY(out, ", mode %04o", (unsigned)l->mode);
    if (l->proxy_protocol)
        SAY(out, ", behind the PROXY protocol");
    for (size_t i = 0; l->tls && i < l->tls->pairs_n; i++)
        SAY(out, "%s%s", i > 0 ? ", " : ", TLS with ", l->tls->pairs[i].cert.path);
    SAY(out, "%s\n", note);
}

static void say_listeners(const struct config *c, struct buf *out)
{
    const char *open_note = c->keys_n == 0 ? " (no keys: whoever reaches it may call)" : "";

    for (size_t i = 0; i < c->listen_n; i++)
        say_listener("listen", &c->listen[i], open_note, out);
    if (c->admin)
        say_listener("admin", c->admin, "", out);
    if (c->metrics)
        say_listener("metrics", c->metrics, "", out);
    if (c->region)
        SAY(out, "%-11s %s\n", "region", c->region);
    for (size_t i = 0; i < c->cors_origins_n; i++)
        SAY(out, "%-11s %.*s\n", "cors", SLICE_ARG(c->cors_origins[i]));
    SAY(out, "%-11s %d\n%-11s %s\n%-11s %s\n", "workers", c->workers, "access_log", c->access_log,
        "log_level", c->log_level);
}

/* Options that differ from their default: the others are in the manual. */
static void say_options(const struct config *c, struct buf *out)
{
    const struct option *rows;
    size_t n;

    rows = options_table(&n);
    for (size_t i = 0; i < n; i++) {
        int64_t value = options_get(&c->opt, &rows[i]);
        char now[32], dflt[32];

        if (value != rows[i].dflt)
            SAY(out, "%s = %s (default %s)\n", rows[i].path, options_print(&rows[i], value, now),
                options_print(&rows[i], rows[i].dflt, dflt));
    }
}

static void say_limits(const struct config_limits *l, const char *before, struct buf *out)
{
    for (int i = 0; i < LIMIT_N; i++) {
        if (l->n[i] > 0) {
            SAY(out, "%s%s %lld", before, config_limit_name((enum limit)i), (long long)l->n[i]);
            before = ", ";
        }
    }
}

static void say_key_limits(const struct config *c, const struct config_key *k, struct buf *out)
{
    say_limits(&k->limits, "; limits ", out);
    for (size_t i = 0; i < k->model_limits_n; i++) {
        SAY(out, "; %.*s", SLICE_ARG(c->models[k->model_limits[i].model].name));
        say_limits(&k->model_limits[i].limits, " limits ", out);
    }
}

static void say_keys(const struct config *c, struct buf *out)
{
    for (size_t i = 0; i < c->keys_n; i++) {
        const struct config_key *k = &c->keys[i];

        SAY(out, "key %s: priority %s, from %s, ", k->name, config_priority_name(k->priority),
            k->secret_from);
        if (k->models_n == 0)
            SAY(out, "every model");
        for (size_t j = 0; j < k->models_n; j++)
            SAY(out, "%s%.*s", j > 0 ? ", " : "models ", SLICE_ARG(c->models[k->models[j]].name));
        say_key_limits(c, k, out);
        SAY(out, "%s\n", k->sensitive ? "; sensitive: local-only" : "");
    }
}

static void say_alias(const struct config_alias *a, struct buf *out)
{
    SAY(out, "  alias %.*s", SLICE_ARG(a->name));
    for (size_t i = 0; i < a->sets_n; i++) {
        const struct config_set *set = &a->sets[i];

        SAY(out, "%s %.*s = %.*s", i > 0 ? "," : " sets", SLICE_ARG(set->name),
            SLICE_ARG(set->from_env ? SLICE("(from the environment)") : set->json));
    }
    SAY(out, "\n");
}

/* Slots that calls of that upstream model share among these, 0 for no limit. */
static int slots_for(const struct config_slots *slots, size_t slots_n, struct slice model)
{
    int n = 0;

    for (size_t i = 0; i < slots_n; i++) {
        if (slice_eq(slots[i].model, model))
            return slots[i].n;
        if (slice_eq(slots[i].model, SLICE("*")))
            n = slots[i].n;
    }
    return n;
}

static void say_own(const struct config *c, const struct config_endpoint *e, struct slice model,
                    struct buf *out)
{
    int slots = slots_for(e->slots, e->slots_n, model);
    char far[32];

    if (slots > 0)
        SAY(out, ", %s%d slot%s of its own", e->learn ? "learns up to " : "", slots, slots > 1 ? "s" : "");
    else if (e->learn)
        SAY(out, ", learns its own slots");
    if (e->signals)
        SAY(out, ", asked for its load");
    if (e->region)
        SAY(out, ", region %s", e->region);
    if (e->region && c->region && e->distance_us > 0)
        SAY(out, " (%s away)", value_print_duration(e->distance_us, far));
    if (e->local)
        SAY(out, ", local");
}

static void say_way(const struct config_endpoint *e, struct buf *out)
{
    if (e->ca_file)
        SAY(out, ", ca_file %s", e->ca_file);
    if (e->client_cert)
        SAY(out, ", client_cert %s", e->client_cert);
    if (e->server_name)
        SAY(out, ", server_name %s", e->server_name);
    if (e->socket)
        SAY(out, ", socket %s", e->socket);
    if (e->proxy)
        SAY(out, ", through the proxy %s:%u (%s)%s", e->proxy->host, (unsigned)e->proxy->port, e->proxy->from,
            e->proxy->authorization.n > 0 ? " with a password" : "");
}

static void say_endpoint(const struct config *c, const struct config_endpoint *e, struct slice model,
                         struct buf *out)
{
    SAY(out, "%s %.*s, provider %s, ", e->name, SLICE_ARG(e->url), config_provider_name(e->provider));
    if (e->key_mode == KEY_NONE)
        SAY(out, "key none");
    else if (e->key_mode == KEY_CLIENT)
        SAY(out, "key of the client");
    else
        SAY(out, "key from %s", e->secret_from);
    if (e->account >= 0) {
        const struct config_account *a = &c->accounts[e->account];
        int slots = slots_for(a->slots, a->slots_n, model);

        SAY(out, ", account %s", a->name);
        if (slots > 0)
            SAY(out, " (%s%d slot%s)", a->learn ? "learns up to " : "", slots, slots > 1 ? "s" : "");
        else if (a->learn)
            SAY(out, " (learns its slots)");
    }
    say_own(c, e, model, out);
    say_way(e, out);
}

static void say_price(const struct config *c, const struct config_target *t, struct buf *out)
{
    const struct config_price *p = t->price ? t->price : c->endpoints[t->endpoint].price;

    if (!p)
        return;
    SAY(out, ", price ");
    prices_describe(p, out);
}

static bool is_by_cost(const struct config_tier *tier)
{
    for (size_t i = 0; i < tier->targets_n; i++) {
        if (tier->targets[i].weight > 0)
            return false;
    }
    return tier->targets_n > 1;
}

static void say_tier(const struct config *c, const struct config_model *m, const struct config_tier *tier,
                     struct buf *out)
{
    bool by_cost = is_by_cost(tier);
    double sum = 0;

    for (size_t i = 0; i < tier->targets_n; i++)
        sum += tier->targets[i].weight > 0 ? tier->targets[i].weight : 1;
    for (size_t i = 0; i < tier->targets_n; i++) {
        const struct config_target *t = &tier->targets[i];
        struct slice model = t->model.p ? t->model : m->name;
        double share = 100.0 * (t->weight > 0 ? t->weight : 1) / sum;

        if (by_cost)
            SAY(out, "            ");
        else
            SAY(out, "    %5.*f%%  ", share > 0.95 ? 0 : 2, share);
        say_endpoint(c, &c->endpoints[t->endpoint], model, out);
        if (t->model.p && !slice_eq(t->model, m->name))
            SAY(out, ", as model %.*s", SLICE_ARG(t->model));
        say_price(c, t, out);
        SAY(out, "\n");
    }
}

static void say_model(const struct config *c, const struct config_model *m, struct buf *out)
{
    int64_t us = m->deadline_us;
    const struct option deadline = {.kind = OPTION_DURATION};
    char text[32];

    SAY(out, "\nmodel %.*s%s\n", SLICE_ARG(m->name),
        slice_eq(m->name, SLICE("*")) ? " (every name not listed, passed through)" : "");
    for (size_t i = 0; i < m->aliases_n; i++)
        say_alias(&m->aliases[i], out);
    SAY(out, "  deadline %s", options_print(&deadline, us, text));
    say_limits(&m->limits, "; limits over all keys ", out);
    SAY(out, "%s\n", m->sensitive ? "; sensitive: local-only" : "");
    describe_rules(c, &m->rules, "  ", out);
    for (size_t i = 0; i < m->tiers_n; i++) {
        SAY(out, "  tier %zu%s", i + 1, i > 0 ? ", when none before it is usable" : "");
        if (i > 0 && m->spill_after_us != CLOCK_NEVER_US)
            SAY(out, " within %s", value_print_duration(m->spill_after_us, text));
        if (is_by_cost(&m->tiers[i]))
            SAY(out, ", by least cost");
        SAY(out, "\n");
        say_tier(c, m, &m->tiers[i], out);
    }
}

char *config_describe(const struct config *c)
{
    struct buf out;
    char *text;

    buf_init(&out, TEXT_MAX, NULL);
    say_listeners(c, &out);
    say_options(c, &out);
    say_keys(c, &out);
    describe_rules(c, &c->rules, "", &out);
    for (size_t i = 0; i < c->models_n; i++)
        say_model(c, &c->models[i], &out);
    text = mem_strndup(out.p, out.n);
    buf_fini(&out);
    return text;
}
