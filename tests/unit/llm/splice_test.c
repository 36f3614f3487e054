/* SPDX-License-Identifier: MIT */
/* Rewriting requests: exact bytes for chosen bodies, and a model of the edits for thousands of random ones.
 */
#include "llm/splice.h"

#include "base/buf.h"
#include "base/rng.h"
#include "llm/request.h"

#include "tap.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static struct slice join(const struct slice *pieces, size_t n, struct arena *arena)
{
    size_t total = 0, at = 0;
    char *p;

    for (size_t i = 0; i < n; i++)
        total += pieces[i].n;
    p = arena_bytes(arena, total + 1);
    for (size_t i = 0; i < n; i++) {
        memcpy(p + at, pieces[i].p, pieces[i].n);
        at += pieces[i].n;
    }
    return (struct slice){p, total};
}

/* The same, read as a large body is and moved to another arena: rewritten along its index. */
static void check_large(struct slice body, const struct request_edit *edit, size_t max, struct slice want)
{
    struct slice pieces[REQUEST_PIECES_MAX], got;
    struct request read, request;
    struct request_fault fault;
    struct arena first, arena;
    size_t n, total;

    arena_init(&first, NULL, 0, 4096);
    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), body, &first, &read, &fault), ERR_OK);
    request_move(&request, &read, body, &arena);
    arena_fini(&first);
    n = request_rewrite(&request, edit, &arena, pieces, max, &total);
    got = join(pieces, n, &arena);
    CHECK_MEM(got.p, got.n, want.p, want.n);
    arena_fini(&arena);
}

/* The rewritten body, made with at most `max` pieces, in the arena. */
static struct slice rewrite(struct slice body, const struct request_edit *edit, size_t max,
                            struct arena *arena)
{
    struct json_pool *pool = json_pool_new(4096);
    char *copy = tap_guard(body.p, body.n);
    struct slice pieces[REQUEST_PIECES_MAX], result;
    struct request request;
    struct request_fault fault;
    size_t n, total;

    CHECK_INT(
        request_parse(surface_get(SURFACE_CHAT), (struct slice){copy, body.n}, pool, arena, &request, &fault),
        ERR_OK);
    n = request_rewrite(&request, edit, arena, pieces, max, &total);
    CHECK(n >= 1 && n <= max);
    result = join(pieces, n, arena);
    CHECK_INT(result.n, total);
    check_large((struct slice){copy, body.n}, edit, max, result);
    tap_guard_free(copy, body.n);
    json_pool_free(&pool);
    return result;
}

static void check_edit(const char *body, const struct request_edit *edit, const char *want)
{
    struct arena arena;

    arena_init(&arena, NULL, 0, 4096);
    for (size_t max = 1; max <= REQUEST_PIECES_MAX; max++) {
        struct slice got = rewrite(slice_of(body), edit, max, &arena);

        if (!CHECK_MEM(got.p, got.n, want, strlen(want)))
            break;
    }
    arena_fini(&arena);
}

TEST(an_unchanged_body_is_one_piece_of_the_clients_bytes)
{
    static const char body[] = " {\"model\":\"m\", " MESSAGES ", \"x\" : 1.50 }\n";
    struct json_pool *pool = json_pool_new(4096);
    struct request_edit edit = {.model = SLICE("m"), .ask_usage = true};
    struct slice pieces[REQUEST_PIECES_MAX];
    struct request_fault fault;
    struct arena arena;
    struct request request;
    size_t total;

    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(request_parse(surface_get(SURFACE_CHAT), SLICE(body), pool, &arena, &request, &fault), ERR_OK);
    CHECK_INT(request_rewrite(&request, &edit, &arena, pieces, REQUEST_PIECES_MAX, &total), 1);
    CHECK(pieces[0].p == body && pieces[0].n == sizeof body - 1 && total == sizeof body - 1);
    arena_fini(&arena);
    json_pool_free(&pool);
}

