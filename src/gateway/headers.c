/* SPDX-License-Identifier: MIT */
/* The headers of calls. Forwarding is opt-in by row: cookies, the client's Authorization and everything
 * unknown stay here. */
#include "gateway/headers.h"

#include "base/arena.h"
#include "base/assert.h"

enum rule {
    FORWARD,           /* as the client sent it */
    FORWARD_KEY_CLIENT /* only to endpoints that get the client's own credential */
};

static const struct {
    const char *name;
    enum rule rule;
} ROWS[] = {
    {"x-client-request-id", FORWARD},
    {"traceparent", FORWARD},
    {"tracestate", FORWARD},
    {"openai-organization", FORWARD_KEY_CLIENT},
    {"openai-project", FORWARD_KEY_CLIENT},
    {"openai-beta", FORWARD},
};

#define VALUE_MAX 1024 /* a longer value is none of these headers' business */

size_t headers_keep(const struct header *client, size_t client_n, struct arena *arena, struct header *out)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct slice v = http_header(client, client_n, ROWS[i].name);

        if (v.n > 0 && v.n <= VALUE_MAX)
            out[n++] = (struct header){slice_of(ROWS[i].name), arena_dup(arena, v)};
    }
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

struct slice headers_secret(const struct config_endpoint *ep, struct slice authorization)
{
    struct slice token;

    if (ep->key_mode != KEY_CLIENT)
        return ep->key_mode == KEY_OWN ? ep->secret : SLICE_NONE;
    (void)slice_cut(authorization, ' ', &token);
    return token.p != NULL ? slice_trim(token) : authorization;
}

size_t headers_up(const struct headers_ask *ask, struct arena *arena, struct header *out)
{
    enum key_mode mode = ask->endpoint->key_mode;
    size_t n = 0;

    out[n++] = (struct header){SLICE("Content-Type"), SLICE("application/json")};
    out[n++] = (struct header){SLICE("Accept"),
                               ask->stream ? SLICE("text/event-stream") : SLICE("application/json")};
    out[n++] = (struct header){SLICE("Accept-Encoding"), SLICE("identity")};
    out[n++] = (struct header){SLICE("User-Agent"), SLICE("tidegate")};
    out[n++] = (struct header){SLICE("X-Request-Id"), ask->request_id};
    out[n++] = (struct header){SLICE("X-Tidegate-Hops"), hops(ask->hops + 1)};
    if (mode == KEY_OWN)
        out[n++] = (struct header){SLICE("Authorization"), bearer(arena, ask->endpoint->secret)};
    else if (mode == KEY_CLIENT && ask->authorization.n > 0)
        out[n++] = (struct header){SLICE("Authorization"), ask->authorization};
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct slice v = http_header(ask->client, ask->client_n, ROWS[i].name);

        if (v.n > 0 && (ROWS[i].rule == FORWARD || mode == KEY_CLIENT))
            out[n++] = (struct header){slice_of(ROWS[i].name), v};
    }
    ASSERT(n <= HEADERS_UP_MAX);
    return n;
}
