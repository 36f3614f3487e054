/* SPDX-License-Identifier: MIT */
/* Reading events and whole answers as the providers of conventions 1.3, 2.2 and 2.12 send them. */
#include "llm/answer.h"

#include "tap.h"

#define HEAD \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1694268190,\"model\":\"m\","
#define CHUNK(delta) \
    HEAD "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":null}]}"
#define END(reason) \
    HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":" reason "}]}"

static struct event event_of(enum dialect_id id, struct slice data)
{
    struct json_pool *pool = json_pool_new(4096);
    char *copy = tap_guard(data.p, data.n);
    struct event e;

    memset(&e, 0x5a, sizeof e); /* whatever the reader leaves unset shows */
    answer_event(&(struct answer_opts){surface_get(SURFACE_CHAT), dialect_get(id)},
                 (struct slice){copy, data.n}, pool, &e);
    tap_guard_free(copy, data.n);
    json_pool_free(&pool);
    return e;
}

static struct event read_one(const char *data)
{
    return event_of(DIALECT_OPENAI, slice_of(data));
}

static void check_kind(const char *data, enum event_kind want)
{
    if (!CHECK_INT(read_one(data).kind, want))
        printf("# %.200s\n", data);
}

static void check_text(const char *data, bool want)
{
    struct event e = read_one(data);

    CHECK_INT(e.kind, EVENT_PAYLOAD);
    if (!CHECK_INT(e.has_text, want))
        printf("# %s\n", data);
}

TEST(parts_of_an_answer)
{
    check_text(CHUNK("\"content\":\"Hello\""), true);
    check_text(CHUNK("\"content\":\"\\u0000\""), true);
    check_text(CHUNK("\"content\":null,\"reasoning_content\":\"hm\""), true);
    check_text(CHUNK("\"reasoning\":\"hm\""), true);
    check_text(CHUNK("\"reasoning_details\":[{\"text\":\"hm\"}]"), true);
    check_text(CHUNK("\"refusal\":\"no\""), true);
    check_text(CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\"}}]"), true);
    check_text(CHUNK("\"function_call\":{\"name\":\"f\"}"), true);
    check_text(CHUNK("\"audio\":{\"data\":\"AA==\"}"), true);
    check_text(CHUNK("\"images\":[{\"type\":\"image_url\"}]"), true);
    check_text(CHUNK("\"content\":[{\"type\":\"thinking\"}]"), true);
    check_text(CHUNK("\"role\":\"assistant\",\"content\":\"\""), false);
    check_text(CHUNK("\"role\":\"assistant\",\"reasoning_content\":\"\",\"content\":null,\"tool_calls\":[]"),
               false);
    check_text(CHUNK(""), false);
    check_text(HEAD "\"choices\":[{\"delta\":{}},{\"delta\":{\"content\":\"b\"}}]}", true);
    check_text(HEAD "\"choices\":[{\"index\":0}]}", false);
    check_text("{\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}",
               false); /* Azure's first */
    check_text("{}", false);
}

TEST(ends_of_an_answer)
{
    struct event e = read_one(END("\"stop\""));

    CHECK(e.kind == EVENT_PAYLOAD && e.finished && e.plain_stop && !e.has_text);
    e = read_one(END("\"length\""));
    CHECK(e.kind == EVENT_PAYLOAD && e.finished && !e.plain_stop);
    e = read_one(END("\"tool_calls\""));
    CHECK(e.kind == EVENT_PAYLOAD && e.finished);
    e = read_one(END("null"));
    CHECK(e.kind == EVENT_PAYLOAD && !e.finished && !e.plain_stop);
    e = read_one(END("\"\"")); /* StepFun */
    CHECK(e.kind == EVENT_PAYLOAD && !e.finished);
    e = read_one(HEAD "\"choices\":[{\"delta\":{},\"finish_reason\":null},{\"finish_reason\":\"stop\"}]}");
    CHECK(e.finished);
    check_kind("[DONE]", EVENT_DONE);
    check_kind(" [DONE]\r\n", EVENT_DONE);
    e = read_one("[DONE]");
    CHECK(!e.has_text && !e.finished && !e.plain_stop && !e.has_usage && !e.usage_member && !e.usage.known);
    CHECK(e.error_status == 0 && e.error_text[0] == '\0');
    check_kind("[DONE", EVENT_MALFORMED);
    check_kind("[DONE] x", EVENT_MALFORMED);
}

