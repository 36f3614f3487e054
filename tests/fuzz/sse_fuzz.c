/* SPDX-License-Identifier: MIT */
/* An event stream: cut anywhere it is the same events; each of them is read as every surface and dialect
 * would, and stripped of its usage without becoming something else. */
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "http/sse.h"
#include "llm/answer.h"

#define LOG_MAX ((size_t)1 << 22)
#define EVENT_MAX 1024

struct reading {
    struct sse sse;
    struct buf log;
    struct json_pool *pool; /* NULL: events are only noted */
    uint8_t pick;
    bool at_bound; /* an event was shown that an LF behind its last CR would have made too large */
};

static void check_stripped(struct reading *r, struct slice data)
{
    struct answer_opts o = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)};
    struct arena arena;
    struct event before, after;
    struct slice stripped;

    answer_event(&o, data, r->pool, &before);
    if (before.kind == EVENT_MALFORMED || before.kind == EVENT_DONE)
        return;
    arena_init(&arena, NULL, 0, 1024);
    stripped = answer_strip_usage(data, &arena);
    answer_event(&o, stripped, r->pool, &after);
    FUZZ_CHECK(!after.usage_member && !after.has_usage && after.kind != EVENT_MALFORMED);
    FUZZ_CHECK(before.has_text == after.has_text && before.finished == after.finished);
    FUZZ_CHECK(before.usage_member || (stripped.p == data.p && stripped.n == data.n));
    arena_fini(&arena);
}

static void look(struct reading *r, struct slice data)
{
    struct answer_opts o = {surface_get((enum surface_id)(r->pick % SURFACE_N)),
                            dialect_get((enum dialect_id)(r->pick / SURFACE_N % DIALECT_N))};
    struct event e;

    if (!o.surface->streams)
        return;
    answer_event(&o, data, r->pool, &e);
    FUZZ_CHECK(e.error_status == 0 || (e.error_status >= 400 && e.error_status <= 599));
    FUZZ_CHECK(memchr(e.error_text, '\0', sizeof e.error_text) != NULL);
    FUZZ_CHECK(!e.plain_stop || e.finished);
    FUZZ_CHECK(!e.has_usage || e.usage_member || o.surface->id != SURFACE_CHAT);
    check_stripped(r, data);
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    struct reading *r = ud;
    size_t n = ev->raw.n - slice_ends(ev->raw, SLICE("\r\n"));

    FUZZ_CHECK(ev->raw.n <= EVENT_MAX);
    r->at_bound = r->at_bound || (n == EVENT_MAX && ev->raw.p[n - 1] == '\r');
    FUZZ_CHECK(buf_printf(&r->log, "[%d ", ev->plain) == ERR_OK);
    FUZZ_CHECK(buf_add(&r->log, (struct slice){ev->raw.p, n}) == ERR_OK);
    FUZZ_CHECK(buf_add(&r->log, ev->data) == ERR_OK && buf_add(&r->log, SLICE("|")) == ERR_OK);
    FUZZ_CHECK(buf_add(&r->log, ev->event) == ERR_OK && buf_add(&r->log, ev->id) == ERR_OK);
    if (ev->plain)
        FUZZ_CHECK(slice_starts(ev->raw, SLICE("data: ")) && ev->raw.n > 6 + ev->data.n);
    if (r->pool != NULL && ev->data.p != NULL)
        look(r, ev->data);
    return ERR_OK;
}

static enum err run(struct reading *r, struct slice bytes, uint8_t how, struct json_pool *pool)
{
    struct rng dice;
    enum err e = ERR_OK;

    *r = (struct reading){.pool = pool, .pick = how};
    rng_seed(&dice, how);
    sse_init(&r->sse, EVENT_MAX, NULL);
    buf_init(&r->log, LOG_MAX, NULL);
    while (bytes.n > 0 && e == ERR_OK) {
        struct slice piece = fuzz_piece(&bytes, how, &dice);
        char *copy = fuzz_copy(piece);

        e = sse_feed(&r->sse, (struct slice){copy, piece.n}, on_event, r);
        free(copy);
    }
    return e;
}

/* An event whose last CR was the last byte fed is shown without the LF that may follow it. The log leaves
 * that LF out; what is left is an event just within the bound, which its LF, when it comes along, makes too
 * large. */
static void check_same(struct reading *whole, enum err a, struct reading *cut, enum err b)
{
    struct slice one = buf_slice(&whole->log), other = buf_slice(&cut->log);

    if (a == ERR_TOO_LARGE && cut->at_bound) {
        FUZZ_CHECK(slice_starts(other, one));
        return;
    }
    if (b == ERR_TOO_LARGE && whole->at_bound) {
        FUZZ_CHECK(slice_starts(one, other));
        return;
    }
    FUZZ_CHECK(a == b && slice_eq(one, other));
    FUZZ_CHECK(a != ERR_OK || sse_unfinished(&whole->sse) == sse_unfinished(&cut->sse));
    FUZZ_CHECK(a != ERR_OK || whole->sse.comment_bytes == cut->sse.comment_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct json_pool *pool;
    struct slice bytes = {(const char *)data, n};
    uint8_t how = fuzz_byte(&bytes);
    struct reading whole, cut;
    enum err a, b;

    if (pool == NULL)
        pool = json_pool_new(4096);
    a = run(&whole, bytes, 0, NULL);
    b = run(&cut, bytes, how > 0 ? how : 1, pool);
    check_same(&whole, a, &cut, b);
    sse_fini(&whole.sse);
    sse_fini(&cut.sse);
    buf_fini(&whole.log);
    buf_fini(&cut.log);
    return 0;
}
