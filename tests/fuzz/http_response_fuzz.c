/* SPDX-License-Identifier: MIT */
/* An endpoint's bytes as the answer to a request. However they are cut, the reader says the same, and it
 * calls a response complete exactly once or not at all. */
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "http/client.h"

#define LOG_MAX ((size_t)1 << 22)
#define HEAD_MAX 2048

struct reading {
    struct buf log;
    int64_t announced; /* Content-Length; -1: none */
    int status;
    uint64_t body_n;
    bool head, ended;
    enum err err, eof;
    bool complete, reuse;
};

static void note(struct reading *r, const char *what, struct slice s)
{
    FUZZ_CHECK(buf_printf(&r->log, "%s %zu ", what, s.n) == ERR_OK && buf_add(&r->log, s) == ERR_OK);
}

static enum err on_head(void *ud, const struct http_response *rs)
{
    struct reading *r = ud;

    FUZZ_CHECK(!r->head && rs->status >= 200 && rs->status <= 599);
    r->head = true;
    r->status = rs->status;
    r->announced = rs->content_length;
    FUZZ_CHECK(buf_printf(&r->log, "head %d %lld %d %d %d ", rs->status, (long long)rs->content_length,
                          rs->minor, rs->chunked, rs->keep_alive) == ERR_OK);
    for (size_t i = 0; i < rs->headers_n; i++) {
        note(r, "name", rs->headers[i].name);
        note(r, "value", rs->headers[i].value);
    }
    return ERR_OK;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct reading *r = ud;

    FUZZ_CHECK(r->head && !r->ended);
    r->body_n += bytes.n;
    return buf_add(&r->log, bytes);
}

static void on_end(void *ud)
{
    struct reading *r = ud;

    FUZZ_CHECK(r->head && !r->ended);
    r->ended = true;
    note(r, "end", SLICE_NONE);
}

static const struct client_cb CB = {on_head, on_body, on_end};

static void run(struct reading *r, struct slice bytes, uint8_t how, bool no_body)
{
    struct client *c = client_new(HEAD_MAX, NULL, &CB, r);
    struct rng dice;

    FUZZ_CHECK(c != NULL);
    *r = (struct reading){.announced = -1, .eof = ERR_OK};
    rng_seed(&dice, how);
    buf_init(&r->log, LOG_MAX, NULL);
    if (no_body)
        client_expect_no_body(c);
    while (bytes.n > 0 && r->err == ERR_OK) {
        struct slice piece = fuzz_piece(&bytes, how, &dice);
        char *copy = fuzz_copy(piece);

        r->err = client_feed(c, (struct slice){copy, piece.n});
        free(copy);
    }
    if (r->err == ERR_OK && !client_complete(c))
        r->eof = client_eof(c);
    r->complete = client_complete(c);
    r->reuse = client_can_reuse(c);
    client_free(&c);
}

static bool has_body(const struct reading *r, uint8_t how)
{
    return (how & 128) == 0 && r->status != 204 && r->status != 304;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice bytes = {(const char *)data, n};
    uint8_t how = fuzz_byte(&bytes);
    struct reading whole, cut;

    run(&whole, bytes, 0, (how & 128) != 0);
    run(&cut, bytes, how == 0 || how == 128 ? 1 : how, (how & 128) != 0);
    FUZZ_CHECK(whole.err == cut.err && whole.eof == cut.eof);
    FUZZ_CHECK(slice_eq(buf_slice(&whole.log), buf_slice(&cut.log)));
    FUZZ_CHECK(whole.complete == cut.complete && whole.ended == cut.ended);
    FUZZ_CHECK(whole.err != ERR_OK || whole.ended == whole.complete);
    if (whole.complete && has_body(&whole, how) && whole.announced >= 0)
        FUZZ_CHECK(whole.body_n == (uint64_t)whole.announced);
    FUZZ_CHECK(!whole.head || has_body(&whole, how) || whole.body_n == 0);
    FUZZ_CHECK(!whole.reuse || (whole.complete && whole.err == ERR_OK));
    buf_fini(&whole.log);
    buf_fini(&cut.log);
    return 0;
}
