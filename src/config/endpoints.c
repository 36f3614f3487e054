/* SPDX-License-Identifier: MIT */
/* The section `endpoints`: base URLs, credentials and the dialect each speaks. */
#include "config/draft.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "config/fields.h"
#include "config/nearest.h"
#include "config/origin.h"
#include "config/prices.h"
#include "config/secret.h"
#include "config/value.h"
#include "config/way.h"

#define URL_MAX 2048

/* The path under which a provider's API always stands: a url without a path gets it. Among the many that
 * copied OpenAI's API the paths differ, so there it has to be written. */
static const struct {
    const char *name, *path;
} providers[PROVIDER_N] = {
    [PROVIDER_OPENAI] = {"openai", NULL},
    [PROVIDER_DEEPSEEK] = {"deepseek", NULL}, /* https://api.deepseek.com, or /beta under it */
    [PROVIDER_LLAMA] = {"llama", "/v1"},
    [PROVIDER_VLLM] = {"vllm", "/v1"},
    [PROVIDER_SGLANG] = {"sglang", "/v1"},
    [PROVIDER_OLLAMA] = {"ollama", "/v1"},
    [PROVIDER_ANTHROPIC] = {"anthropic", "/v1"},
    [PROVIDER_TIDEGATE] = {"tidegate", "/v1"},
};

const char *config_provider_name(enum provider p)
{
    ASSERT(p < PROVIDER_N);
    return providers[p].name;
}

static void read_name(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    struct slice name;

    if (value_name(d->notes, n, &name))
        e->name = arena_dup(d->arena, name).p;
}