TEST(replaces_the_model)
{
    struct request_edit edit = {.model = SLICE("other-name")};

    check_edit("{\"model\":\"m\"," MESSAGES "}", &edit, "{\"model\":\"other-name\"," MESSAGES "}");
    check_edit(" { " MESSAGES " , \"model\" : \"m\" } ", &edit,
               " { " MESSAGES " , \"model\" : \"other-name\" } ");
    check_edit("{\"mod\\u0065l\":\"m\"," MESSAGES "}", &edit,
               "{\"mod\\u0065l\":\"other-name\"," MESSAGES "}");
    edit.model = SLICE("a\"b\\c\n\303\274");
    check_edit("{\"model\":\"m\"," MESSAGES "}", &edit,
               "{\"model\":\"a\\\"b\\\\c\\n\303\274\"," MESSAGES "}");
    edit.model = SLICE_NONE; /* the client's own */
    check_edit("{\"model\":\"\\u006d\"," MESSAGES "}", &edit, "{\"model\":\"m\"," MESSAGES "}");
}

TEST(leaves_no_second_model_behind)
{
    struct request_edit edit = {.model = SLICE("z")};

    check_edit("{\"model\":\"a\"," MESSAGES ",\"model\":\"b\"}", &edit, "{" MESSAGES ",\"model\":\"z\"}");
    check_edit("{\"model\":\"a\",\"mod\\u0065l\":\"b\", \"model\":\"c\" ," MESSAGES "}", &edit,
               "{\"model\":\"z\" ," MESSAGES "}");
    check_edit("{" MESSAGES ",\"model\":\"a\",\"MODEL\":\"b\",\"x\":1,\"Mod\\u0065l\":[\"c\"]}", &edit,
               "{" MESSAGES ",\"model\":\"z\",\"x\":1}");
    check_edit("{\"mOdel\":\"a\",\"model\":\"b\"," MESSAGES "}", &edit, "{\"model\":\"z\"," MESSAGES "}");
    check_edit("{\"x\":{\"model\":\"kept\"},\"model\":\"a\"," MESSAGES "}", &edit,
               "{\"x\":{\"model\":\"kept\"},\"model\":\"z\"," MESSAGES "}");
}

TEST(only_the_stream_that_was_read_is_passed_on)
{
    struct request_edit edit = {.model = SLICE("m"), .ask_usage = true};

    check_edit("{\"stream\":true,\"model\":\"m\",\"stream\":false," MESSAGES "}", &edit,
               "{\"model\":\"m\",\"stream\":false," MESSAGES "}");
    check_edit("{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"stream\":true," MESSAGES
               ",\"stream_options\":{\"a\":1}}",
               &edit,
               "{\"model\":\"m\",\"stream\":true," MESSAGES
               ",\"stream_options\":{\"a\":1,\"include_usage\":true}}");
}

TEST(sets_replace_or_are_added)
{
    const struct request_set sets[] = {{SLICE("thinking"), SLICE("{\"type\":\"disabled\"}")},
                                       {SLICE("top_p"), SLICE("1")}};
    struct request_edit edit = {.model = SLICE("m"), .sets = sets, .sets_n = 2};

    check_edit("{\"model\":\"m\"," MESSAGES "}", &edit,
               "{\"model\":\"m\"," MESSAGES ",\"thinking\":{\"type\":\"disabled\"},\"top_p\":1}");
    check_edit("{\"thinking\":{\"type\":\"enabled\"},\"model\":\"m\"," MESSAGES
               ",\"thinking\":null, \"top_p\":0.5 }",
               &edit, "{\"thinking\":{\"type\":\"disabled\"},\"model\":\"m\"," MESSAGES ", \"top_p\":1 }");
    check_edit("{\"model\":\"m\"," MESSAGES ",\"think\\u0069ng\":1,\"top_p\":2,\"top_p\":3 }", &edit,
               "{\"model\":\"m\"," MESSAGES ",\"think\\u0069ng\":{\"type\":\"disabled\"},\"top_p\":1 }");
}