TEST(usage_alone_and_beside_content)
{
    struct event e = read_one(HEAD "\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
                                   "\"total_tokens\":11,\"prompt_tokens_details\":{\"cached_tokens\":4},"
                                   "\"completion_tokens_details\":{\"reasoning_tokens\":1}}}");

    CHECK(e.kind == EVENT_USAGE && e.has_usage && e.usage_member && e.usage.known);
    CHECK_INT(e.usage.prompt_tokens, 9);
    CHECK_INT(e.usage.completion_tokens, 2);
    CHECK_INT(e.usage.cached_tokens, 4);
    CHECK_INT(e.usage.reasoning_tokens, 1);

    /* DeepSeek: on the last content chunk, hits beside the details. */
    e = event_of(DIALECT_DEEPSEEK,
                 SLICE(HEAD
                       "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"!\"},\"finish_reason\":\"stop\"}],"
                       "\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":10,\"total_tokens\":26,"
                       "\"prompt_cache_hit_tokens\":5,\"prompt_cache_miss_tokens\":11}}"));
    CHECK(e.kind == EVENT_PAYLOAD && e.has_text && e.finished && e.has_usage && e.usage.known);
    CHECK_INT(e.usage.cached_tokens, 5);

    e = read_one(HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":null}");
    CHECK(e.kind == EVENT_PAYLOAD && e.has_text && !e.has_usage && e.usage_member && !e.usage.known);
    e = read_one(HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}]}");
    CHECK(!e.has_usage && !e.usage_member && !e.usage.known && e.usage.prompt_tokens == 0);
    e = read_one("{\"usage\":{\"prompt_tokens\":1,\"cached_tokens\":7}}"); /* Moonshot */
    CHECK(e.kind == EVENT_USAGE && e.usage.cached_tokens == 7);
    e = read_one(HEAD "\"choices\":null,\"usage\":{}}");
    CHECK(e.kind == EVENT_USAGE && e.has_usage && !e.usage.known);
}

/* Believed, it would use up a key's limit of tokens and spoil every sum. */
TEST(an_absurd_count_of_tokens_is_not_believed)
{
    struct event e =
        read_one("{\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":99999999999}}");

    CHECK(e.has_usage && !e.usage.known && e.usage.completion_tokens == 0);
    e = read_one("{\"choices\":[],\"usage\":{\"prompt_tokens\":100000001,\"completion_tokens\":5}}");
    CHECK(!e.usage.known && e.usage.prompt_tokens == 0);
    e = read_one("{\"choices\":[],\"usage\":{\"prompt_tokens\":100000000,\"completion_tokens\":5}}");
    CHECK(e.usage.known && e.usage.prompt_tokens == 100000000);
}

TEST(numbers_of_tokens_are_bounded)
{
    struct event e = read_one("{\"choices\":[],\"usage\":{\"prompt_tokens\":-5,\"completion_tokens\":1e300,"
                              "\"prompt_tokens_details\":{\"cached_tokens\":\"many\"}}}");

    CHECK_INT(e.usage.prompt_tokens, 0);
    CHECK_INT(e.usage.completion_tokens, 0);
    CHECK_INT(e.usage.cached_tokens, 0);
    e = read_one("{\"choices\":[],\"usage\":[1,2]}");
    CHECK(e.usage_member && !e.has_usage && e.kind == EVENT_PAYLOAD);
    e = read_one("{\"choices\":[],\"usage\":{\"prompt_tokens\":1},\"usage\":{\"prompt_tokens\":2}}");
    CHECK_INT(e.usage.prompt_tokens, 2);
}

static void check_error(const char *data, int status, const char *text)
{
    struct event e = read_one(data);

    CHECK_INT(e.kind, EVENT_ERROR);
    CHECK_INT(e.error_status, status);
    CHECK_STR(e.error_text, text);
}

