/* SPDX-License-Identifier: MIT */
/* The headers of calls and of what comes back. Forwarding is opt-in by row (headers.def): cookies, the
 * client's Authorization and everything unknown stay here. */
#include "gateway/headers.h"

#include "base/arena.h"
#include "base/assert.h"
#include "llm/redact.h"

enum way { UP, DOWN };
enum rule {
    RULE_OURS,
    RULE_SOMETIMES,
    RULE_CREDENTIAL,
    RULE_FORWARD,
    RULE_KEY_CLIENT,
    RULE_MESSAGES,
    RULE_NEVER
};

static const struct row {
    const char *name;
    enum way way;
    enum rule rule;
} ROWS[] = {
#define HEADER(name, way, rule, doc) {name, way, RULE_##rule},
#include "gateway/headers.def"
#undef HEADER
};

#define VALUE_MAX 1024 /* a longer value is none of these headers' business */
#define DOWN_VALUE_MAX 256
#define ANTHROPIC_VERSION "2023-06-01"

/* -- up -------------------------------------------------------------------------------------------------- */

/* Rows whose value is the client's own. */
static bool is_clients(const struct row *row)
{
    return row->way == UP &&
           (row->rule == RULE_FORWARD || row->rule == RULE_KEY_CLIENT || row->rule == RULE_MESSAGES);
}

size_t headers_keep(const struct header *client, size_t client_n, struct arena *arena, struct header *out)
{
    struct slice key = http_header(client, client_n, "x-api-key");
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct slice v = is_clients(&ROWS[i]) ? http_header(client, client_n, ROWS[i].name) : SLICE_NONE;

        if (v.n > 0 && v.n <= VALUE_MAX)
            out[n++] = (struct header){slice_of(ROWS[i].name), arena_dup(arena, v)};
    }
    if (key.n > 0 && key.n <= VALUE_MAX)
        out[n++] = (struct header){SLICE("x-api-key"), arena_dup(arena, key)};
    ASSERT(n <= HEADERS_KEPT_MAX);
    return n;
}

static struct slice bearer(struct arena *arena, struct slice secret)
{
    static const char SCHEME[] = "Bearer ";
    char *p = arena_bytes(arena, sizeof SCHEME - 1 + secret.n);

    memcpy(p, SCHEME, sizeof SCHEME - 1);
    memcpy(p + sizeof SCHEME - 1, secret.p, secret.n);
    return (struct slice){p, sizeof SCHEME - 1 + secret.n};
}

/* A gateway that is its own endpoint, over however many others, ends by this count (wishes.h). */
static struct slice hops(int n)
{
    static const char DIGITS[] = "0123456789";

    ASSERT(n > 0 && n < 10);
    return (struct slice){&DIGITS[n], 1};
}

struct slice headers_secret(const struct config_endpoint *ep, struct slice authorization,
                            const struct header *client, size_t client_n)
{
    struct slice token;

    if (ep->key_mode != KEY_CLIENT)
        return ep->key_mode == KEY_OWN ? ep->secret : SLICE_NONE;
    if (authorization.n == 0)
        return http_header(client, client_n, "x-api-key");
    (void)slice_cut(authorization, ' ', &token);
    return token.p != NULL ? slice_trim(token) : authorization;
}

/* The client's own credential goes up as it came: its provider knows both forms. */
static size_t add_credential(const struct headers_ask *ask, bool api_key, struct arena *arena,
                             struct header *out, size_t n)
{
    struct slice key = http_header(ask->client, ask->client_n, "x-api-key");

    switch (ask->endpoint->key_mode) {
    case KEY_OWN:
        out[n++] = api_key ? (struct header){SLICE("X-Api-Key"), ask->endpoint->secret}
                           : (struct header){SLICE("Authorization"), bearer(arena, ask->endpoint->secret)};
        break;
    case KEY_CLIENT:
        if (ask->authorization.n > 0)
            out[n++] = (struct header){SLICE("Authorization"), ask->authorization};
        else if (key.n > 0)
            out[n++] = (struct header){SLICE("X-Api-Key"), key};
        break;
    case KEY_NONE:
        break;
    }
    return n;
}

static bool goes_up(const struct row *row, const struct headers_ask *ask)
{
    if (!is_clients(row))
        return false;
    if (row->rule == RULE_KEY_CLIENT)
        return ask->endpoint->key_mode == KEY_CLIENT;
    return row->rule == RULE_FORWARD || ask->surface == SURFACE_MESSAGES;
}