TEST(sets_cannot_touch_what_the_gateway_acts_on)
{
    const struct request_set sets[] = {{SLICE("model"), SLICE("\"x\"")},
                                       {SLICE("stream"), SLICE("true")},
                                       {SLICE("stream_options"), SLICE("null")},
                                       {SLICE("a"), SLICE("1")},
                                       {SLICE("a"), SLICE("2")}};
    struct request_edit edit = {.model = SLICE("m"), .sets = sets, .sets_n = 5};

    check_edit("{\"model\":\"m\"," MESSAGES "}", &edit, "{\"model\":\"m\"," MESSAGES ",\"a\":2}");
    check_edit("{\"model\":\"m\"," MESSAGES ",\"a\":0}", &edit, "{\"model\":\"m\"," MESSAGES ",\"a\":2}");
}

/* What asking for usage makes of every form of stream_options. */
static const char *const options[][2] = {
    {"null", "{\"include_usage\":true}"},
    {"{}", "{\"include_usage\":true}"},
    {"{ }", "{\"include_usage\":true }"},
    {"{\"a\":[1,{\"b\":\"}\"}]}", "{\"a\":[1,{\"b\":\"}\"}],\"include_usage\":true}"},
    {"{\"include_usage\":false}", "{\"include_usage\":true}"},
    {"{\"include_usage\" : null , \"x\":1}", "{\"include_usage\" : true , \"x\":1}"},
    {"{\"x\":1,\"include_us\\u0061ge\":false}", "{\"x\":1,\"include_us\\u0061ge\":true}"},
    {"{\"include_usage\":true,\"x\":1,\"include_usage\":false}", "{\"include_usage\":true,\"x\":1}"},
    {"{\"x\":{\"include_usage\":false}}", "{\"x\":{\"include_usage\":false},\"include_usage\":true}"},
    {"{\"include_usage\":true}", "{\"include_usage\":true}"},
    {"{ \"include_usage\" : true, \"include_obfuscation\":false }",
     "{ \"include_usage\" : true, \"include_obfuscation\":false }"},
};
#define OPTIONS_N (sizeof options / sizeof options[0])

