/* SPDX-License-Identifier: MIT */
/* Rewriting a request that is larger than what the reserve has pieces for. */
#include "llm/request.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/reserve.h"
#include "tap.h"

#define BODY_MAX (64 * 1024 * 1024)

/* A chat of so many developers' messages and then one of so many letters. */
static void add_chat(struct buf *b, const char *role, size_t developers_n, size_t letters_n)
{
    CHECK_INT(buf_add(b, SLICE("{\"model\":\"m\",\"messages\":[")), ERR_OK);
    for (size_t i = 0; i < developers_n; i++)
        CHECK_INT(buf_printf(b, "{\"role\":\"%s\",\"content\":\"a\"},", role), ERR_OK);
    CHECK_INT(buf_add(b, SLICE("{\"role\":\"user\",\"content\":\"")), ERR_OK);
    CHECK_INT(buf_reserve(b, letters_n), ERR_OK);
    memset(b->p + b->n, 'x', letters_n);
    b->n += letters_n;
    CHECK_INT(buf_add(b, SLICE("\"}]}")), ERR_OK);
}

/* The pieces do not suffice, and there is no memory for all of it in one: nothing is left to be sent, and the
 * thread's shortage says why. */
TEST(without_memory_for_it_there_is_no_rewritten_body)
{
    struct request_edit edit = {.model = SLICE("z"), .no_developer = true};
    struct slice pieces[REQUEST_PIECES_MAX];
    struct request_fault fault;
    struct request request;
    struct arena arena;
    struct buf body, want;

    CHECK(reserve_open());
    buf_init(&body, BODY_MAX, NULL);
    buf_init(&want, BODY_MAX, NULL);
    add_chat(&body, "developer", REQUEST_PIECES_MAX, RESERVE_LARGE_BYTES);
    add_chat(&want, "system", REQUEST_PIECES_MAX, RESERVE_LARGE_BYTES);
    want.p[slice_find(buf_slice(&want), SLICE("\"m\"")) + 1] = 'z';
    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), buf_slice(&body), &arena, &request, &fault),
              ERR_OK);
    for (int refused = 1; refused >= 0; refused--) {
        uint64_t short_n = mem_short_n();
        size_t n, total;

        *mem_faults() = (struct mem_faults){.on = refused, .n = 1000};
        n = request_rewrite(&request, &edit, &arena, pieces, REQUEST_PIECES_MAX, &total);
        *mem_faults() = (struct mem_faults){.on = false};
        CHECK_INT(n, refused ? 0 : 1);
        CHECK_INT(mem_short_n() != short_n, refused);
        CHECK_MEM(pieces[0].p, n > 0 ? total : 0, want.p, n > 0 ? want.n : 0);
    }
    arena_fini(&arena);
    buf_fini(&body);
    buf_fini(&want);
    reserve_close();
}

/* The body rewritten with as many pieces as it should be given, without any memory for a copy. */
static void check_pieces(const struct buf *body, const struct buf *want)
{
    struct request_edit edit = {.model = SLICE("z"), .no_developer = true};
    struct request_fault fault;
    struct request read, request;
    struct slice *pieces;
    struct arena first, arena;
    size_t n, total, at = 0;

    arena_init(&first, NULL, 0, 4096);
    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), buf_slice(body), &first, &read, &fault), ERR_OK);
    request_move(&request, &read, buf_slice(body), &arena);
    arena_fini(&first);
    pieces = arena_alloc(&arena, request_pieces_max(&request) * sizeof *pieces);
    n = request_rewrite(&request, &edit, &arena, pieces, request_pieces_max(&request), &total);
    CHECK(n > REQUEST_PIECES_MAX && total == want->n);
    CHECK(arena.used_bytes < body->n / 4);
    for (size_t i = 0; i < n && at + pieces[i].n <= want->n; at += pieces[i].n, i++)
        CHECK(memcmp(want->p + at, pieces[i].p, pieces[i].n) == 0);
    CHECK_INT(at, want->n);
    arena_fini(&arena);
}

