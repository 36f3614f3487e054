/* SPDX-License-Identifier: MIT */
/* Reading requests: what is taken, what is refused and in which words. */
#include "llm/request.h"

#include "base/assert.h"
#include "base/buf.h"
#include "tap.h"

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

struct result {
    struct request request;
    enum err err;
    char why[300], param[64], model[300];
};

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* A large body is read in another way and to the same effect; only what is no JSON is told in other words. */
static void check_large(enum surface_id surface, struct slice body, enum err err, const struct request *want,
                        const struct request_fault *fault)
{
    struct request got;
    struct request_fault f;
    struct arena arena;

    arena_init(&arena, NULL, 0, 4096);
    if (CHECK_INT(request_parse_large(surface_get(surface), body, &arena, &got, &f), err)) {
        CHECK(same_text(f.param, fault->param));
        CHECK((f.why == NULL) == (fault->why == NULL));
        CHECK(err == ERR_BAD_JSON || same_text(f.why, fault->why));
    } else {
        tap_print_bytes("body", body.p, body.n);
    }
    if (err == ERR_OK) {
        CHECK(slice_eq(got.model, want->model) && got.n == want->n && got.stream == want->stream);
        CHECK(got.include_usage == want->include_usage && got.has_tools == want->has_tools);
        CHECK(got.has_developer == want->has_developer && got.doubled == want->doubled);
        CHECK_INT(got.answer_max, want->answer_max);
        CHECK(got.index.n > 0 && got.estimate != NULL);
    }
    arena_fini(&arena);
}

static void parse_as(enum surface_id surface, struct slice body, struct result *r)
{
    char *copy = tap_guard(body.p, body.n);
    struct json_pool *pool = json_pool_new(4096);
    struct arena arena;
    struct request_fault fault;

    arena_init(&arena, NULL, 0, 4096);
    r->err =
        request_parse(surface_get(surface), (struct slice){copy, body.n}, pool, &arena, &r->request, &fault);
    check_large(surface, (struct slice){copy, body.n}, r->err, &r->request, &fault);
    snprintf(r->why, sizeof r->why, "%s", fault.why ? fault.why : "");
    snprintf(r->param, sizeof r->param, "%s", fault.param ? fault.param : "");
    snprintf(r->model, sizeof r->model, "%.*s", SLICE_ARG(r->request.model));
    arena_fini(&arena);
    json_pool_free(&pool);
    tap_guard_free(copy, body.n);
}

static void parse(struct slice body, struct result *r)
{
    parse_as(SURFACE_CHAT, body, r);
}

static void check_refused(const char *body, enum err err, const char *param)
{
    struct result r;

    parse(slice_of(body), &r);
    CHECK_INT(r.err, err);
    CHECK_STR(r.param, param);
    CHECK(strlen(r.why) > 10 && r.why[strlen(r.why) - 1] == '.');
    CHECK(param[0] == '\0' || strcmp(param, "model") == 0 || strstr(r.why, param));
}

TEST(how_long_an_answer_may_be_is_read_by_all_its_names)
{
    static const struct {
        const char *members;
        long long want;
    } rows[] = {
        {"", -1},
        {",\"max_tokens\":100", 100},
        {",\"max_completion_tokens\":7", 7},
        {",\"max_output_tokens\":8.9", 8},
        {",\"max_tokens\":10,\"max_completion_tokens\":20", 20},
        {",\"max_tokens\":20,\"max_completion_tokens\":10", 20},
        {",\"max_tokens\":1e3", 1000},
        {",\"max_tokens\":1e30", ESTIMATE_NUMBER_MAX},
        {",\"max_tokens\":-1", -1},
        {",\"max_tokens\":0", 0},
        {",\"max_tokens\":null", -1},
        {",\"max_tokens\":\"5\"", -1},
        {",\"max_chars\":5", -1},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char body[256];
        struct result r;

        snprintf(body, sizeof body, "{\"model\":\"m\"," MESSAGES "%s}", rows[i].members);
        parse(slice_of(body), &r);
        CHECK_INT(r.err, ERR_OK);
        if (!CHECK_INT(r.request.answer_max, rows[i].want))
            printf("# %s\n", rows[i].members);
    }
}