TEST(asks_a_stream_for_its_usage)
{
    struct request_edit edit = {.model = SLICE("m"), .ask_usage = true};
    char body[400], want[400];

    for (size_t i = 0; i < OPTIONS_N; i++) {
        snprintf(body, sizeof body, "{\"model\":\"m\",\"stream_options\": %s ,%s,\"stream\":true}",
                 options[i][0], MESSAGES);
        snprintf(want, sizeof want, "{\"model\":\"m\",\"stream_options\": %s ,%s,\"stream\":true}",
                 options[i][1], MESSAGES);
        check_edit(body, &edit, want);
    }
    check_edit("{\"model\":\"m\"," MESSAGES ",\"stream\":true}", &edit,
               "{\"model\":\"m\"," MESSAGES ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    check_edit("{\"model\":\"m\"," MESSAGES "}", &edit, "{\"model\":\"m\"," MESSAGES "}");
    check_edit("{\"model\":\"m\"," MESSAGES ",\"stream\":false,\"stream_options\":{}}", &edit,
               "{\"model\":\"m\"," MESSAGES ",\"stream\":false,\"stream_options\":{}}");
    edit.ask_usage = false;
    check_edit("{\"model\":\"m\"," MESSAGES ",\"stream\":true}", &edit,
               "{\"model\":\"m\"," MESSAGES ",\"stream\":true}");
}

/* The role that DeepSeek and most templates do not know: one word changes, whatever stands around it. */
TEST(a_developer_becomes_system_and_nothing_else_does)
{
    static const char *const messages[][2] = {
        {"[{\"role\":\"developer\",\"content\":\"developer\"}]",
         "[{\"role\":\"system\",\"content\":\"developer\"}]"},
        {" [ { \"content\" : \"x\" , \"role\" : \"developer\" } , {\"role\":\"user\"} ] ",
         " [ { \"content\" : \"x\" , \"role\" : \"system\" } , {\"role\":\"user\"} ] "},
        {"[{\"role\":\"user\"},{\"role\":\"developer\"},{\"role\":\"assistant\",\"reasoning_content\":\"r\"},"
         "{\"role\":\"developer\"}]",
         "[{\"role\":\"user\"},{\"role\":\"system\"},{\"role\":\"assistant\",\"reasoning_content\":\"r\"},"
         "{\"role\":\"system\"}]"},
        {"[{\"r\\u006fle\":\"dev\\u0065loper\"}]", "[{\"r\\u006fle\":\"system\"}]"},
        {"[1,null,\"developer\",[{\"role\":\"developer\"}],{\"x\":{\"role\":\"developer\"}},{\"role\":"
         "\"developer\"}]",
         "[1,null,\"developer\",[{\"role\":\"developer\"}],{\"x\":{\"role\":\"developer\"}},{\"role\":"
         "\"system\"}]"},
        {"[{\"role\":\"Developer\"},{\"role\":\"developers\"},{\"ROLE\":\"developer\"},{\"role\":{}}]",
         "[{\"role\":\"Developer\"},{\"role\":\"developers\"},{\"ROLE\":\"developer\"},{\"role\":{}}]"},
    };
    struct request_edit edit = {.model = SLICE("z"), .no_developer = true};
    char body[400], want[400];

    for (size_t i = 0; i < sizeof messages / sizeof messages[0] * 2; i++) {
        edit.no_developer = i % 2;
        snprintf(body, sizeof body, "{\"model\":\"m\", \"messages\" : %s, \"x\" : 1.50 }",
                 messages[i / 2][0]);
        snprintf(want, sizeof want, "{\"model\":\"z\", \"messages\" : %s, \"x\" : 1.50 }",
                 messages[i / 2][edit.no_developer]);
        check_edit(body, &edit, want);
    }
}

/* More of them than there are pieces. */
TEST(a_thousand_developers_become_system)
{
    struct request_edit edit = {.model = SLICE("m"), .no_developer = true};
    struct buf body, want;

    buf_init(&body, 1 << 20, NULL);
    buf_init(&want, 1 << 20, NULL);
    CHECK_INT(buf_add(&body, SLICE("{\"model\":\"m\",\"messages\":[{}")), ERR_OK);
    CHECK_INT(buf_add(&want, buf_slice(&body)), ERR_OK);
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(buf_add(&body, SLICE(",{\"role\":\"developer\",\"content\":\"a\"}")), ERR_OK);
        CHECK_INT(buf_add(&want, SLICE(",{\"role\":\"system\",\"content\":\"a\"}")), ERR_OK);
    }
    CHECK_INT(buf_add(&body, SLICE("]}\0")), ERR_OK);
    CHECK_INT(buf_add(&want, SLICE("]}\0")), ERR_OK);
    check_edit(body.p, &edit, want.p);
    buf_fini(&body);
    buf_fini(&want);
}

/* -- random bodies against a model of the edits ---------------------------------------------------------- */

#define MEMBERS_MAX 24

struct pair { /* texts as they stand in the body; `plain` is the name without escapes */
    char name[24], plain[24], value[120];
    bool options_row;
    size_t row;
};

struct random_body {
    struct pair members[MEMBERS_MAX];
    size_t n;
    char text[8192];
};

static const char *const names[] = {"model", "stream",   "stream_options", "thinking", "top_p", "Model",
                                    "user",  "messages", "models",         "st",       "",      "MODEL"};

static const char *pick(struct rng *r, const char *const *from, size_t n)
{
    return from[rng_below(r, n)];
}