TEST(errors_inside_the_stream)
{
    check_error(
        "{\"error\":{\"message\":\"upstream closed the stream\",\"type\":\"server_error\",\"param\":null,"
        "\"code\":\"upstream_truncated\"}}",
        0, "upstream closed the stream");
    check_error(HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}],"
                     "\"error\":{\"code\":502,\"message\":\"Provider disconnected\"}}",
                502, "Provider disconnected");
    check_error("{\"error\":\"model crashed\"}", 0, "model crashed");
    check_error("{\"error\":{\"message\":\"slow\\ndown\",\"code\":\"429\"}}", 429, "slow down");
    check_error("{\"error\":{\"message\":\"busy\",\"code\":\"overloaded\",\"status\":503}}", 503, "busy");
    check_error("{\"error\":{\"code\":\"1214\",\"message\":\"x\"}}", 0, "x");
    check_error("{\"object\":\"error\",\"message\":\"too long\",\"type\":\"BadRequestError\",\"code\":400}",
                400, "too long");
    check_error("{\"code\":\"Throttling\",\"message\":\"Requests throttled\",\"request_id\":\"r\"}", 0,
                "Requests throttled");
    check_error("{\"error\":{\"code\":200,\"status\":1214,\"message\":\"x\"}}", 0, "x");
    check_error("{\"error\":{\"code\":\"099\",\"status\":-429}}", 0, "");
    check_error("{\"error\":{}}", 0, "");
    check_error("{\"error\":true}", 0, "");
    check_error(END("\"error\""), 0, "");
    check_error("{\"error\":{\"message\":\"Incorrect API key provided: sk-abcdef0123456789.\",\"code\":401}}",
                401, "Incorrect API key provided: sk-***.");
    check_text(HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":null}", true);
    check_text(HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":\"\"}", true);
    check_text(HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":false}", true);
}

TEST(long_error_texts_are_cut)
{
    char data[1000];
    struct event e;

    snprintf(data, sizeof data, "{\"error\":{\"message\":\"%0600d\"}}", 0);
    e = read_one(data);
    CHECK_INT(strlen(e.error_text), sizeof e.error_text - 1);
}

TEST(finish_reasons_that_are_failures)
{
    struct event e = event_of(DIALECT_DEEPSEEK, SLICE(END("\"insufficient_system_resource\"")));

    CHECK(e.kind == EVENT_BUSY && e.finished);
    CHECK_INT(event_of(DIALECT_DEEPSEEK, SLICE(END("\"aborted\""))).kind, EVENT_BUSY);
    CHECK_INT(event_of(DIALECT_DEEPSEEK, SLICE(END("\"stop\""))).kind, EVENT_PAYLOAD);
    CHECK_INT(event_of(DIALECT_OPENAI, SLICE(END("\"network_error\""))).kind, EVENT_BUSY);
    CHECK_INT(event_of(DIALECT_OPENAI, SLICE(END("\"aborted\""))).kind, EVENT_PAYLOAD);
}

TEST(what_is_no_event)
{
    check_kind("", EVENT_MALFORMED);
    check_kind(" ", EVENT_MALFORMED);
    check_kind("hello", EVENT_MALFORMED);
    check_kind("[]", EVENT_MALFORMED);
    check_kind("\"text\"", EVENT_MALFORMED);
    check_kind("null", EVENT_MALFORMED);
    check_kind("{\"choices\":", EVENT_MALFORMED);
    check_kind("{\"choices\":[]} {}", EVENT_MALFORMED);
    check_kind("{\"choices\":{}}", EVENT_MALFORMED);
    check_kind("{\"choices\":\"a\"}", EVENT_MALFORMED);
    check_kind("{\"choices\":[null]}", EVENT_MALFORMED);
    check_kind("{\"choices\":[[]]}", EVENT_MALFORMED);
    check_kind(CHUNK("\"content\":\"\\ud800\""), EVENT_MALFORMED);
    check_kind(CHUNK("\"content\":\"\xff\""), EVENT_MALFORMED);
    check_kind(CHUNK("\"content\":\"\n\""), EVENT_MALFORMED);
    check_kind("<html>502 Bad Gateway</html>", EVENT_MALFORMED);
}

TEST(hostile_events_do_no_harm)
{
    static const char whole[] =
        HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\\u00e4\\\"\"}}],\"usage\":null}";
    static const char start[] = "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
    size_t n = 1 << 20;
    char *data = malloc(n);
    struct event e;

    for (size_t k = 0; k < sizeof whole - 1; k++)
        CHECK_INT(event_of(DIALECT_OPENAI, (struct slice){whole, k}).kind, EVENT_MALFORMED);
    memset(data, '[', n);
    CHECK_INT(event_of(DIALECT_OPENAI, (struct slice){data, n}).kind, EVENT_MALFORMED);
    data[0] = '{';
    CHECK_INT(event_of(DIALECT_OPENAI, (struct slice){data, n}).kind, EVENT_MALFORMED);
    memset(data, 0, n);
    CHECK_INT(event_of(DIALECT_OPENAI, (struct slice){data, n}).kind, EVENT_MALFORMED);
    memset(data, 'x', n);
    memcpy(data, start, sizeof start - 1);
    memcpy(data + n - 5, "\"}}]}", 5);
    e = event_of(DIALECT_OPENAI, (struct slice){data, n});
    CHECK(e.kind == EVENT_PAYLOAD && e.has_text);
    free(data);
}

