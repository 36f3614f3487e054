/* SPDX-License-Identifier: MIT */
/* A request's body on any surface: the reader with a document and the one without agree, and what is written
 * for an endpoint is JSON that says the same but for what was to change. */
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "llm/request.h"

#define BODY_MAX ((size_t)1 << 22)

/* The next member that no rewriting is about. */
static bool next_other(struct members *walk, struct member *out)
{
    while (members_next(walk, out))
        if (!member_resembles(out, SLICE("model")) && !member_is(out, SLICE("stream")) &&
            !member_is(out, SLICE("stream_options")))
            return true;
    return false;
}

/* They pass byte for byte and in order; messages alone may change, where a role does. */
static void check_others(struct slice before, struct slice after, bool role_changes)
{
    struct members a, b;
    struct member m, k;

    members_init(&a, before);
    members_init(&b, after);
    while (next_other(&a, &m)) {
        FUZZ_CHECK(next_other(&b, &k) && slice_eq(m.name, k.name));
        FUZZ_CHECK(slice_eq(m.value, k.value) || (role_changes && member_is(&m, SLICE("messages"))));
    }
    FUZZ_CHECK(!next_other(&b, &k));
}

static void check_rewritten(const struct request *r, struct slice text, const struct request_edit *edit)
{
    struct json_doc *doc;
    struct json_value root;

    FUZZ_CHECK(json_parse(text, NULL, &doc, NULL) == ERR_OK);
    root = json_root(doc);
    FUZZ_CHECK(slice_eq(json_string(json_get(root, "model")), edit->model));
    FUZZ_CHECK(json_true(json_get(root, "stream")) == r->stream || !r->surface->streams);
    check_others(r->body, text, edit->no_developer && r->has_developer);
    if (edit->ask_usage && r->stream && r->surface->asks_usage)
        FUZZ_CHECK(json_true(json_get(json_get(root, "stream_options"), "include_usage")));
    json_free(&doc);
}

static void rewrite(const struct request *r, struct arena *arena, uint8_t how)
{
    struct request_edit edit = {.model = SLICE("other-model"),
                                .no_developer = (how & 64) != 0,
                                .ask_usage = (how & 32) != 0 && r->surface->asks_usage};
    struct slice pieces[REQUEST_PIECES_MAX];
    size_t total, n = request_rewrite(r, &edit, arena, pieces, REQUEST_PIECES_MAX, &total);
    struct buf out;

    FUZZ_CHECK(n <= REQUEST_PIECES_MAX);
    buf_init(&out, BODY_MAX, NULL);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(buf_add(&out, pieces[i]) == ERR_OK);
    FUZZ_CHECK(out.n == total);
    check_rewritten(r, buf_slice(&out), &edit);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct json_pool *pool;
    struct slice bytes = {(const char *)data, n};
    uint8_t how = fuzz_byte(&bytes);
    const struct surface *surface = surface_get((enum surface_id)(how % SURFACE_N));
    struct request a, b;
    struct request_fault why_a, why_b;
    struct arena arena;
    struct estimate estimate;
    enum err e, f;
    char *copy = fuzz_copy(bytes);

    if (pool == NULL)
        pool = json_pool_new(8192);
    bytes.p = copy;
    arena_init(&arena, NULL, 0, 4096);
    e = request_parse(surface, bytes, pool, &arena, &a, &why_a);
    f = request_parse_large(surface, bytes, &arena, &b, &why_b);
    /* A number past every double and too many members are the two verdicts that may differ. */
    if (e == ERR_OK && f == ERR_OK) {
        FUZZ_CHECK(slice_eq(a.model, b.model) && a.stream == b.stream && a.n == b.n);
        FUZZ_CHECK(a.include_usage == b.include_usage && a.has_tools == b.has_tools);
        FUZZ_CHECK(a.has_developer == b.has_developer && a.doubled == b.doubled);
        estimate_request(bytes, &estimate);
        FUZZ_CHECK(estimate.prompt == b.estimate->prompt && estimate.choices == b.estimate->choices);
        FUZZ_CHECK(estimate.prompt >= 0 && estimate.choices >= 1 && estimate.answer_max >= -1);
        rewrite(&a, &arena, how);
        rewrite(&b, &arena, how);
    } else if (e == ERR_OK) {
        FUZZ_CHECK(f == ERR_BAD_FIELD && bytes.n > 4096);
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