static void random_value(struct rng *r, struct pair *p)
{
    static const char *const any[] = {
        "1",    "-0.50e1", "\"\"", "\"a\\\"}{\\\\\"",    "[ ]",  "{\"model\":\"in\"}",
        "true", "null",    "[[]]", "\"\\ud83d\\ude00\"", "1E40", "{\"a\":{\"b\":[{}]}}"};
    static const char *const models[] = {"\"m\"", "\"other\"", "\"\\u006d\"", "\"a\\/b\""};
    static const char *const streams[] = {"true", "false", "null"};

    p->options_row = strcmp(p->plain, "stream_options") == 0;
    p->row = rng_below(r, OPTIONS_N);
    if (p->options_row)
        snprintf(p->value, sizeof p->value, "%s", options[p->row][0]);
    else if (strcmp(p->plain, "model") == 0)
        snprintf(p->value, sizeof p->value, "%s", pick(r, models, 4));
    else if (strcmp(p->plain, "stream") == 0)
        snprintf(p->value, sizeof p->value, "%s", pick(r, streams, 3));
    else if (strcmp(p->plain, "messages") == 0)
        snprintf(p->value, sizeof p->value, "[{\"role\":\"user\"}]");
    else
        snprintf(p->value, sizeof p->value, "%s", pick(r, any, sizeof any / sizeof any[0]));
}

static void add_pair(struct rng *r, struct random_body *b, const char *name)
{
    struct pair *p = &b->members[b->n++];
    size_t escaped = rng_below(r, 3) == 0 && name[0] ? rng_below(r, strlen(name)) : strlen(name);

    snprintf(p->plain, sizeof p->plain, "%s", name);
    if (name[escaped])
        snprintf(p->name, sizeof p->name, "%.*s\\u%04x%s", (int)escaped, name, (unsigned)name[escaped],
                 name + escaped + 1);
    else
        snprintf(p->name, sizeof p->name, "%s", name);
    random_value(r, p);
}

static void add_text(struct rng *r, struct random_body *b, const char *s)
{
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t \r\n"};
    size_t n = strlen(b->text);

    snprintf(b->text + n, sizeof b->text - n, "%s%s", s, pick(r, spaces, sizeof spaces / sizeof spaces[0]));
}

static void random_body(struct rng *r, struct random_body *b)
{
    size_t n = rng_below(r, MEMBERS_MAX - 2), model_at = rng_below(r, n + 1);

    b->n = 0;
    b->text[0] = '\0';
    for (size_t i = 0; i <= n; i++) {
        if (i == model_at) {
            add_pair(r, b, "model");
            add_pair(r, b, "messages");
        }
        if (i < n)
            add_pair(r, b, pick(r, names, sizeof names / sizeof names[0]));
    }
    add_text(r, b, "");
    add_text(r, b, "{");
    for (size_t i = 0; i < b->n; i++) {
        char name[32];

        snprintf(name, sizeof name, "\"%s\"", b->members[i].name);
        add_text(r, b, i > 0 ? "," : "");
        add_text(r, b, name);
        add_text(r, b, ":");
        add_text(r, b, b->members[i].value);
    }
    add_text(r, b, "}");
}

static const struct pair *last_of(const struct random_body *b, const char *name)
{
    const struct pair *found = NULL;

    for (size_t i = 0; i < b->n; i++) {
        if (strcmp(b->members[i].plain, name) == 0)
            found = &b->members[i];
    }
    return found;
}

static const struct pair *first_of(const struct random_body *b, const char *name)
{
    for (size_t i = 0; i < b->n; i++) {
        if (strcmp(b->members[i].plain, name) == 0)
            return &b->members[i];
    }
    return NULL;
}

static bool is_one_of(const char *s, const char *const *list)
{
    for (; *list; list++) {
        if (strcmp(s, *list) == 0)
            return true;
    }
    return false;
}