TEST(reads_what_the_gateway_needs)
{
    struct result r;

    parse(SLICE("{\"model\":\"deepseek-flash\"," MESSAGES "}"), &r);
    CHECK_INT(r.err, ERR_OK);
    CHECK_STR(r.model, "deepseek-flash");
    CHECK(!r.request.stream && !r.request.include_usage && !r.request.has_tools && !r.request.doubled);
    CHECK_INT(r.request.n, 1);
    CHECK_STR(r.why, "");

    parse(SLICE(" {" MESSAGES
                ",\"n\":3,\"stream\":true,\"stream_options\":{\"include_usage\":true},\"tools\":[{}],"
                "\"model\":\"\\u0061\\/b\\u00fc\"}\n"),
          &r);
    CHECK_INT(r.err, ERR_OK);
    CHECK_STR(r.model, "a/b\303\274");
    CHECK(r.request.stream && r.request.include_usage && r.request.has_tools && !r.request.doubled);
    CHECK_INT(r.request.n, 3);

    parse(SLICE("{\"model\":\"m\"," MESSAGES
                ",\"stream\":null,\"stream_options\":null,\"tools\":[],\"n\":null,"
                "\"functions\":[{\"name\":\"f\"}]}"),
          &r);
    CHECK_INT(r.err, ERR_OK);
    CHECK(!r.request.stream && !r.request.include_usage && r.request.has_tools);
    CHECK_INT(r.request.n, 1);
}

TEST(the_last_of_doubled_members_counts)
{
    struct result r;

    parse(SLICE("{\"model\":\"a\"," MESSAGES ",\"stream\":true,\"mod\\u0065l\":\"b\",\"stream\":false}"), &r);
    CHECK_INT(r.err, ERR_OK);
    CHECK_STR(r.model, "b");
    CHECK(!r.request.stream && r.request.doubled);
    check_refused("{\"model\":\"a\"," MESSAGES ",\"model\":7}", ERR_BAD_FIELD, "model");
    parse(SLICE("{\"model\":\"a\",\"messages\":[{\"role\":\"developer\",\"role\":\"user\"}]}"), &r);
    CHECK(r.err == ERR_OK && !r.request.has_developer);
    parse(SLICE("{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"role\":\"developer\"}]}"), &r);
    CHECK(r.err == ERR_OK && r.request.has_developer);
}

TEST(refuses_what_it_cannot_understand)
{
    check_refused("", ERR_BAD_JSON, "");
    check_refused("   ", ERR_BAD_JSON, "");
    check_refused("hello", ERR_BAD_JSON, "");
    check_refused("{\"model\":\"m\"", ERR_BAD_JSON, "");
    check_refused("{\"model\":\"m\"," MESSAGES "} x", ERR_BAD_JSON, "");
    check_refused("{\"model\":\"\\ud800\"," MESSAGES "}", ERR_BAD_JSON, "");
    check_refused("{\"model\":\"\xff\"," MESSAGES "}", ERR_BAD_JSON, "");
    check_refused("[]", ERR_BAD_JSON, "");
    check_refused("null", ERR_BAD_JSON, "");
    check_refused("{}", ERR_MODEL_MISSING, "model");
    check_refused("{\"model\":null," MESSAGES "}", ERR_MODEL_MISSING, "model");
    check_refused("{\"model\":\"\"," MESSAGES "}", ERR_MODEL_MISSING, "model");
    check_refused("{\"Model\":\"m\"," MESSAGES "}", ERR_MODEL_MISSING, "model");
    check_refused("{\"model\":7," MESSAGES "}", ERR_BAD_FIELD, "model");
    check_refused("{\"model\":[\"m\"]," MESSAGES "}", ERR_BAD_FIELD, "model");
    check_refused("{\"model\":\"a\\nb\"," MESSAGES "}", ERR_BAD_FIELD, "model");
    check_refused("{\"model\":\"a\\u0000b\"," MESSAGES "}", ERR_BAD_FIELD, "model");
    check_refused("{\"model\":\"m\"}", ERR_BAD_FIELD, "messages");
    check_refused("{\"model\":\"m\",\"messages\":[]}", ERR_BAD_FIELD, "messages");
    check_refused("{\"model\":\"m\",\"messages\":\"hi\"}", ERR_BAD_FIELD, "messages");
    check_refused("{\"model\":\"m\"," MESSAGES ",\"stream\":\"true\"}", ERR_BAD_FIELD, "stream");
    check_refused("{\"model\":\"m\"," MESSAGES ",\"stream\":1}", ERR_BAD_FIELD, "stream");
    check_refused("{\"model\":\"m\"," MESSAGES ",\"stream_options\":[]}", ERR_BAD_FIELD, "stream_options");
    check_refused("{\"model\":\"m\"," MESSAGES ",\"stream_options\":true}", ERR_BAD_FIELD, "stream_options");
    check_refused("{\"model\":\"m\"," MESSAGES ",\"stream_options\":{\"include_usage\":\"yes\"}}",
                  ERR_BAD_FIELD, "stream_options.include_usage");
}

