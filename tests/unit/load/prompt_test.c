/* SPDX-License-Identifier: MIT */
/* Bodies: valid JSON of the chosen length, no two alike, alike where they were asked to be. */
#include "load/prompt.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "tap.h"

#define BODY_MAX ((size_t)4 << 20)

struct desk {
    struct prompts prompts;
    struct buf body;
    struct json_doc *doc;
};

static void desk_init(struct desk *d, const struct prompt_opts *o)
{
    prompts_init(&d->prompts, o);
    buf_init(&d->body, BODY_MAX, NULL);
    d->doc = NULL;
}

static void desk_fini(struct desk *d)
{
    json_free(&d->doc);
    buf_fini(&d->body);
    prompts_fini(&d->prompts);
}

/* The body of `a` as JSON, until the next one. */
static struct json_value desk_write(struct desk *d, const struct arrival *a)
{
    const char *why = "";

    json_free(&d->doc);
    d->body.n = 0;
    CHECK_INT(prompts_write(&d->prompts, a, &d->body), ERR_OK);
    if (!CHECK_INT(json_parse(buf_slice(&d->body), NULL, &d->doc, &why), ERR_OK)) {
        printf("# %s: %.*s\n", why, SLICE_ARG(buf_slice(&d->body)));
        exit(1);
    }
    return json_root(d->doc);
}

static struct slice prompt_of(struct json_value root)
{
    return json_string(json_get(json_at(json_get(root, "messages"), 0), "content"));
}

static const struct prompt_opts PLAIN = {
    .seed = 1, .model = {"m", 1}, .length_field = "max_tokens", .shared_tokens = 64};

TEST(a_body_says_what_was_chosen)
{
    struct prompt_opts o = PLAIN;
    struct desk d;
    struct json_value v;

    o.more = SLICE(",\"temperature\":0,\"user\":\"u\"");
    desk_init(&d, &o);
    v = desk_write(&d,
                   &(struct arrival){.prompt_tokens = 100, .answer_tokens = 9, .stream = true, .shared = -1});
    CHECK(slice_eq(json_string(json_get(v, "model")), SLICE("m")));
    CHECK_INT(json_int(json_get(v, "max_tokens"), 0), 9);
    CHECK(json_true(json_get(v, "stream")));
    CHECK_INT(json_int(json_get(v, "temperature"), 1), 0);
    CHECK_INT(json_count(v), 6);
    CHECK_INT(prompt_of(v).n, 400);
    v = desk_write(&d, &(struct arrival){.prompt_tokens = 100, .shared = -1});
    CHECK(json_is_absent(json_get(v, "stream")) && json_is_absent(json_get(v, "max_tokens")));
    desk_fini(&d);

    o = PLAIN;
    o.length_field = NULL;
    desk_init(&d, &o);
    v = desk_write(&d, &(struct arrival){.prompt_tokens = 100, .answer_tokens = 9, .shared = -1});
    CHECK_INT(json_count(v), 2);
    desk_fini(&d);
}

TEST(the_length_can_stand_in_the_models_name)
{
    static const struct {
        const char *model, *want;
    } CASES[] = {{"any~tokens={answer},gap=0", "any~tokens=12,gap=0"},
                 {"{answer}", "12"},
                 {"a\"b\\{answer}\n", "a\"b\\12\n"},
                 {"plain \"name\"", "plain \"name\""},
                 {"{answer}{answer}", "12{answer}"}};

    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct prompt_opts o = PLAIN;
        struct desk d;
        struct json_value v;

        o.model = slice_of(CASES[i].model);
        desk_init(&d, &o);
        v = desk_write(&d, &(struct arrival){.prompt_tokens = 10, .answer_tokens = 12, .shared = -1});
        if (!CHECK(slice_eq(json_string(json_get(v, "model")), slice_of(CASES[i].want))))
            printf("# %s\n", CASES[i].model);
        desk_fini(&d);
    }
}

TEST(prompts_have_their_length_and_are_never_alike)
{
    static const uint32_t TOKENS[] = {1, 3, 10, 11, 100, 4096, 5000, 100000};
    struct desk d;
    struct map seen;
    struct arena arena;

    desk_init(&d, &PLAIN);
    map_init(&seen);
    arena_init(&arena, NULL, 0, 65536);
    for (uint64_t i = 0; i < 4000; i++) {
        struct arrival a = {.number = i, .prompt_tokens = TOKENS[i % (i < 100 ? 8 : 5)], .shared = -1};
        struct slice prompt = prompt_of(desk_write(&d, &a)),
                     begin = {prompt.p, prompt.n < 24 ? prompt.n : 24};
        size_t want = (size_t)a.prompt_tokens * 4;

        if (prompt.n != want && !(want < 24 && prompt.n < 30))
            CHECK_INT(prompt.n, want);
        if (map_put(&seen, arena_dup(&arena, begin), &seen) != NULL) /* already their beginnings differ */
            CHECK(false);
    }
    CHECK_INT(seen.n, 4000);
    map_fini(&seen);
    arena_fini(&arena);
    desk_fini(&d);
}

