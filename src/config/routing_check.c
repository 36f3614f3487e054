/* SPDX-License-Identifier: MIT */
/* Whether rules and `sensitive` leave a request anywhere to go, and whether what is called local can be. */
#include <stdio.h>

#include "base/assert.h"
#include "config/draft.h"

static bool may_use(const struct config_key *key, int model)
{
    for (size_t i = 0; i < key->models_n; i++) {
        if (key->models[i] == model)
            return true;
    }
    return key->models_n == 0;
}

/* Whether a request for the model can be one of those that the rule is for. */
static bool concerns(const struct config *c, const struct config_rule *r, int model)
{
    for (size_t i = 0; i < r->keys_n; i++) {
        if (may_use(&c->keys[r->keys[i]], model))
            return true;
    }
    return r->keys_n == 0;
}

/* What a rule leaves of a model that it does not replace. */
static uint64_t left_by(const struct config *c, const struct config_rule *r, int model)
{
    uint64_t left = config_rule_targets(c, model, r);

    return r->sensitive || c->models[model].sensitive ? left & config_local_targets(c, model) : left;
}

static const char *why_none(const struct config_rule *r)
{
    return r->sensitive ? "no local endpoint" : "no endpoint";
}

static void check_own(struct draft *d, int model, const struct node *list)
{
    const struct config_rules *rules = &d->config->models[model].rules;
    const struct config_rule *r = rules->rules;

    for (const struct node *n = list->first; n; n = n->next, r++) {
        if (left_by(d->config, r, r->model >= 0 ? r->model : model) == 0)
            notes_error(d->notes, n->at, "this rule leaves a request %s", why_none(r));
    }
}

static void check_common(struct draft *d, const struct config_rule *r, const struct node *n)
{
    const struct config *c = d->config;
    char shown[NODE_SHOW_BYTES];
    size_t none_n = 0;
    int first = -1;

    for (int m = r->model >= 0 ? r->model : 0; m < (int)c->models_n; m++) {
        if ((r->model >= 0 || concerns(c, r, m)) && left_by(c, r, m) == 0) {
            first = first < 0 ? m : first;
            none_n++;
        }
        if (r->model >= 0)
            break;
    }
    if (none_n > 0)
        notes_warning(
            d->notes, n->at, "this rule leaves requests for the model \"%s\"%s %s: they will be refused",
            node_show_text(c->models[first].name, shown), none_n > 1 ? " and others" : "", why_none(r));
}

static void check_rules(struct draft *d)
{
    const struct config *c = d->config;
    size_t i = 0;

    for (const struct node *n = c->rules.n > 0 ? d->rules->first : NULL; n; n = n->next)
        check_common(d, &c->rules.rules[i++], n);
    i = 0;
    for (const struct node *n = d->models->first; n; n = n->next, i++) {
        if (c->models[i].rules.n > 0)
            check_own(d, (int)i, node_find(n, "rules"));
    }
}

static void check_models(struct draft *d)
{
    const struct config *c = d->config;
    int i = 0;

    for (const struct node *n = d->models->first; n; n = n->next, i++) {
        if (c->models[i].sensitive && config_local_targets(c, i) == 0)
            notes_error(d->notes, node_find(n, "sensitive")->at,
                        "this model has no endpoint with local: true, so all its requests would be refused");
    }
}

static void check_keys(struct draft *d)
{
    const struct config *c = d->config;
    size_t i = 0;

    for (const struct node *n = c->keys_n > 0 ? d->keys->first : NULL; n; n = n->next, i++) {
        char shown[NODE_SHOW_BYTES];
        int m = 0;

        while (m < (int)c->models_n && (!may_use(&c->keys[i], m) || config_local_targets(c, m) != 0))
            m++;
        if (c->keys[i].sensitive && m < (int)c->models_n)
            notes_warning(
                d->notes, node_find(n, "sensitive")->at,
                "the model \"%s\" has no endpoint with local: true: requests of this key for it will be "
                "refused",
                node_show_text(c->models[m].name, shown));
    }
}

/* -- what is called local -------------------------------------------------------------------------------- */

/* An address of the internet, or the host of a provider there. */
static bool is_far(struct slice host)
{
    static const char *const NEAR[] = {"127.", "10.", "192.168.", "169.254.", "fc", "fd", "fe80:", "::1"};
    static const char *const CLOUDS[] = {"api.deepseek.com", "api.openai.com", "api.anthropic.com"};
    bool address = slice_find(host, SLICE(":")) >= 0;
    size_t digits_n = 0;
    uint64_t second = 0;
    struct slice rest;

    for (size_t i = 0; i < host.n; i++)
        digits_n += (host.p[i] >= '0' && host.p[i] <= '9') || host.p[i] == '.';
    for (size_t i = 0; i < COUNT_OF(CLOUDS); i++) {
        if (slice_ieq(host, slice_of(CLOUDS[i])))
            return true;
    }
    if (!address && digits_n < host.n)
        return false;
    for (size_t i = 0; i < COUNT_OF(NEAR); i++) {
        if (slice_istarts(host, slice_of(NEAR[i])))
            return false;
    }
    (void)slice_cut(host, '.', &rest);
    (void)slice_to_u64(slice_cut(rest, '.', &rest), 255, &second);
    if (slice_starts(host, SLICE("172.")) && second >= 16 && second < 32)
        return false;
    return !(slice_starts(host, SLICE("100.")) && second >= 64 && second < 128);
}

static void check_local(struct draft *d)
{
    const struct config_endpoint *e = d->config->endpoints;

    for (const struct node *n = d->endpoints->first; n; n = n->next, e++) {
        if (!e->local)
            continue;
        if (e->socket == NULL && is_far(slice_of(e->host)))
            notes_warning(d->notes, node_find(n, "local")->at,
                          "local: true, but the url leads to the internet: sensitive requests will go there");
        if (e->proxy != NULL && !e->tls)
            notes_warning(d->notes, node_find(n, "local")->at,
                          "sensitive requests go through a proxy unencrypted (%s); say proxy: none",
                          e->proxy->from);
    }
}

void routing_check(struct draft *d)
{
    check_models(d);
    check_keys(d);
    check_rules(d);
    check_local(d);
}
