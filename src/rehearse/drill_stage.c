/* SPDX-License-Identifier: MIT */
/* Writing files and options from a scenario. */
#include "rehearse/drill_stage.h"

#include "base/clock.h"

#define ADD(out, ...) ((void)!buf_printf((out), __VA_ARGS__))

static const char *priority_word(enum priority p)
{
    return config_priority_name(p);
}

static void add_keys(const struct drill_scenario *s, struct buf *out)
{
    ADD(out, "keys:\n");
    for (size_t i = 0; i < drill_crowds_n(s); i++)
        ADD(out, "  - {name: %s, key: drill-%s, priority: %s}\n", s->crowds[i].name, s->crowds[i].name,
            priority_word(s->crowds[i].priority));
}

static void add_accounts(const struct drill_scenario *s, struct buf *out)
{
    bool first = true;

    for (size_t i = 0; i < drill_providers_n(s); i++) {
        const struct drill_provider *p = &s->providers[i];

        if (p->account == DRILL_NO_ACCOUNT)
            continue;
        if (first)
            ADD(out, "accounts:\n");
        first = false;
        if (p->account == DRILL_KNOWN)
            ADD(out, "  - {name: %s, slots: {'*': %d}}\n", p->name, p->slots);
        else
            ADD(out, "  - {name: %s, learn: true}\n", p->name);
    }
}

static void add_endpoints(const struct drill_scenario *s, const struct drill_places *places, struct buf *out)
{
    ADD(out, "endpoints:\n");
    for (size_t i = 0; i < drill_providers_n(s); i++) {
        const struct drill_provider *p = &s->providers[i];

        ADD(out, "  - {name: %s, provider: openai, url: 'http://%s/v1', key: none", p->name,
            places->providers[i]);
        if (p->account != DRILL_NO_ACCOUNT)
            ADD(out, ", account: %s", p->name);
        if (p->region != NULL)
            ADD(out, ", region: %s", p->region);
        ADD(out, "}\n");
    }
}

static void add_models(const struct drill_scenario *s, struct buf *out)
{
    size_t n = drill_providers_n(s);

    ADD(out, "models:\n  - name: '*'\n    tiers:\n");
    for (int tier = 0; tier < DRILL_PROVIDERS_MAX; tier++) {
        size_t in_tier_n = 0;

        for (size_t i = 0; i < n; i++) {
            if (s->providers[i].tier == tier)
                ADD(out, "%s{endpoint: %s}", in_tier_n++ > 0 ? ", " : "      - [", s->providers[i].name);
        }
        if (in_tier_n > 0)
            ADD(out, "]\n");
    }
}

void drill_stage_file(const struct drill_scenario *s, const struct drill_places *places, struct buf *out)
{
    ADD(out, "listen: %s\n", places->listen);
    if (places->more != NULL)
        ADD(out, "%s", places->more);
    add_keys(s, out);
    add_accounts(s, out);
    add_endpoints(s, places, out);
    add_models(s, out);
    if (s->more != NULL)
        ADD(out, "%s", s->more);
}

void drill_stage_timeline(const struct drill_provider *p, double lead_s, struct buf *out)
{
    for (size_t i = 0; i < DRILL_EVENTS_MAX && p->events[i].fault != NULL; i++) {
        const struct drill_event *e = &p->events[i];

        ADD(out, "at=%lldms", (long long)((e->at_s + lead_s) * 1000));
        if (e->for_s > 0)
            ADD(out, " for=%lldms", (long long)(e->for_s * 1000));
        ADD(out, " fault=%s", e->fault);
        if (e->p > 0)
            ADD(out, " p=%.6f", e->p);
        ADD(out, "\n");
    }
}

void drill_stage_sim(const struct drill_provider *p, uint64_t seed, struct sim_opts *out)
{
    sim_opts_default(out);
    out->seed = seed;
    out->ttft = (struct sim_time){p->ttft_us, p->sigma};
    out->prefill_us = p->prefill_us;
    out->gap = (struct sim_time){p->gap_us, 0};
    out->slots = p->queues ? p->slots : 0;
    out->account_limit = p->queues ? 0 : p->slots;
}