static size_t common(struct slice a, struct slice b)
{
    size_t n = 0;

    while (n < a.n && n < b.n && a.p[n] == b.p[n])
        n++;
    return n;
}

static struct slice copy_of(struct arena *arena, struct desk *d, const struct arrival *a)
{
    return arena_dup(arena, prompt_of(desk_write(d, a)));
}

TEST(shared_beginnings)
{
    struct desk d;
    struct arena arena;
    struct slice a, b, c;

    arena_init(&arena, NULL, 0, 65536);
    desk_init(&d, &PLAIN);
    a = copy_of(&arena, &d, &(struct arrival){.number = 1, .prompt_tokens = 200, .shared = 0});
    b = copy_of(&arena, &d, &(struct arrival){.number = 2, .prompt_tokens = 100, .shared = 0});
    c = copy_of(&arena, &d, &(struct arrival){.number = 3, .prompt_tokens = 200, .shared = 1});
    CHECK(common(a, b) >= 64 * 4 && common(a, b) < 64 * 4 + 24);
    CHECK(common(a, c) < 30);
    CHECK_INT(a.n, 800);
    CHECK_INT(b.n, 400);
    b = copy_of(&arena, &d, &(struct arrival){.number = 4, .prompt_tokens = 20, .shared = 0}); /* cut */
    CHECK_INT(b.n, 80);
    CHECK(common(a, b) > 40 && common(a, b) < 80);
    desk_fini(&d);
    arena_fini(&arena);
}

TEST(blocks_of_a_trace_are_shared_as_their_ids_say)
{
    static const uint32_t ONE[] = {5, 6, 7}, TWO[] = {5, 6, 8}, THREE[] = {4, 6, 7};
    struct desk d;
    struct arena arena;
    struct slice a, b, c, e;

    arena_init(&arena, NULL, 0, 65536);
    desk_init(&d, &PLAIN);
    a = copy_of(
        &arena, &d,
        &(struct arrival){.number = 1, .prompt_tokens = 1400, .blocks = ONE, .blocks_n = 3, .shared = -1});
    b = copy_of(
        &arena, &d,
        &(struct arrival){.number = 2, .prompt_tokens = 1300, .blocks = TWO, .blocks_n = 3, .shared = -1});
    c = copy_of(
        &arena, &d,
        &(struct arrival){.number = 3, .prompt_tokens = 1400, .blocks = THREE, .blocks_n = 3, .shared = -1});
    e = copy_of(
        &arena, &d,
        &(struct arrival){
            .number = 4, .prompt_tokens = 1400, .blocks = ONE, .blocks_n = 3, .copy = 1, .shared = -1});
    CHECK_INT(a.n, 5600);
    CHECK_INT(b.n, 5200);
    CHECK(common(a, b) >= 4096 && common(a, b) < 4096 + 40);
    CHECK(common(a, c) < 40);
    CHECK(slice_eq((struct slice){a.p + 2048, 2048},
                   (struct slice){c.p + 2048, 2048})); /* block 6 is block 6 */
    CHECK(common(a, e) < 40);
    CHECK(!slice_eq(a, copy_of(&arena, &d,
                               &(struct arrival){.number = 9,
                                                 .prompt_tokens = 1400,
                                                 .blocks = ONE,
                                                 .blocks_n = 3,
                                                 .shared = -1}))); /* all blocks alike, and yet another */
    desk_fini(&d);
    arena_fini(&arena);
}

TEST(a_seed_repeats_every_byte)
{
    struct prompt_opts o = PLAIN;
    struct desk one, two, other;
    struct arrival a = {.number = 3, .prompt_tokens = 500, .answer_tokens = 5, .shared = -1};

    desk_init(&one, &o);
    desk_init(&two, &o);
    o.seed = 2;
    desk_init(&other, &o);
    desk_write(&one, &a);
    desk_write(&two, &a);
    desk_write(&other, &a);
    CHECK(slice_eq(buf_slice(&one.body), buf_slice(&two.body)));
    CHECK(!slice_eq(buf_slice(&one.body), buf_slice(&other.body)));
    desk_fini(&one);
    desk_fini(&two);
    desk_fini(&other);
}

TEST(what_does_not_fit_is_said)
{
    struct desk d;

    desk_init(&d, &PLAIN);
    buf_fini(&d.body);
    buf_init(&d.body, 1000, NULL);
    CHECK_INT(prompts_write(&d.prompts, &(struct arrival){.prompt_tokens = 300, .shared = -1}, &d.body),
              ERR_TOO_LARGE);
    desk_fini(&d);
}