static void read_provider(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;
    struct slice text;

    if (!value_text(d->notes, n, 64, &text))
        return;
    nearest_init(&near, text);
    for (int p = 0; p < PROVIDER_N; p++) {
        if (slice_eq(text, slice_of(providers[p].name))) {
            e->provider = (enum provider)p;
            return;
        }
        nearest_try(&near, slice_of(providers[p].name));
    }
    snprintf(unknown, sizeof(unknown), "unknown provider \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

/* Some have a key in their path or host: what the environment adds to a URL is shown by name. One that comes
 * from there whole (OPENAI_BASE_URL) is what users want to see. */
static struct slice shown_url(const struct node *n, struct slice url)
{
    bool whole =
        slice_starts(n->raw, SLICE("${")) && slice_find(n->raw, SLICE("}")) == (ptrdiff_t)n->raw.n - 1;

    return n->env && !whole ? n->raw : url;
}

static void read_url(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    struct origin origin;
    struct slice url;
    const char *why;

    if (!value_text(d->notes, n, URL_MAX, &url))
        return;
    why = origin_parse(url, d->arena, &origin);
    if (why) {
        notes_error(d->notes, n->at, "url: %s", why);
        return;
    }
    e->url = arena_dup(d->arena, shown_url(n, url));
    e->tls = origin.tls;
    e->host = origin.host;
    e->port = origin.port;
    e->base_path = origin.base_path;
    e->authority = origin.authority;
}

static bool is_near(struct slice text, struct slice word)
{
    return text.n <= word.n + 2 && slice_distance(text, word) <= 2;
}

static void read_key(struct draft *d, const struct node *n, void *into)
{
    static const char *const expected = "none, client, \"${NAME}\" or {file: PATH}";
    struct config_endpoint *e = into;
    struct secret secret;

    if (n->kind == NODE_LIST || node_is_empty(n)) {
        notes_error(d->notes, n->at, "key must be %s, this is %s", expected, node_kind_name(n));
        return;
    }
    if (n->kind == NODE_TEXT && slice_eq(n->text, SLICE("none"))) {
        e->key_mode = KEY_NONE;
        return;
    }
    if (n->kind == NODE_TEXT && slice_eq(n->text, SLICE("client"))) {
        e->key_mode = KEY_CLIENT;
        return;
    }
    if (n->kind == NODE_TEXT && !n->env &&
        (is_near(n->text, SLICE("none")) || is_near(n->text, SLICE("client")))) {
        notes_error(d->notes, n->at, "key must be %s; this is too short for a secret", expected);
        return;
    }
    if (!secret_read(d, n, &secret))
        return;
    e->key_mode = KEY_OWN;
    e->secret = secret.bytes;
    e->secret_from = secret.from;
    if (secret.is_literal)
        notes_warning(d->notes, n->at,
                      "the secret stands in this file; \"${NAME}\" or {file: PATH} keeps it out");
}

static void read_account(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;
    struct slice name;

    if (!value_name(d->notes, n, &name))
        return;
    nearest_init(&near, name);
    for (size_t i = 0; i < d->config->accounts_n; i++) {
        const char *known = d->config->accounts[i].name;

        if (!known)
            return; /* its name was complained about, and may be the one that is meant */
        if (slice_eq(slice_of(known), name)) {
            e->account = (int)i;
            return;
        }
        nearest_try(&near, slice_of(known));
    }
    snprintf(unknown, sizeof(unknown), "unknown account \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

static void read_region(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    struct slice region;

    if (value_name(d->notes, n, &region))
        e->region = arena_dup(d->arena, region).p;
}

static void read_price(struct draft *d, const struct node *n, void *into)
{
    prices_read(d, n, &((struct config_endpoint *)into)->price);
}

static void read_slots(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;

    accounts_read_slots(d, n, true, &e->slots, &e->slots_n);
}

static void read_learn(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    int64_t learn;

    if (value_bool(d->notes, n, &learn))
        e->learn = learn != 0;
}

static void read_signals(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    int64_t signals;

    if (value_bool(d->notes, n, &signals))
        e->signals = signals != 0;
}

static void read_local(struct draft *d, const struct node *n, void *into)
{
    struct config_endpoint *e = into;
    int64_t local;

    if (value_bool(d->notes, n, &local))
        e->local = local != 0;
}

static const struct field fields[] = {
    {"name", read_name, NULL, true},
    {"provider", read_provider, NULL, true},
    {"url", read_url, NULL, true},
    {"key", read_key, NULL, false},
    {"account", read_account, NULL, false},
    {"region", read_region, NULL, false},
    {"local", read_local, NULL, false},
    {"slots", read_slots, NULL, false},
    {"learn", read_learn, NULL, false},
    {"signals", read_signals, NULL, false},
    {"price", read_price, NULL, false},
    {"ca_file", way_read_ca_file, NULL, false},
    {"client_cert", way_read_client_cert, NULL, false},
    {"client_key", way_read_client_key, NULL, false},
    {"server_name", way_read_server_name, NULL, false},
    {"proxy", way_read_proxy, NULL, false},
    {"socket", way_read_socket, NULL, false},
};

/* Those that have a page for it are asked, if nothing else is said; others cannot be. */
static void settle_signals(struct draft *d, struct config_endpoint *e, const struct node *n)
{
    const struct node *said = node_find(n, "signals");
    bool can =
        e->provider == PROVIDER_LLAMA || e->provider == PROVIDER_VLLM || e->provider == PROVIDER_SGLANG;

    if (!said)
        e->signals = can;
    else if (e->signals && !can)
        notes_error(d->notes, said->at,
                    "signals: only llama, vllm and sglang have a page that says what load they have");
}

static void add_path(struct draft *d, struct config_endpoint *e)
{
    const char *path = providers[e->provider].path;
    size_t n = e->url.n;

    if (e->base_path.n > 0 || path == NULL)
        return;
    while (n > 0 && e->url.p[n - 1] == '/')
        n--;
    e->base_path = slice_of(path);
    e->url = arena_printf(d->arena, "%.*s%s", (int)n, e->url.p, path);
}

/* What is allowed and probably not meant. */
static void warn(struct draft *d, const struct config_endpoint *e, const struct node *n)
{
    const struct node *url = node_find(n, "url");
    bool loopback = origin_host_is_loopback(slice_of(e->host)) || e->socket;

    if (e->provider == PROVIDER_OPENAI && e->base_path.n == 0)
        notes_warning(d->notes, url->at, "the url has no path; OpenAI's API and most others are under /v1");
    if (!e->tls && !loopback && e->key_mode != KEY_NONE)
        notes_warning(d->notes, url->at, "http:// sends the key to %s unencrypted",
                      url->env ? "that host" : e->host);
    if (!node_find(n, "key") && e->tls && !loopback)
        notes_warning(d->notes, n->at, "no key: calls carry no credential; say key: none if that is meant");
}

void endpoints_read(struct draft *d)
{
    struct config_endpoint *endpoints;
    size_t i = 0;

    if (!d->endpoints || !fields_list(d, d->endpoints, DRAFT_ENDPOINTS_MAX, "of {name, provider, url, key}"))
        return;
    endpoints = arena_zalloc(d->arena, d->endpoints->n * sizeof(*endpoints));
    d->config->endpoints = endpoints;
    d->config->endpoints_n = d->endpoints->n;
    for (const struct node *n = d->endpoints->first; n; n = n->next, i++) {
        endpoints[i].account = -1;
        if (fields_read(d, n, "an endpoint", fields, COUNT_OF(fields), &endpoints[i]) && endpoints[i].host) {
            settle_signals(d, &endpoints[i], n);
            add_path(d, &endpoints[i]);
            way_settle(d, &endpoints[i], n);
            warn(d, &endpoints[i], n);
        }
    }
}