/* What the edit makes of one member, "" when it must go. The edit: model "z", thinking and top_p set. */
static const char *expected(const struct random_body *b, const struct pair *p, bool asks)
{
    static const char *const controls[] = {"model", "stream", "stream_options", NULL};
    static const char *const dropped[] = {"Model", "MODEL", NULL};

    if (is_one_of(p->plain, controls) && p != last_of(b, p->plain))
        return "";
    if (is_one_of(p->plain, dropped))
        return "";
    if (strcmp(p->plain, "model") == 0)
        return "\"z\"";
    if (p->options_row && asks)
        return options[p->row][1];
    if (strcmp(p->plain, "thinking") == 0)
        return p == first_of(b, p->plain) ? "{\"t\":1}" : "";
    if (strcmp(p->plain, "top_p") == 0)
        return p == first_of(b, p->plain) ? "0.9" : "";
    return p->value;
}

/* "name=value;" of the whole expected object. */
static void expected_object(const struct random_body *b, struct buf *out)
{
    const struct pair *stream = last_of(b, "stream");
    bool asks = stream && strcmp(stream->value, "true") == 0;

    for (size_t i = 0; i < b->n; i++) {
        const char *value = expected(b, &b->members[i], asks);

        if (value[0])
            CHECK_INT(buf_printf(out, "%s=%s;", b->members[i].name, value), ERR_OK);
    }
    if (!first_of(b, "thinking"))
        CHECK_INT(buf_add(out, SLICE("thinking={\"t\":1};")), ERR_OK);
    if (!first_of(b, "top_p"))
        CHECK_INT(buf_add(out, SLICE("top_p=0.9;")), ERR_OK);
    if (asks && !first_of(b, "stream_options"))
        CHECK_INT(buf_add(out, SLICE("stream_options={\"include_usage\":true};")), ERR_OK);
}

static bool on_any_member(void *ud, struct slice key, struct json_value value)
{
    size_t *n = ud;

    (void)key;
    *n += !json_is_absent(value);
    return true;
}

/* The walk over the result, checked against a real parser for what it could have missed. */
static void object_of(struct slice text, struct buf *out)
{
    struct json_doc *doc;
    struct members walk;
    struct member m;
    size_t walked_n = 0, parsed_n = 0;

    members_init(&walk, text);
    for (; members_next(&walk, &m); walked_n++)
        CHECK_INT(buf_printf(out, "%.*s=%.*s;", SLICE_ARG(m.name), SLICE_ARG(m.value)), ERR_OK);
    if (!CHECK_INT(json_parse(text, NULL, &doc, NULL), ERR_OK))
        return;
    json_each(json_root(doc), on_any_member, &parsed_n);
    CHECK_INT(walked_n, parsed_n);
    CHECK(slice_eq(json_string(json_get(json_root(doc), "model")), SLICE("z")));
    json_free(&doc);
}

TEST(random_bodies_become_what_the_model_of_the_edits_says)
{
    const struct request_set sets[] = {{SLICE("thinking"), SLICE("{\"t\":1}")},
                                       {SLICE("top_p"), SLICE("0.9")}};
    const struct request_edit edit = {.model = SLICE("z"), .sets = sets, .sets_n = 2, .ask_usage = true};
    struct buf got, want;
    struct random_body b;
    struct arena arena;
    struct rng r;

    rng_seed(&r, 20261122);
    buf_init(&got, 1 << 16, NULL);
    buf_init(&want, 1 << 16, NULL);
    arena_init(&arena, NULL, 0, 1 << 16);
    for (int round = 0; round < 5000; round++) {
        random_body(&r, &b);
        got.n = want.n = 0;
        expected_object(&b, &want);
        object_of(rewrite(slice_of(b.text), &edit, 1 + rng_below(&r, REQUEST_PIECES_MAX), &arena), &got);
        if (!CHECK_MEM(got.p, got.n, want.p, want.n)) {
            printf("# round %d: %s\n", round, b.text);
            break;
        }
        arena_reset(&arena);
    }
    arena_fini(&arena);
    buf_fini(&got);
    buf_fini(&want);
}
