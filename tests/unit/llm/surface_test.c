/* SPDX-License-Identifier: MIT */
/* The table of surfaces: its rows fit each other, and each reads its own answers and nobody else's. */
#include "llm/answer.h"

#include "base/assert.h"
#include "tap.h"

static struct answer body_of(enum surface_id id, const char *text)
{
    struct answer_opts o = {surface_get(id), dialect_get(DIALECT_DEEPSEEK)};
    struct json_pool *pool = json_pool_new(8192);
    char *copy = tap_guard(text, strlen(text));
    struct answer a;

    answer_body(&o, (struct slice){copy, strlen(text)}, pool, &a);
    tap_guard_free(copy, strlen(text));
    json_pool_free(&pool);
    return a;
}

static void check_body(enum surface_id id, const char *text, enum err want)
{
    if (!CHECK_INT(body_of(id, text).err, want))
        printf("# %s\n", text);
}

TEST(every_row_is_complete)
{
    for (int i = 0; i < SURFACE_N; i++) {
        const struct surface *s = surface_get((enum surface_id)i);

        CHECK_INT(s->id, i);
        CHECK(s->path[0] == '/' && s->input[0] != '\0' && s->judge != NULL);
        CHECK_INT(s->streams, s->read_event != NULL);
        CHECK_INT(s->streams, s->ends[0] != NULL);
        CHECK(!s->asks_usage || (s->streams && !s->names_events));
        CHECK(!s->names_events || strncmp(s->ends[0], "event: ", 7) == 0);
    }
}

TEST(an_end_mark_is_told_by_its_first_line)
{
    static const struct {
        enum surface_id id;
        const char *event;
        bool is;
    } ROWS[] = {
        {SURFACE_CHAT, "data: [DONE]\n\n", true},
        {SURFACE_CHAT, "data: {}\n\n", false},
        {SURFACE_CHAT, "data: [DONE] \n\n", false},
        {SURFACE_MESSAGES, "event: message_stop\ndata: {}\n\n", true},
        {SURFACE_MESSAGES, "event: message_stopped\ndata: {}\n\n", false},
        {SURFACE_MESSAGES, "data: [DONE]\n\n", false},
        {SURFACE_RESPONSES, "event: response.completed\ndata: {}\n\n", true},
        {SURFACE_RESPONSES, "event: response.incomplete\ndata: {}\n\n", true},
        {SURFACE_RESPONSES, "event: response.failed\ndata: {}\n\n", false},
        {SURFACE_EMBEDDINGS, "data: [DONE]\n\n", false},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        CHECK_INT(surface_is_end(surface_get(ROWS[i].id), slice_of(ROWS[i].event)), ROWS[i].is);
}

TEST(answers_with_embeddings)
{
    enum surface_id id = SURFACE_EMBEDDINGS;
    struct answer a =
        body_of(id, "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1]},{\"embedding\":\"AAAA\"}],"
                    "\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");

    CHECK(a.err == ERR_OK && a.usage.known && a.usage.prompt_tokens == 8 && a.usage.completion_tokens == 0);
    check_body(id, "{\"data\":[{\"embedding\":[0.1]}]}", ERR_OK);
    check_body(id, "{\"object\":\"list\",\"data\":[]}", ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1]},{}]}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"object\":\"list\",\"data\":[{\"embedding\":[]}]}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"object\":\"list\",\"data\":[7]}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"object\":\"chat.completion\",\"data\":[{\"embedding\":[0.1]}]}",
               ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"object\":\"list\",\"data\":{}}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"choices\":[{\"text\":\"a\"}]}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"error\":{\"message\":\"no\"}}", ERR_UPSTREAM_ERROR);
    check_body(id, "{\"object\":\"error\",\"message\":\"no\",\"code\":400}", ERR_UPSTREAM_ERROR);
}

TEST(text_completions)
{
    enum surface_id id = SURFACE_COMPLETIONS;

    check_body(id, "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"length\"}]}", ERR_OK);
    check_body(id, "{\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}", ERR_OK);
    check_body(id, "{\"choices\":[{\"text\":\"\"}]}", ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"choices\":[]}", ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"choices\":[{\"text\":\"a\",\"finish_reason\":\"insufficient_system_resource\"}]}",
               ERR_UPSTREAM_BUSY);
    check_body(SURFACE_CHAT, "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}",
               ERR_UPSTREAM_EMPTY); /* where it is no answer */
}