/* -- usage stripped -------------------------------------------------------------------------------------- */

static void check_strip(const char *data, const char *want)
{
    size_t n = strlen(data);
    char *copy = tap_guard(data, n);
    struct answer_opts o = {surface_get(SURFACE_CHAT), dialect_get(DIALECT_OPENAI)};
    struct arena arena;
    struct json_pool *pool = json_pool_new(4096);
    struct event e;
    struct slice got;

    arena_init(&arena, NULL, 0, 4096);
    answer_event(&o, (struct slice){copy, n}, pool, &e);
    for (int known = 0; known < 2; known++) { /* where it stands */
        got = answer_strip_usage((struct slice){copy, n}, known ? e.usage_behind : 0, &arena);
        CHECK_MEM(got.p, got.n, want, strlen(want));
        CHECK((strcmp(data, want) == 0) == (got.p == copy));
    }
    json_pool_free(&pool);
    arena_fini(&arena);
    tap_guard_free(copy, n);
}

/* It is not searched for: what stands before it is no JSON, which a walk would not get past. */
TEST(usage_whose_place_is_known_is_cut_out_there)
{
    static const char data[] = "{\"a\":1 x,\"usage\":null,\"b\":2}";
    struct arena arena;
    struct slice got;

    arena_init(&arena, NULL, 0, 4096);
    got = answer_strip_usage(SLICE(data), sizeof "\"a\":1 x," - 1, &arena);
    CHECK_MEM(got.p, got.n, "{\"a\":1 x,\"b\":2}", sizeof "{\"a\":1 x,\"b\":2}" - 1);
    arena_fini(&arena);
}

TEST(strips_usage_wherever_it_stands)
{
    check_strip("{\"usage\":null}", "{}");
    check_strip("{ \"usage\" : { \"a\":1 } }", "{ }");
    check_strip("{\"usage\":null,\"a\":1}", "{\"a\":1}");
    check_strip("{\"usage\":{\"prompt_tokens\":1} , \"a\":1, \"b\":2}", "{\"a\":1, \"b\":2}");
    check_strip("{\"a\":1,\"usage\":null}", "{\"a\":1}");
    check_strip("{\"a\":1 , \"usage\":null }", "{\"a\":1 }");
    check_strip("{\"a\":1 ,\"usage\":null}", "{\"a\":1}");
    check_strip("{\"a\":1,\"usage\":{\"x\":[\"}\"]},\"b\":2}", "{\"a\":1,\"b\":2}");
    check_strip("{\"usage\":1,\"usage\":2,\"a\":1,\"usage\":3,\"usage\":4}", "{\"a\":1}");
    check_strip("{\"usage\":1,\"usage\":2}", "{}");
    check_strip("{\"a\":1,\"us\\u0061ge\":null,\"b\":2}", "{\"a\":1,\"b\":2}");
    check_strip("{\"a\":1,\"usage\":null,\"us\\u0061ge\":null,\"b\":2}", "{\"a\":1,\"b\":2}");
    check_strip("{\"\\n\\t\":[\"\\u00e4,\"],\"usage\":null,\"b\":2}", "{\"\\n\\t\":[\"\\u00e4,\"],\"b\":2}");
    check_strip("{\"a\":{\"b\":1,\"usage\":null},\"usage\":null}", "{\"a\":{\"b\":1,\"usage\":null}}");
    check_strip("{\"a\":{\"b\":1,\"usage\":null},\"us\\u0061ge\":null}", "{\"a\":{\"b\":1,\"usage\":null}}");
    check_strip(" {\"a\":1,\"usage\":null} \n", " {\"a\":1} \n");
    check_strip(HEAD "\"choices\":[{\"delta\":{\"content\":\"!\"}}],\"usage\":{\"total_tokens\":1}}",
                HEAD "\"choices\":[{\"delta\":{\"content\":\"!\"}}]}");
}

TEST(leaves_everything_else_alone)
{
    check_strip("{}", "{}");
    check_strip("{\"a\":{\"usage\":1},\"b\":[{\"usage\":2}],\"c\":\"usage\"}",
                "{\"a\":{\"usage\":1},\"b\":[{\"usage\":2}],\"c\":\"usage\"}");
    check_strip("{\"usages\":1,\"Usage\":2,\"usag\":3}", "{\"usages\":1,\"Usage\":2,\"usag\":3}");
    check_strip("[DONE]", "[DONE]");
    check_strip("", "");
    check_strip("{\"a\":\"\\\"usage\\\":null,\"}", "{\"a\":\"\\\"usage\\\":null,\"}");
}