TEST(where_the_question_stands_on_each_surface)
{
    static const struct {
        enum surface_id surface;
        const char *fields;
        bool fine;
    } ROWS[] = {
        {SURFACE_COMPLETIONS, "\"prompt\":\"once\"", true},
        {SURFACE_COMPLETIONS, "\"prompt\":\"\"", true},
        {SURFACE_COMPLETIONS, "\"prompt\":[\"a\",\"b\"]", true},
        {SURFACE_COMPLETIONS, "\"prompt\":[1,2]", true},
        {SURFACE_COMPLETIONS, "\"prompt\":[[1,2],[3]]", true},
        {SURFACE_COMPLETIONS, "\"x\":1", true}, /* it has a default */
        {SURFACE_COMPLETIONS, "\"prompt\":[]", false},
        {SURFACE_COMPLETIONS, "\"prompt\":7", false},
        {SURFACE_COMPLETIONS, "\"prompt\":{}", false},
        {SURFACE_EMBEDDINGS, "\"input\":\"a\"", true},
        {SURFACE_EMBEDDINGS, "\"input\":[[1,2],[3]]", true},
        {SURFACE_EMBEDDINGS, "\"input\":\"a\",\"stream\":\"not ours to read\"", true},
        {SURFACE_EMBEDDINGS, "\"input\":\"\"", false},
        {SURFACE_EMBEDDINGS, "\"input\":[]", false},
        {SURFACE_EMBEDDINGS, "\"prompt\":\"a\"", false},
        {SURFACE_RESPONSES, "\"input\":\"a\"", true},
        {SURFACE_RESPONSES, "\"input\":[{\"role\":\"user\"}]", true},
        {SURFACE_RESPONSES, "\"previous_response_id\":\"resp_1\"", true},
        {SURFACE_RESPONSES, "\"input\":7", false},
        {SURFACE_RESPONSES, "\"input\":\"a\",\"stream\":1", false},
        {SURFACE_MESSAGES, "\"messages\":[{}]", true},
        {SURFACE_MESSAGES, "\"messages\":\"a\"", false},
        {SURFACE_MESSAGES, "\"messages\":[]", false},
        {SURFACE_MESSAGES, "\"input\":\"a\"", false},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char body[256];
        struct result r;

        snprintf(body, sizeof body, "{\"model\":\"m\",%s}", ROWS[i].fields);
        parse_as(ROWS[i].surface, slice_of(body), &r);
        if (!CHECK_INT(r.err, ROWS[i].fine ? ERR_OK : ERR_BAD_FIELD))
            printf("# %s\n", body);
        CHECK(ROWS[i].fine || (strlen(r.why) > 10 && strstr(r.why, r.param) != NULL));
    }
}

TEST(a_stream_is_one_where_the_surface_has_them_and_usage_is_stripped_where_it_must_be_asked_for)
{
    static const bool STREAMS[SURFACE_N] = {true, true, false, true, true};
    static const bool STRIPS[SURFACE_N] = {true, true, false, false, false};

    for (int i = 0; i < SURFACE_N; i++) {
        struct result r;

        parse_as((enum surface_id)i,
                 SLICE("{\"model\":\"m\",\"input\":\"a\",\"prompt\":\"a\",\"stream\":true," MESSAGES "}"),
                 &r);
        CHECK_INT(r.err, ERR_OK);
        CHECK_INT(r.request.stream, STREAMS[i]);
        CHECK_INT(r.request.include_usage, !STRIPS[i]);
    }
}

TEST(a_model_has_at_most_256_bytes)
{
    char body[600];
    struct result r;

    for (int n = 255; n <= 257; n++) {
        snprintf(body, sizeof body, "{\"model\":\"%0*d\",%s}", n, 0, MESSAGES);
        parse(slice_of(body), &r);
        CHECK_INT(r.err, n <= 256 ? ERR_OK : ERR_BAD_FIELD);
    }
}