TEST(responses)
{
    enum surface_id id = SURFACE_RESPONSES;
    struct answer a =
        body_of(id, "{\"status\":\"completed\",\"error\":null,\"output\":[{\"type\":\"message\",\"content\":"
                    "[{\"text\":\"a\"}]}],\"usage\":{\"input_tokens\":9,\"input_tokens_details\":"
                    "{\"cached_tokens\":4},\"output_tokens\":2,\"output_tokens_details\":"
                    "{\"reasoning_tokens\":1}}}");

    CHECK(a.err == ERR_OK && a.usage.known);
    CHECK(a.usage.prompt_tokens == 9 && a.usage.completion_tokens == 2 && a.usage.cached_tokens == 4 &&
          a.usage.reasoning_tokens == 1);
    check_body(id, "{\"status\":\"completed\",\"output\":[{\"type\":\"function_call\",\"name\":\"f\"}]}",
               ERR_OK);
    check_body(id, "{\"status\":\"completed\",\"output\":[{\"type\":\"reasoning\",\"summary\":[{}]}]}",
               ERR_OK);
    check_body(id, "{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[]}]}",
               ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"status\":\"completed\",\"output\":[]}", ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"status\":\"incomplete\",\"output\":[]}", ERR_OK);
    check_body(id, "{\"status\":\"queued\"}", ERR_OK); /* in the background */
    check_body(id, "{\"status\":\"failed\",\"output\":[],\"error\":{\"code\":\"server_error\"}}",
               ERR_UPSTREAM_ERROR);
    check_body(id, "{\"status\":\"cancelled\",\"output\":[{\"type\":\"function_call\"}]}",
               ERR_UPSTREAM_ERROR);
    check_body(id,
               "{\"status\":\"incomplete\",\"output\":[],\"incomplete_details\":{\"reason\":"
               "\"insufficient_system_resource\"}}",
               ERR_UPSTREAM_BUSY);
    check_body(id, "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"output\":\"text\"}", ERR_UPSTREAM_MALFORMED);
}

TEST(messages)
{
    enum surface_id id = SURFACE_MESSAGES;
    struct answer a =
        body_of(id, "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"usage\":"
                    "{\"input_tokens\":3,\"cache_creation_input_tokens\":2,\"cache_read_input_tokens\":4,"
                    "\"output_tokens\":6}}");

    CHECK(a.err == ERR_OK && a.usage.known); /* input_tokens leaves out what the cache took part in */
    CHECK(a.usage.prompt_tokens == 9 && a.usage.completion_tokens == 6 && a.usage.cached_tokens == 4);
    check_body(id, "{\"content\":[],\"stop_reason\":\"end_turn\"}", ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"content\":[],\"stop_reason\":\"max_tokens\"}", ERR_OK);
    check_body(id, "{\"content\":[]}", ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"content\":[{\"type\":\"text\",\"text\":\"\"}],\"stop_reason\":\"end_turn\"}",
               ERR_UPSTREAM_EMPTY);
    check_body(id, "{\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"tool_use\"}]}", ERR_OK);
    check_body(id, "{\"content\":\"a\"}", ERR_UPSTREAM_MALFORMED);
    check_body(id, "{\"content\":[{}],\"stop_reason\":\"insufficient_system_resource\"}", ERR_UPSTREAM_BUSY);
    check_body(id, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}",
               ERR_UPSTREAM_ERROR);
    check_body(id, "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}", ERR_UPSTREAM_MALFORMED);
}

static struct usage usage_of(const char *data, struct usage before)
{
    struct answer_opts o = {surface_get(SURFACE_MESSAGES), dialect_get(DIALECT_ANTHROPIC)};
    struct json_pool *pool = json_pool_new(8192);
    struct event e;

    answer_event(&o, slice_of(data), pool, &e);
    CHECK(e.has_usage);
    usage_update(&before, &e.usage);
    json_pool_free(&pool);
    return before;
}

/* The end repeats all counts, some of them, or only that of the answer. */
TEST(the_usage_of_a_stream_of_messages_comes_in_two_events)
{
    static const char *const ENDS[] = {
        "{\"output_tokens\":7}", "{\"output_tokens\":7,\"cache_read_input_tokens\":4}",
        "{\"output_tokens\":7,\"input_tokens\":null,\"cache_creation_input_tokens\":2}",
        "{\"output_tokens\":7,\"input_tokens\":3,\"cache_creation_input_tokens\":2,"
        "\"cache_read_input_tokens\":4}"};
    struct usage begin =
        usage_of("{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,"
                 "\"cache_creation_input_tokens\":2,\"cache_read_input_tokens\":4,\"output_tokens\":1}}}",
                 (struct usage){0});

    for (size_t i = 0; i < COUNT_OF(ENDS); i++) {
        char data[256];
        struct usage u;

        snprintf(data, sizeof data, "{\"type\":\"message_delta\",\"delta\":{},\"usage\":%s}", ENDS[i]);
        u = usage_of(data, begin);
        CHECK_INT(u.prompt_tokens, 9);
        CHECK_INT(u.cached_tokens, 4);
        CHECK_INT(u.completion_tokens, 7);
    }
}

TEST(what_no_surface_takes_for_an_answer)
{
    static const char *const BODIES[] = {"[]", "7",           "null", "{",
                                         "{}", "{\"a\":[[[[", "\"\"", "[{\"error\":{}}]"};

    for (int i = 0; i < SURFACE_N; i++) {
        for (size_t k = 0; k < COUNT_OF(BODIES); k++)
            CHECK(body_of((enum surface_id)i, BODIES[k]).err != ERR_OK);
        check_body((enum surface_id)i, "\"busy\"", ERR_UPSTREAM_ERROR);
    }
}