TEST(however_much_is_rewritten_a_large_body_is_not_copied)
{
    struct buf body, want;

    buf_init(&body, BODY_MAX, NULL);
    buf_init(&want, BODY_MAX, NULL);
    add_chat(&body, "developer", REQUEST_DEVELOPERS_MAX, RESERVE_LARGE_BYTES);
    add_chat(&want, "system", REQUEST_DEVELOPERS_MAX, RESERVE_LARGE_BYTES);
    want.p[slice_find(buf_slice(&want), SLICE("\"m\"")) + 1] = 'z';
    check_pieces(&body, &want);
    body.n = want.n = 0;
    CHECK_INT(buf_add(&body, SLICE("{")), ERR_OK);
    CHECK_INT(buf_add(&want, SLICE("{")), ERR_OK);
    for (int i = 0; i < 1000; i++) { /* of these only the last model stays */
        CHECK_INT(buf_printf(&body, "\"model\":\"m\",\"a%d\":\"%01000d\",", i, 0), ERR_OK);
        CHECK_INT(buf_printf(&want, "\"a%d\":\"%01000d\",", i, 0), ERR_OK);
    }
    CHECK_INT(buf_add(&body, SLICE("\"model\":\"m\",\"messages\":[{\"role\":\"developer\"}]}")), ERR_OK);
    CHECK_INT(buf_add(&want, SLICE("\"model\":\"z\",\"messages\":[{\"role\":\"system\"}]}")), ERR_OK);
    check_pieces(&body, &want);
    buf_fini(&body);
    buf_fini(&want);
}

/* Roles and messages that stand twice: what is renamed does not depend on the way the body was read. */
TEST(a_large_body_is_renamed_as_a_small_one)
{
    static const char *const rows[] = {
        "\"messages\":[{\"role\":\"user\",\"role\":\"developer\"}]",
        "\"messages\":[{\"role\":\"developer\",\"role\":\"user\"},{\"role\":\"developer\"}]",
        "\"messages\":[{\"role\":\"developer\"}],\"messages\":[{\"role\":\"user\"}]",
        "\"messages\":[{\"role\":\"developer\"}],\"b\":1,\"messages\":[{\"role\":\"developer\"}]",
        "\"messages\":[{\"content\":\"developer\",\"r\\u006fle\":\"develop\\u0065r\"},1,[]]",
    };
    struct request_edit edit = {.model = SLICE("m"), .no_developer = true};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_pool *pool = json_pool_new(16384);
        struct slice pieces[2][REQUEST_PIECES_MAX], body;
        struct request_fault fault;
        struct request request[2];
        struct arena arena;
        size_t n[2], total[2];
        char text[2][400];

        arena_init(&arena, NULL, 0, 4096);
        body = arena_printf(&arena, "{\"model\":\"m\",%s}", rows[i]);
        CHECK_INT(request_parse(surface_get(SURFACE_CHAT), body, pool, &arena, &request[0], &fault), ERR_OK);
        CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), body, &arena, &request[1], &fault), ERR_OK);
        for (int k = 0; k < 2; k++) {
            size_t at = 0;

            n[k] = request_rewrite(&request[k], &edit, &arena, pieces[k], REQUEST_PIECES_MAX, &total[k]);
            for (size_t p = 0; p < n[k]; at += pieces[k][p].n, p++)
                memcpy(text[k] + at, pieces[k][p].p, pieces[k][p].n);
        }
        CHECK_INT(request[0].has_developer, request[1].has_developer);
        CHECK_MEM(text[1], total[1], text[0], total[0]);
        arena_fini(&arena);
        json_pool_free(&pool);
    }
}

TEST(too_many_developers_in_a_large_body_are_refused)
{
    struct request_fault fault;
    struct request request;
    struct arena arena;
    struct buf body;

    buf_init(&body, BODY_MAX, NULL);
    arena_init(&arena, NULL, 0, 4096);
    add_chat(&body, "developer", REQUEST_DEVELOPERS_MAX + 1, 1);
    CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), buf_slice(&body), &arena, &request, &fault),
              ERR_BAD_FIELD);
    CHECK_STR(fault.param, "messages");
    arena_fini(&arena);
    buf_fini(&body);
}