TEST(strange_numbers_of_choices_are_left_to_the_provider)
{
    static const char *const values[] = {"0",   "-5", "\"2\"", "[]", "1e999", "2.9", "99999999999999999999",
                                         "1024"};
    static const int want[] = {1, 1, 1, 1, 0, 2, 1024, 1024};
    char body[200];
    struct result r;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        snprintf(body, sizeof body, "{\"model\":\"m\",%s,\"n\":%s}", MESSAGES, values[i]);
        parse(slice_of(body), &r);
        if (want[i] == 0) /* no number that exists */
            CHECK_INT(r.err, ERR_BAD_JSON);
        else
            CHECK(r.err == ERR_OK && r.request.n == want[i]);
    }
}

TEST(hostile_bodies_are_refused_or_read_but_never_harm)
{
    size_t n = 1 << 20;
    char *body = malloc(n);
    struct result r;
    static const char whole[] = "{\"model\":\"a\\u00e4\\\"\"," MESSAGES
                                ",\"stream\":true,\"stream_options\":{\"include_usage\":null}}";

    memset(body, '[', n);
    parse((struct slice){body, n}, &r);
    CHECK_INT(r.err, ERR_BAD_JSON);
    memset(body, '"', n);
    parse((struct slice){body, n}, &r);
    CHECK_INT(r.err, ERR_BAD_JSON);
    memset(body, 0, n);
    parse((struct slice){body, n}, &r);
    CHECK_INT(r.err, ERR_BAD_JSON);
    memset(body, ' ', n);
    memcpy(body + n - sizeof whole, whole, sizeof whole - 1);
    parse((struct slice){body, n}, &r);
    CHECK_INT(r.err, ERR_OK);
    for (size_t k = 0; k < sizeof whole - 1; k++) {
        parse((struct slice){whole, k}, &r);
        CHECK_INT(r.err, ERR_BAD_JSON);
    }
    free(body);
}

TEST(a_deep_body_is_refused)
{
    char body[400];
    struct result r;

    for (int depth = 60; depth <= 70; depth++) {
        int n = snprintf(body, sizeof body, "{\"model\":\"m\",%s,\"x\":", MESSAGES);

        memset(body + n, '[', (size_t)depth);
        memset(body + n + depth, ']', (size_t)depth);
        snprintf(body + n + 2 * depth, sizeof body - (size_t)(n + 2 * depth), "}");
        parse(slice_of(body), &r);
        CHECK_INT(r.err, depth < 64 ? ERR_OK : ERR_BAD_JSON);
    }
}

TEST(a_large_body_has_bounded_members)
{
    struct request request;
    struct request_fault fault;
    struct arena arena;
    struct buf b;

    arena_init(&arena, NULL, 0, 4096);
    buf_init(&b, 1 << 20, NULL);
    for (int n = REQUEST_MEMBERS_MAX - 1; n <= REQUEST_MEMBERS_MAX + 1; n++) {
        b.n = 0;
        CHECK_INT(buf_printf(&b, "{\"model\":\"m\",%s", MESSAGES), ERR_OK);
        for (int i = 2; i < n; i++)
            CHECK_INT(buf_printf(&b, ",\"m%d\":%d", i, i), ERR_OK);
        CHECK_INT(buf_add(&b, SLICE("}")), ERR_OK);
        CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), buf_slice(&b), &arena, &request, &fault),
                  n <= REQUEST_MEMBERS_MAX ? ERR_OK : ERR_BAD_FIELD);
    }
    buf_fini(&b);
    arena_fini(&arena);
}

TEST(what_should_be_small_in_a_large_body_is)
{
    static const char *const names[] = {"model", "stream", "stream_options", "n"};
    struct request request;
    struct request_fault fault;
    struct arena arena;
    struct buf b;

    arena_init(&arena, NULL, 0, 4096);
    buf_init(&b, 1 << 20, NULL);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        b.n = 0;
        CHECK_INT(buf_printf(&b, "{\"%s\":\"%070000d\",%s}", names[i], 0, MESSAGES), ERR_OK);
        CHECK_INT(request_parse_large(surface_get(SURFACE_CHAT), buf_slice(&b), &arena, &request, &fault),
                  ERR_BAD_FIELD);
        CHECK_STR(fault.param, names[i]);
    }
    buf_fini(&b);
    arena_fini(&arena);
}
