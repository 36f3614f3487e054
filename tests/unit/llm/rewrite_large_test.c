/* SPDX-License-Identifier: MIT */
/* Rewriting a request that is larger than what the reserve has pieces for. */
#include "llm/request.h"

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
