/* SPDX-License-Identifier: MIT */
/* What may stand in a file and cannot do what somebody meant by it: fall-backs that are never reached, clocks
 * that run out before others can matter, sizes that memory cannot hold, models that nobody may use.
 *
 * These are warnings: each such file works, only less than it seems to. */
#include "config/draft.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "config/options.h"
#include "config/value.h"

/* The smallest chat request is estimated at about a dozen tokens, and its answer has to fit too. */
#define TPM_LEAST 100

static const struct node *option_node(const struct node *section, const char *name)
{
    return section && section->kind == NODE_MAP ? node_find(section, name) : NULL;
}

/* -- fall-backs ------------------------------------------------------------------------------------------ */

/* Enters the endpoints of a tier into `seen` (room for all of a model); returns how many there are now. */
static size_t enter(const struct config_tier *tier, int *seen, size_t n)
{
    for (size_t i = 0; i < tier->targets_n; i++) {
        size_t k = 0;

        while (k < n && seen[k] != tier->targets[i].endpoint)
            k++;
        if (k == n)
            seen[n++] = tier->targets[i].endpoint;
    }
    return n;
}

/* Failed calls before a tier may have used up all attempts. */
static void check_reach(struct draft *d, const struct config_model *m, const struct node *n)
{
    int seen[DRAFT_TARGETS_MAX];
    size_t seen_n = 0, i = 0;
    int64_t attempts = d->config->opt.attempts_max;

    for (const struct node *t = node_find(n, "tiers")->first; t; t = t->next, i++) {
        if (i > 0 && (int64_t)seen_n >= attempts) {
            notes_warning(
                d->notes, t->at,
                "when the endpoints of the tiers before it fail, this tier is not tried: they are %zu, "
                "and limits.attempts is %lld",
                seen_n, (long long)attempts);
            return;
        }
        seen_n = enter(&m->tiers[i], seen, seen_n);
    }
}

/* A connection that hangs leaves no time for another endpoint. */
static void check_deadline(struct draft *d, const struct config_model *m, const struct node *n)
{
    const struct node *own = node_find(n, "deadline");
    int seen[DRAFT_TARGETS_MAX];
    size_t seen_n = 0;
    char connect[32];

    for (size_t i = 0; i < m->tiers_n; i++)
        seen_n = enter(&m->tiers[i], seen, seen_n);
    if (!own || seen_n < 2 || m->deadline_us > d->config->opt.connect_us)
        return;
    notes_warning(
        d->notes, own->at,
        "when connecting hangs, no other endpoint is tried: timeouts.connect (%s) is not shorter than "
        "this deadline",
        value_print_duration(d->config->opt.connect_us, connect));
}

static void check_models(struct draft *d)
{
    const struct config_model *m = d->config->models;

    for (const struct node *n = d->models->first; n; n = n->next, m++) {
        check_reach(d, m, n);
        check_deadline(d, m, n);
    }
}

/* -- who may use what ------------------------------------------------------------------------------------ */

static void check_access(struct draft *d)
{
    const struct config *c = d->config;
    bool *allowed = mem_zalloc((c->models_n + 1) * sizeof(*allowed)), all = c->keys_n == 0;
    size_t i = 0;

    for (size_t k = 0; k < c->keys_n; k++) {
        all |= c->keys[k].models_n == 0;
        for (size_t j = 0; j < c->keys[k].models_n; j++)
            allowed[c->keys[k].models[j]] = true;
    }
    for (const struct node *n = d->models->first; n && !all; n = n->next, i++) {
        char shown[NODE_SHOW_BYTES];

        if (!allowed[i])
            notes_warning(d->notes, node_find(n, "name")->at, "no key may use the model \"%s\"",
                          node_show_text(c->models[i].name, shown));
    }
    mem_free(allowed);
}

static void check_tpm(struct draft *d, const struct node *entry)
{
    const struct node *limits = node_find(entry, "limits");
    const struct node *tpm = limits && limits->kind == NODE_MAP ? node_find(limits, "tpm") : NULL;
    uint64_t n;

    if (tpm && slice_to_u64(tpm->text, INT64_MAX, &n) && n < TPM_LEAST)
        notes_warning(
            d->notes, tpm->at,
            "tpm counts the tokens of prompt and answer: hardly a single request needs fewer than %d",
            TPM_LEAST);
}

static void check_tpms(struct draft *d)
{
    for (const struct node *n = d->models->first; n; n = n->next)
        check_tpm(d, n);
    for (const struct node *n = d->config->keys_n > 0 ? d->keys->first : NULL; n; n = n->next)
        check_tpm(d, n);
}

/* -- clocks and sizes ------------------------------------------------------------------------------------ */

static void check_hold(struct draft *d)
{
    const struct config_options *o = &d->config->opt;
    const struct node *hold = option_node(d->timeouts, "hold");

    if (hold && o->hold_us >= o->deadline_us)
        notes_warning(d->notes, hold->at,
                      "hold has no effect: a request has ended by timeouts.deadline before it has passed");
}

/* What is to be held has to fit into the budget that it is charged to. */
static void check_memory(struct draft *d)
{
    const struct config_options *o = &d->config->opt;
    const struct {
        const char *name;
        int64_t size;
    } parts[] = {{"body", o->body_max}, {"event", o->event_max}, {"answer", o->answer_max}};
    const struct node *memory = option_node(d->limits, "memory");

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        const struct node *own = option_node(d->limits, parts[i].name), *at = own ? own : memory;
        char size[32], most[32];

        if (at && parts[i].size > o->memory_max)
            notes_warning(d->notes, at->at, "limits.%s (%s) cannot be had: limits.memory is %s",
                          parts[i].name, value_print_size(parts[i].size, size),
                          value_print_size(o->memory_max, most));
    }
}

void sense_check(struct draft *d)
{
    check_models(d);
    check_access(d);
    check_tpms(d);
    check_hold(d);
    check_memory(d);
}
