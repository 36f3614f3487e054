/* SPDX-License-Identifier: MIT */
/* What no single section can tell: names and secrets that occur twice, sections that must be there,
 * sections that contradict each other, parts that nothing uses. */
#include "config/draft.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

/* The node of entry i's field, or the entry's own. */
static struct place field_place(const struct node *entry, const char *key)
{
    const struct node *n = node_find(entry, key);

    return n ? n->at : entry->at;
}

/* Notes each name that an earlier entry of the section has. names[i] belongs to the i-th child; NULL is no
 * name. */
static void check_names(struct draft *d, const struct node *section, const char *const *names)
{
    struct map seen;
    size_t i = 0;

    map_init(&seen);
    for (const struct node *n = section->first; n; n = n->next, i++) {
        const struct node *before;

        if (!names[i])
            continue;
        before = map_put(&seen, slice_of(names[i]), (void *)n);
        if (before)
            notes_error(d->notes, field_place(n, "name"), "the name %s is taken, see line %d", names[i],
                        before->at.line);
    }
    map_fini(&seen);
}

/* The names of a section's entries, as an array for check_names. `names` points at the first entry's name
 * and the others follow at `stride`. */
static void check_section(struct draft *d, const struct node *section, const void *names, size_t n,
                          size_t stride)
{
    const char **list;

    if (!section || section->kind != NODE_LIST || n == 0)
        return;
    list = mem_alloc(n * sizeof(*list));
    for (size_t i = 0; i < n; i++)
        memcpy(&list[i], (const char *)names + i * stride, sizeof(*list));
    check_names(d, section, list);
    mem_free(list);
}

static void check_secrets(struct draft *d)
{
    const struct config *c = d->config;
    struct map seen;
    size_t i = 0;

    if (c->keys_n == 0)
        return;
    map_init(&seen);
    for (const struct node *n = d->keys->first; n; n = n->next, i++) {
        const struct node *before;

        if (!c->keys[i].secret.p)
            continue;
        before = map_put(&seen, c->keys[i].secret, (void *)n);
        if (before)
            notes_error(d->notes, field_place(n, "key"), "two clients have the same key, see line %d",
                        before->at.line);
    }
    map_fini(&seen);
}

static void check_present(struct draft *d, const struct node *section, const char *name, const char *example)
{
    struct place at = section ? section->at : (struct place){1, 1};

    if (!section)
        notes_error(d->notes, at, "%s is missing: %s", name, example);
    else if (section->kind == NODE_LIST && section->n == 0)
        notes_error(d->notes, at, "%s is empty: %s", name, example);
}

/* With both, a client would have to send two credentials in one Authorization header. */
static void check_client_keys(struct draft *d)
{
    const struct config *c = d->config;
    size_t i = 0;

    if (c->keys_n == 0 || c->endpoints_n == 0)
        return;
    for (const struct node *n = d->endpoints->first; n; n = n->next, i++) {
        if (c->endpoints[i].key_mode == KEY_CLIENT)
            notes_error(
                d->notes, field_place(n, "key"),
                "key: client sends the client's Authorization up, but with keys that is the key of this "
                "gateway; give the endpoint a key of its own or remove keys");
    }
}

typedef void (*target_cb)(void *ud, const struct config_model *m, const struct config_target *t);

static void each_target(const struct config *c, target_cb cb, void *ud)
{
    for (size_t i = 0; i < c->models_n; i++) {
        const struct config_model *m = &c->models[i];

        for (size_t j = 0; j < m->tiers_n; j++) {
            for (size_t k = 0; k < m->tiers[j].targets_n; k++)
                cb(ud, m, &m->tiers[j].targets[k]);
        }
    }
}

static void mark_endpoint(void *ud, const struct config_model *m, const struct config_target *t)
{
    bool *used = ud;

    (void)m;
    used[t->endpoint] = true;
}

static void check_used(struct draft *d)
{
    const struct config *c = d->config;
    bool *used = mem_zalloc(c->endpoints_n * sizeof(*used)),
         *counted = mem_zalloc(c->accounts_n * sizeof(*counted));
    size_t i = 0;

    each_target(c, mark_endpoint, used);
    for (const struct node *n = d->endpoints->first; n; n = n->next, i++) {
        if (!used[i])
            notes_warning(d->notes, n->at, "no model uses the endpoint %s", c->endpoints[i].name);
        if (c->endpoints[i].account >= 0)
            counted[c->endpoints[i].account] = true;
    }
    i = 0;
    for (const struct node *n = c->accounts_n > 0 ? d->accounts->first : NULL; n; n = n->next, i++) {
        if (!counted[i])
            notes_warning(d->notes, n->at, "no endpoint uses the account %s", c->accounts[i].name);
    }
    mem_free(used);
    mem_free(counted);
}