size_t headers_up(const struct headers_ask *ask, struct arena *arena, struct header *out)
{
    const struct dialect *d = dialect_get((enum dialect_id)ask->endpoint->provider);
    bool api_key = dialect_takes_api_key(d, ask->surface);
    size_t n = 0;

    out[n++] = (struct header){SLICE("Content-Type"), SLICE("application/json")};
    out[n++] = (struct header){SLICE("Accept"),
                               ask->stream ? SLICE("text/event-stream") : SLICE("application/json")};
    out[n++] = (struct header){SLICE("Accept-Encoding"), SLICE("identity")};
    out[n++] = (struct header){SLICE("User-Agent"), SLICE("tidegate")};
    out[n++] = (struct header){SLICE("X-Request-Id"), ask->request_id};
    out[n++] = (struct header){SLICE("X-Tidegate-Hops"), hops(ask->hops + 1)};
    if (ask->sensitive && ask->endpoint->provider == PROVIDER_TIDEGATE)
        out[n++] = (struct header){SLICE("X-Tidegate-Sensitive"), SLICE("local-only")};
    if (ask->endpoint->provider == PROVIDER_VLLM && ask->endpoint->signals && !ask->stream)
        out[n++] = (struct header){SLICE("Endpoint-Load-Metrics-Format"), SLICE("TEXT")};
    n = add_credential(ask, api_key, arena, out, n);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct slice v =
            goes_up(&ROWS[i], ask) ? http_header(ask->client, ask->client_n, ROWS[i].name) : SLICE_NONE;

        if (v.n > 0)
            out[n++] = (struct header){slice_of(ROWS[i].name), v};
    }
    if (api_key && http_header_count(out, n, "anthropic-version") == 0)
        out[n++] = (struct header){SLICE("Anthropic-Version"), SLICE(ANTHROPIC_VERSION)};
    ASSERT(n <= HEADERS_UP_MAX);
    return n;
}

/* -- down ------------------------------------------------------------------------------------------------ */

/* Printable, short, and no credential in it: neither the one that went up nor another. */
static bool is_harmless(struct slice v, struct slice secret)
{
    char shown[DOWN_VALUE_MAX + 1];

    if (v.n == 0 || v.n > DOWN_VALUE_MAX || (secret.n > 0 && slice_find(v, secret) >= 0))
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < 0x20 || v.p[i] > 0x7e)
            return false;
    }
    return redact_text(v, shown, sizeof shown) == v.n && memcmp(shown, v.p, v.n) == 0;
}

static struct slice upstream_id(const struct dialect *d, const struct http_response *rs)
{
    struct slice id = SLICE_NONE;

    for (size_t i = 0; i < d->request_id_headers_n && id.n == 0; i++)
        id = http_header(rs->headers, rs->headers_n, d->request_id_headers[i].p);
    return id;
}

static bool comes_down(const struct row *row, const struct config_endpoint *ep)
{
    return row->way == DOWN &&
           (row->rule == RULE_FORWARD || (row->rule == RULE_KEY_CLIENT && ep->key_mode == KEY_CLIENT));
}

static void add_down(struct header *found, size_t *n, const char *name, struct slice value,
                     struct slice secret)
{
    if (!is_harmless(value, secret))
        return;
    ASSERT(*n < HEADERS_DOWN_MAX);
    found[(*n)++] = (struct header){slice_of(name), value};
}

const struct header *headers_down(const struct config_endpoint *ep, struct slice secret,
                                  const struct http_response *rs, struct arena *arena, size_t *n)
{
    const struct dialect *d = dialect_get((enum dialect_id)ep->provider);
    struct header found[HEADERS_DOWN_MAX], *kept;

    *n = 0;
    add_down(found, n, "X-Tidegate-Upstream-Id", upstream_id(d, rs), secret);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        if (comes_down(&ROWS[i], ep))
            add_down(found, n, ROWS[i].name, http_header(rs->headers, rs->headers_n, ROWS[i].name), secret);
    }
    if (*n == 0)
        return NULL;
    kept = arena_alloc(arena, *n * sizeof *kept);
    for (size_t i = 0; i < *n; i++)
        kept[i] = (struct header){found[i].name, arena_dup(arena, found[i].value)};
    return kept;
}
