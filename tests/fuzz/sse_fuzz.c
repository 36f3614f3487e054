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
    size_t max_bytes;
    enum err err;
};

static void check_stripped(struct reading *r, struct slice data)
{
    struct answer_opts o = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)};
    struct arena arena;
    struct event before, after;
    struct slice stripped, searched;

    answer_event(&o, data, r->pool, &before);
    if (before.kind == EVENT_MALFORMED || before.kind == EVENT_DONE)
        return;
    arena_init(&arena, NULL, 0, 1024);
    stripped = answer_strip_usage(data, before.usage_behind, &arena);
    searched = answer_strip_usage(data, 0, &arena);
    FUZZ_CHECK(slice_eq(stripped, searched));
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

    FUZZ_CHECK(ev->raw.n <= r->max_bytes);
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

static void run(struct reading *r, struct slice bytes, uint8_t how)
{
    struct rng dice;

    rng_seed(&dice, how);
    sse_init(&r->sse, r->max_bytes, NULL);
    buf_init(&r->log, LOG_MAX, NULL);
    while (bytes.n > 0 && r->err == ERR_OK) {
        struct slice piece = fuzz_piece(&bytes, how, &dice);
        char *copy = fuzz_copy(piece);

        r->err = sse_feed(&r->sse, (struct slice){copy, piece.n}, on_event, r);
        free(copy);
    }
}

static void end(struct reading *r)
{
    sse_fini(&r->sse);
    buf_fini(&r->log);
}

/* An event whose last CR was the last byte fed is shown without the LF that may follow it. The log leaves
 * that LF out; but when the event is just within the bound, its LF, if it comes along, makes it too large.
 * Then a bound that is larger by that byte shows at least as much. */
static bool is_by_an_lf(const struct reading *refused, const struct reading *other, struct slice bytes,
                        uint8_t how)
{
    struct reading again = {.max_bytes = EVENT_MAX + 1};
    bool shown;

    if (refused->err != ERR_TOO_LARGE || slice_find(bytes, SLICE("\r\n")) < 0 ||
        !slice_starts(buf_slice(&other->log), buf_slice(&refused->log)))
        return false;
    run(&again, bytes, how);
    shown = slice_starts(buf_slice(&again.log), buf_slice(&other->log));
    end(&again);
    return shown;
}

static bool is_same(const struct reading *a, const struct reading *b)
{
    if (a->err != b->err || !slice_eq(buf_slice(&a->log), buf_slice(&b->log)))
        return false;
    return a->err != ERR_OK || (sse_unfinished(&a->sse) == sse_unfinished(&b->sse) &&
                                a->sse.comment_bytes == b->sse.comment_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct json_pool *pool;
    struct slice bytes = {(const char *)data, n};
    uint8_t how = fuzz_byte(&bytes), cuts = how > 0 ? how : 1;
    struct reading whole = {.max_bytes = EVENT_MAX}, cut = {.max_bytes = EVENT_MAX, .pick = cuts};

    if (pool == NULL)
        pool = json_pool_new(4096);
    cut.pool = pool;
    run(&whole, bytes, 0);
    run(&cut, bytes, cuts);
    if (!is_same(&whole, &cut))
        FUZZ_CHECK(is_by_an_lf(&whole, &cut, bytes, 0) || is_by_an_lf(&cut, &whole, bytes, cuts));
    end(&whole);
    end(&cut);
    return 0;
}