/* The upstream models that calls on one account, or to one endpoint, can be for. */
struct called {
    const struct config *config;
    int account, endpoint; /* one of them; the other is -1 */
    struct map models;
    bool any; /* names pass through */
};

static void mark_model(void *ud, const struct config_model *m, const struct config_target *t)
{
    struct called *called = ud;

    if (called->account >= 0 ? called->config->endpoints[t->endpoint].account != called->account
                             : t->endpoint != called->endpoint)
        return;
    if (t->model.p)
        map_put(&called->models, t->model, called);
    else if (slice_eq(m->name, SLICE("*")))
        called->any = true;
    else
        map_put(&called->models, m->name, called);
}

/* A limit for a mistyped name limits nothing. */
static void check_slots_of(struct draft *d, const struct node *owner, struct called *called)
{
    const struct node *slots = node_find(owner, "slots");

    if (!slots || slots->kind != NODE_MAP)
        return;
    called->any = false;
    map_init(&called->models);
    each_target(d->config, mark_model, called);
    for (const struct node *s = slots->first; s; s = s->next) {
        char shown[NODE_SHOW_BYTES];

        if (!called->any && !slice_eq(s->key, SLICE("*")) && !map_find(&called->models, s->key))
            notes_warning(d->notes, s->key_at, "no call %s is for the model \"%s\"",
                          called->account >= 0 ? "on this account" : "to this endpoint",
                          node_show_text(s->key, shown));
    }
    map_fini(&called->models);
}

static void check_slots(struct draft *d)
{
    const struct config *c = d->config;
    struct called called = {.config = c, .endpoint = -1};

    for (const struct node *n = c->accounts_n > 0 ? d->accounts->first : NULL; n; n = n->next) {
        check_slots_of(d, n, &called);
        called.account++;
    }
    called.account = -1;
    for (const struct node *n = d->endpoints->first; n; n = n->next) {
        called.endpoint++;
        check_slots_of(d, n, &called);
    }
}

static bool is_loopback_name(struct slice host)
{
    return slice_starts(host, SLICE("127.")) || slice_ieq(host, SLICE("localhost")) ||
           slice_eq(host, SLICE("::1"));
}

/* Whether a call to host:port would arrive at a listener at `at` ("127.0.0.1:8080", "[::1]:80",
 * "0.0.0.0:80"). */
static bool reaches(struct slice host, uint16_t port, const char *at)
{
    const char *colon = strrchr(at, ':');
    struct slice ip = {at, (size_t)(colon - at)};
    uint64_t n = 0;

    if (!slice_to_u64(slice_of(colon + 1), 65535, &n) || n != port)
        return false;
    if (ip.n > 2 && ip.p[0] == '[')
        ip = (struct slice){ip.p + 1, ip.n - 2};
    if (slice_eq(ip, SLICE("0.0.0.0")) || slice_eq(ip, SLICE("::")))
        return is_loopback_name(host);
    return slice_eq(ip, host) || (slice_ieq(host, SLICE("localhost")) && is_loopback_name(ip));
}

static bool calls(const struct config_endpoint *ep, const char *at)
{
    if (strncmp(at, "unix:", 5) == 0)
        return ep->socket != NULL && strcmp(ep->socket, at + 5) == 0;
    return ep->socket == NULL && reaches(slice_of(ep->host), ep->port, at);
}

/* A gateway that is its own provider would call itself until something gives way. */
static void check_self(struct draft *d)
{
    const struct config *c = d->config;
    size_t i = 0;

    for (const struct node *n = d->endpoints->first; n; n = n->next, i++) {
        const struct config_endpoint *ep = &c->endpoints[i];

        for (size_t k = 0; k < c->listen_n; k++) {
            if (calls(ep, c->listen[k].at))
                notes_error(d->notes, field_place(n, "url"),
                            "this is where the gateway itself listens (%s): it would call itself; give the "
                            "provider's url",
                            c->listen[k].at);
        }
    }
}

void rules_check(struct draft *d)
{
    const struct config *c = d->config;

    check_present(d, d->endpoints, "endpoints",
                  "write - {name: NAME, provider: openai, url: URL, key: \"${NAME}\"}");
    check_present(d, d->models, "models", "write - {name: \"*\", tiers: [[{endpoint: NAME}]]}");
    if (c->accounts_n > 0)
        check_section(d, d->accounts, &c->accounts->name, c->accounts_n, sizeof(*c->accounts));
    if (c->endpoints_n > 0)
        check_section(d, d->endpoints, &c->endpoints->name, c->endpoints_n, sizeof(*c->endpoints));
    if (c->keys_n > 0)
        check_section(d, d->keys, &c->keys->name, c->keys_n, sizeof(*c->keys));
    check_secrets(d);
    check_client_keys(d);
    if (d->notes->errors_n == 0) { /* every reference is resolved from here on */
        check_used(d);
        check_slots(d);
        check_self(d);
        routing_check(d);
        sense_check(d);
    }
}
