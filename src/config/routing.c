/* SPDX-License-Identifier: MIT */
/* Rules: lists of {if, use | model | tier, sensitive}, of the file and of models; and the word `sensitive`.
 *
 * They are read last, because they name keys, models and endpoints. */
#include <stdio.h>

#include "base/assert.h"
#include "config/draft.h"
#include "config/fields.h"
#include "config/nearest.h"
#include "config/value.h"

#define TOKENS_MAX INT64_C(1000000000)
#define TARGETS_MAX 64 /* bits of a set; a model has no more targets */

_Static_assert(DRAFT_TARGETS_MAX <= TARGETS_MAX, "a set of targets is 64 bits");

/* What a rule is read into. */
struct reading {
    struct config_rule *rule;
    int own;      /* the model whose list it stands in, or -1 */
    int places_n; /* how many of use, model and tier stand in it */
};

/* -- which requests -------------------------------------------------------------------------------------- */

static void complain_key(struct draft *d, const struct node *n, struct slice name)
{
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;

    nearest_init(&near, name);
    for (size_t i = 0; i < d->config->keys_n; i++) {
        if (!d->config->keys[i].name || notes_is_full(d->notes))
            return; /* that name was complained about, and may be the one that is meant */
        nearest_try(&near, slice_of(d->config->keys[i].name));
    }
    snprintf(unknown, sizeof(unknown), "unknown key \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

static int find_key(struct draft *d, const struct node *n)
{
    struct slice name;

    if (!value_name(d->notes, n, &name))
        return -1;
    for (size_t i = 0; i < d->config->keys_n; i++) {
        if (d->config->keys[i].name && slice_eq(slice_of(d->config->keys[i].name), name))
            return (int)i;
    }
    complain_key(d, n, name);
    return -1;
}

/* Enters it where it belongs, once. */
static void enter(int *sorted, size_t *n, int index)
{
    size_t at = 0;

    while (at < *n && sorted[at] < index)
        at++;
    if (at < *n && sorted[at] == index)
        return;
    for (size_t i = (*n)++; i > at; i--)
        sorted[i] = sorted[i - 1];
    sorted[at] = index;
}

/* One name or a list of names, each looked up by `find`. */
static void read_names(struct draft *d, const struct node *n,
                       int (*find)(struct draft *, const struct node *), const int **out, size_t *out_n)
{
    size_t max = n->kind == NODE_LIST ? n->n : 1;
    int *found = arena_zalloc(d->arena, (max + 1) * sizeof(*found)), index;

    *out = found;
    *out_n = 0;
    if (n->kind != NODE_LIST) {
        index = find(d, n);
        if (index >= 0)
            enter(found, out_n, index);
        return;
    }
    if (n->n == 0)
        notes_error(d->notes, n->at, "%.*s is empty; leave it out", SLICE_ARG(n->label));
    for (const struct node *child = n->first; child; child = child->next) {
        index = find(d, child);
        if (index >= 0)
            enter(found, out_n, index);
    }
}

static void read_if_key(struct draft *d, const struct node *n, void *into)
{
    struct config_rule *r = ((struct reading *)into)->rule;

    read_names(d, n, find_key, &r->keys, &r->keys_n);
}

static bool is_header_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return s.n > 0 && s.n <= 64;
}

static void read_if_header(struct draft *d, const struct node *n, void *into)
{
    struct config_rule *r = ((struct reading *)into)->rule;
    struct config_rule_header *headers;

    if (!value_is(d->notes, n, NODE_MAP, "{NAME: VALUE}"))
        return;
    if (n->n == 0 || n->n > DRAFT_HEADERS_MAX) {
        notes_error(d->notes, n->at, "header has 1 to %d headers, this has %zu", DRAFT_HEADERS_MAX, n->n);
        return;
    }
    headers = arena_zalloc(d->arena, n->n * sizeof(*headers));
    r->headers = headers;
    for (const struct node *child = n->first; child; child = child->next) {
        struct slice value;

        if (!is_header_name(child->key))
            notes_error(d->notes, child->key_at, "a header's name has 1 to 64 letters, digits, '-' and '_'");
        else if (value_text(d->notes, child, 256, &value))
            headers[r->headers_n++] = (struct config_rule_header){arena_dup(d->arena, child->key),
                                                                  arena_dup(d->arena, value), child->env};
    }
}

/* "8000" behind a sign, or both ends of a span. */
static bool read_number(struct slice s, int64_t *out)
{
    uint64_t n;

    if (!slice_to_u64(slice_trim(s), (uint64_t)TOKENS_MAX, &n))
        return false;
    *out = (int64_t)n;
    return true;
}

static bool read_span(struct slice s, struct config_rule *r)
{
    ptrdiff_t dots = slice_find(s, SLICE(".."));
    int64_t n;

    if (dots > 0)
        return read_number((struct slice){s.p, (size_t)dots}, &r->tokens_min) &&
               read_number(slice_from(s, (size_t)dots + 2), &r->tokens_max) && r->tokens_min <= r->tokens_max;
    if (slice_starts(s, SLICE(">="))) {
        return read_number(slice_from(s, 2), &r->tokens_min);
    } else if (slice_starts(s, SLICE("<="))) {
        return read_number(slice_from(s, 2), &r->tokens_max);
    } else if (slice_starts(s, SLICE(">")) && read_number(slice_from(s, 1), &n)) {
        r->tokens_min = n + 1;
        return true;
    } else if (slice_starts(s, SLICE("<")) && read_number(slice_from(s, 1), &n) && n > 0) {
        r->tokens_max = n - 1;
        return true;
    }
    return false;
}

static void read_if_tokens(struct draft *d, const struct node *n, void *into)
{
    char shown[NODE_SHOW_BYTES];
    struct slice text;

    if (!value_text(d->notes, n, 64, &text) || read_span(text, ((struct reading *)into)->rule))
        return;
    notes_error(
        d->notes, n->at,
        "prompt_tokens: %s is no span of numbers; write \">8000\", \">=8000\", \"<8000\", \"<=8000\" or "
        "\"1000..8000\"",
        node_show(n, shown));
}

static const struct field if_fields[] = {
    {"key", read_if_key, NULL, false},
    {"header", read_if_header, NULL, false},
    {"prompt_tokens", read_if_tokens, NULL, false},
};

static void read_if(struct draft *d, const struct node *n, void *into)
{
    if (fields_read(d, n, "if", if_fields, COUNT_OF(if_fields), into) && n->n == 0)
        notes_error(d->notes, n->at, "if is empty; leave it out where a rule is for every request");
}

/* -- where to -------------------------------------------------------------------------------------------- */

static int find_endpoint(struct draft *d, const struct node *n)
{
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    const struct config *c = d->config;
    struct nearest near;
    struct slice name;

    if (!value_name(d->notes, n, &name))
        return -1;
    nearest_init(&near, name);
    for (size_t i = 0; i < c->endpoints_n; i++) {
        if (!c->endpoints[i].name || notes_is_full(d->notes))
            return -1; /* that name was complained about, and may be the one that is meant */
        if (slice_eq(slice_of(c->endpoints[i].name), name))
            return (int)i;
        nearest_try(&near, slice_of(c->endpoints[i].name));
    }
    snprintf(unknown, sizeof(unknown), "unknown endpoint \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
    return -1;
}

static void read_use(struct draft *d, const struct node *n, void *into)
{
    struct reading *r = into;

    r->places_n++;
    read_names(d, n, find_endpoint, &r->rule->use, &r->rule->use_n);
}

static void read_model(struct draft *d, const struct node *n, void *into)
{
    struct reading *r = into;
    char shown[NODE_SHOW_BYTES];
    struct slice name;

    r->places_n++;
    if (!value_model(d->notes, n, &name))
        return;
    r->rule->model = models_find(d, name, node_show(n, shown), n->at, "name");
    if (r->rule->model >= 0 && r->rule->model == r->own)
        notes_error(d->notes, n->at, "this is the model itself: the rule would change nothing");
}

static void read_tier(struct draft *d, const struct node *n, void *into)
{
    struct reading *r = into;
    int64_t tier;

    r->places_n++;
    if (!value_count(d->notes, n, (struct value_bounds){1, DRAFT_TARGETS_MAX}, &tier))
        return;
    r->rule->tier = (int)tier;
    if (r->own >= 0 && tier > (int64_t)d->config->models[r->own].tiers_n)
        notes_error(d->notes, n->at, "tier is %lld, and this model has %zu", (long long)tier,
                    d->config->models[r->own].tiers_n);
}

void routing_read_sensitive(struct draft *d, const struct node *n, bool *out)
{
    char shown[NODE_SHOW_BYTES];
    struct slice text;

    if (!value_text(d->notes, n, 64, &text))
        return;
    *out = slice_eq(text, SLICE("local-only"));
    if (!*out)
        notes_error(d->notes, n->at, "sensitive: %s is not known; it can be local-only, or left out",
                    node_show(n, shown));
}

static void read_sensitive(struct draft *d, const struct node *n, void *into)
{
    routing_read_sensitive(d, n, &((struct reading *)into)->rule->sensitive);
}

static const struct field fields[] = {
    {"if", read_if, NULL, false},
    {"use", read_use, NULL, false},
    {"model", read_model, NULL, false},
    {"tier", read_tier, NULL, false},
    {"sensitive", read_sensitive, NULL, false},
};

/* -- lists ----------------------------------------------------------------------------------------------- */

static void read_rule(struct draft *d, const struct node *n, struct reading *r)
{
    r->rule->tokens_max = INT64_MAX;
    r->rule->model = -1;
    r->rule->line = n->at.line;
    if (!fields_read(d, n, "a rule", fields, COUNT_OF(fields), r))
        return;
    if (r->places_n > 1)
        notes_error(d->notes, n->at, "a rule has one of use, model and tier, this has %d of them",
                    r->places_n);
    if (r->places_n == 0 && !node_find(n, "sensitive"))
        notes_error(d->notes, n->at, "this rule does nothing; give it use, model, tier or sensitive");
}

static bool is_for_all(const struct config_rule *r)
{
    return r->keys_n == 0 && r->headers_n == 0 && r->tokens_min == 0 && r->tokens_max == INT64_MAX;
}

/* Behind a rule that sends every request somewhere nothing else decides. */
static void check_reach(struct draft *d, const struct node *list, const struct config_rules *rules)
{
    const struct config_rule *r = rules->rules;

    for (const struct node *n = list->first; n && n->next; n = n->next, r++) {
        if (!is_for_all(r) || node_find(n, "sensitive"))
            continue;
        notes_warning(d->notes, n->next->at,
                      "no request comes as far as this rule: the one in line %d is for all of them",
                      n->at.line);
        return;
    }
}

static void read_list(struct draft *d, const struct node *list, int own, struct config_rules *out)
{
    struct config_rule *rules;
    size_t i = 0;
    int errors_n = d->notes->errors_n;

    if (!fields_list(d, list, DRAFT_RULES_MAX, "of {if, use}"))
        return;
    rules = arena_zalloc(d->arena, (list->n + 1) * sizeof(*rules));
    *out = (struct config_rules){rules, list->n};
    for (const struct node *n = list->first; n; n = n->next)
        read_rule(d, n, &(struct reading){.rule = &rules[i++], .own = own});
    if (d->notes->errors_n == errors_n)
        check_reach(d, list, out);
}

void routing_read(struct draft *d)
{
    struct config *c = d->config;
    struct config_model *models = (struct config_model *)(uintptr_t)c->models;
    size_t i = 0;

    if (d->rules)
        read_list(d, d->rules, -1, &c->rules);
    if (c->models_n == 0)
        return;
    for (const struct node *n = d->models->first; n; n = n->next, i++) {
        const struct node *rules = n->kind == NODE_MAP ? node_find(n, "rules") : NULL;

        if (rules)
            read_list(d, rules, (int)i, &models[i].rules);
    }
}

/* -- which targets --------------------------------------------------------------------------------------- */

static bool is_used(const struct config_rule *r, int endpoint)
{
    for (size_t i = 0; i < r->use_n; i++) {
        if (r->use[i] == endpoint)
            return true;
    }
    return r->use_n == 0;
}

uint64_t config_rule_targets(const struct config *c, int model, const struct config_rule *r)
{
    const struct config_model *m = &c->models[model];
    uint64_t left = 0, bit = 1;

    for (size_t t = 0; t < m->tiers_n; t++) {
        for (size_t i = 0; i < m->tiers[t].targets_n; i++, bit <<= 1)
            left |= (int)t + 1 >= r->tier && is_used(r, m->tiers[t].targets[i].endpoint) ? bit : 0;
    }
    return left;
}

uint64_t config_local_targets(const struct config *c, int model)
{
    const struct config_model *m = &c->models[model];
    uint64_t local = 0, bit = 1;

    for (size_t t = 0; t < m->tiers_n; t++) {
        for (size_t i = 0; i < m->tiers[t].targets_n; i++, bit <<= 1)
            local |= c->endpoints[m->tiers[t].targets[i].endpoint].local ? bit : 0;
    }
    return local;
}
