/* SPDX-License-Identifier: MIT */
/* Every API through the simulator: several choices, prompt lists, tool calls, embeddings, messages,
 * responses, and the comments that tidegate writes. */
#include "base/json.h"
#include "sim_kit.h"

#define CHAT "/v1/chat/completions"
#define ASK "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"

static struct caller *ask(struct kit *k, const char *path, const char *body)
{
    struct caller *c = kit_call(k, path, body, NULL);

    kit_run(k, 20 * CLOCK_SECOND_US);
    return c;
}

static void begin(struct kit *k)
{
    struct sim_opts o;

    sim_opts_default(&o);
    o.deepseek = true;
    kit_init(k, &o);
}

/* The member at a path such as "choices/1/message/content" of a JSON text, as text. */
static void at_path(struct slice json, const char *path, char *out, size_t n)
{
    struct slice rest = slice_of(path);
    struct json_doc *doc = NULL;
    struct json_value v;

    out[0] = '\0';
    if (!CHECK_INT(json_parse(json, NULL, &doc, NULL), ERR_OK))
        return;
    v = json_root(doc);
    while (rest.p != NULL) {
        struct slice key = slice_cut(rest, '/', &rest);
        char name[64];
        uint64_t i;

        snprintf(name, sizeof name, "%.*s", SLICE_ARG(key));
        v = slice_to_u64(key, 1000, &i) ? json_at(v, i) : json_get(v, name);
    }
    if (json_is_string(v))
        snprintf(out, n, "%.*s", SLICE_ARG(json_string(v)));
    else if (json_is_number(v))
        snprintf(out, n, "%lld", (long long)json_int(v, -1));
    json_free(&doc);
}

#define CHECK_AT(c, path, want)                                    \
    do {                                                           \
        char text_[2048];                                          \
        at_path(buf_slice(&(c)->body), path, text_, sizeof text_); \
        CHECK_STR(text_, want);                                    \
    } while (0)

/* Joins the texts at `path` of all data events whose choice has that index. */
static void join_events(const struct caller *c, const char *path, const char *index, char *out, size_t n)
{
    struct slice rest = buf_slice(&c->body);
    size_t at = 0;

    out[0] = '\0';
    while (rest.p != NULL) {
        struct slice line = slice_cut(rest, '\n', &rest);
        char text[2048], which[16];

        if (!slice_starts(line, SLICE("data: {")))
            continue;
        at_path(slice_from(line, 6), "choices/0/index", which, sizeof which);
        if (index != NULL && strcmp(which, index) != 0)
            continue;
        at_path(slice_from(line, 6), path, text, sizeof text);
        at += (size_t)snprintf(out + at, n - at, "%s", text);
    }
}

TEST(several_choices_take_turns_and_are_each_their_own)
{
    struct caller *plain, *stream, *one;
    char text[2][4096], joined[4096];
    struct kit k;

    begin(&k);
    one = ask(&k, CHAT, "{\"model\":\"m\"," ASK "}");
    plain = ask(&k, CHAT, "{\"model\":\"m\",\"n\":3," ASK "}");
    stream = ask(&k, CHAT, "{\"model\":\"m\",\"n\":3,\"stream\":true," ASK "}");
    at_path(buf_slice(&plain->body), "choices/0/message/content", text[0], sizeof text[0]);
    CHECK_MEM(text[0], strlen(text[0]), one->text.p, one->text.n);
    at_path(buf_slice(&plain->body), "choices/2/message/content", text[1], sizeof text[1]);
    CHECK(strcmp(text[0], text[1]) != 0 && strlen(text[1]) > 20);
    CHECK_AT(plain, "choices/2/index", "2");
    CHECK_AT(plain, "choices/2/finish_reason", "stop");
    CHECK(stream->complete && stream->done);
    CHECK_INT(buf_count(&stream->body, "\"finish_reason\":\"stop\""), 3);
    CHECK_INT(buf_count(&stream->body, "\"role\":\"assistant\""), 3);
    join_events(stream, "choices/0/delta/content", "0", joined, sizeof joined);
    CHECK_STR(joined, text[0]);
    join_events(stream, "choices/0/delta/content", "2", joined, sizeof joined);
    CHECK_STR(joined, text[1]);
    kit_fini(&k);
}

TEST(deepseeks_choices_end_one_by_one_and_count_once)
{
    struct caller *c;
    struct kit k;

    begin(&k);
    c = ask(&k, "/chat/completions",
            "{\"model\":\"m\",\"n\":4,\"stream\":true,\"stream_options\":{\"include_usage\":true}," ASK "}");
    CHECK(c->complete && c->done);
    CHECK_INT(buf_count(&c->body, "\"finish_reason\":\"stop\""), 4);
    CHECK_INT(buf_count(&c->body, "\"usage\":{"), 1);
    CHECK(slice_find(buf_slice(&c->body), SLICE("}}}\n\ndata: [DONE]\n\n")) >= 0); /* on the very last */
    kit_fini(&k);
}

TEST(faults_have_their_shape_in_every_api)
{
    static const char *const PATHS[] = {"/v1/completions", "/v1/messages", "/v1/responses"};
    static const char body[] = "{\"model\":\"m~tokens=9,%s\",\"stream\":%s,\"prompt\":\"x\",\"input\":\"x\","
                               "\"max_tokens\":50," ASK "}";
    static const char *const BROKEN[] = {"cut=2", "reset=2", "too_short", "garbage", "reset_head", "drop"};
    char text[256];

    for (size_t i = 0; i < 3 * (sizeof BROKEN / sizeof BROKEN[0]); i++) {
        for (int stream = 0; stream < 2; stream++) {
            const char *fault = BROKEN[i / 3];
            struct caller *c;
            struct kit k;

            begin(&k);
            snprintf(text, sizeof text, body, fault, stream ? "true" : "false");
            c = ask(&k, PATHS[i % 3], text);
            if (!CHECK(!c->complete || (!stream && i / 3 == 2)))
                printf("# %s %s\n", PATHS[i % 3], text);
            kit_fini(&k);
        }
    }
}

TEST(a_list_of_prompts_is_answered_in_order_with_all_samples)
{
    struct caller *alone, *list, *stream, *ids;
    char want[1024], got[1024];
    struct kit k;

    begin(&k);
    alone = ask(&k, "/v1/completions", "{\"model\":\"m\",\"prompt\":\"b\"}");
    CHECK_AT(alone, "object", "text_completion");
    CHECK_AT(alone, "choices/0/finish_reason", "length"); /* 16 tokens unless the request says otherwise */
    CHECK_AT(alone, "usage/completion_tokens", "16");
    at_path(buf_slice(&alone->body), "choices/0/text", want, sizeof want);
    list = ask(&k, "/v1/completions", "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"n\":2}");
    CHECK_AT(list, "choices/2/text", want);
    CHECK_AT(list, "choices/3/index", "3");
    CHECK_AT(list, "choices/4/index", "");
    CHECK_AT(list, "usage/completion_tokens", "64");
    stream = ask(&k, "/v1/completions",
                 "{\"model\":\"m\",\"prompt\":[\"a\",\"b\"],\"stream\":true,\"stream_options\":{\"include_"
                 "usage\":true}}");
    CHECK(stream->complete && stream->done);
    join_events(stream, "choices/0/text", "1", got, sizeof got);
    CHECK_STR(got, want);
    CHECK(buf_has(&stream->body, "\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":32,"));
    ids = ask(&k, "/beta/completions", "{\"model\":\"m\",\"prompt\":[[1,2,3],[4]],\"max_tokens\":2}");
    CHECK_AT(ids, "choices/1/index", "1");
    CHECK_AT(ids, "usage/prompt_tokens", "4");
    kit_fini(&k);
}

TEST(a_tool_is_called_when_there_is_one_and_it_is_asked_for)
{
#define TOOLS ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"tide\",\"parameters\":{}}}]"
    struct caller *plain, *stream, *deep, *none;
    char want[256], got[256];
    struct json_doc *doc = NULL;
    struct kit k;

    begin(&k);
    plain = ask(&k, CHAT, "{\"model\":\"m~tool\"," ASK TOOLS "}");
    CHECK_AT(plain, "choices/0/message/tool_calls/0/function/name", "tide");
    CHECK_AT(plain, "choices/0/finish_reason", "tool_calls");
    at_path(buf_slice(&plain->body), "choices/0/message/tool_calls/0/function/arguments", want, sizeof want);
    CHECK_INT(json_parse(slice_of(want), NULL, &doc, NULL), ERR_OK);
    CHECK(slice_starts(json_string(json_get(json_root(doc), "place")), SLICE("harbour ")));
    json_free(&doc);
    stream = ask(&k, CHAT, "{\"model\":\"m~tool\",\"stream\":true," ASK TOOLS "}");
    deep = ask(&k, "/chat/completions", "{\"model\":\"m~tool\",\"stream\":true," ASK TOOLS "}");
    for (int i = 0; i < 2; i++) {
        struct caller *c = i == 0 ? stream : deep;

        join_events(c, "choices/0/delta/tool_calls/0/function/arguments", NULL, got, sizeof got);
        CHECK_STR(got, want);
        join_events(c, "choices/0/delta/tool_calls/0/function/name", NULL, got, sizeof got);
        CHECK_STR(got, "tide");
        CHECK_INT(buf_count(&c->body, "\"finish_reason\":\"tool_calls\""), 1);
        CHECK(c->done);
    }
    none = ask(&k, CHAT, "{\"model\":\"m~tool\"," ASK "}");
    CHECK_AT(none, "choices/0/finish_reason", "stop");
    kit_fini(&k);
}

TEST(embeddings_follow_from_the_input_in_both_forms)
{
    struct caller *one, *again, *list, *base;
    char a[256], b[256];
    struct kit k;

    begin(&k);
    one = ask(&k, "/v1/embeddings", "{\"model\":\"m\",\"input\":\"b\"}");
    again = ask(&k, "/v1/embeddings", "{\"model\":\"m\",\"input\":\"b\"}");
    CHECK_MEM(one->body.p, one->body.n, again->body.p, again->body.n);
    CHECK_AT(one, "object", "list");
    CHECK_INT(buf_count(&one->body, ","), 15 + 6); /* sixteen numbers */
    list = ask(&k, "/v1/embeddings", "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":4}");
    CHECK_AT(list, "data/1/index", "1");
    CHECK_AT(list, "usage/total_tokens", "2");
    base = ask(&k, "/v1/embeddings",
               "{\"model\":\"m\",\"input\":[\"a\",[7,8]],\"dimensions\":3,\"encoding_format\":\"base64\"}");
    at_path(buf_slice(&base->body), "data/0/embedding", a, sizeof a);
    at_path(buf_slice(&base->body), "data/1/embedding", b, sizeof b);
    CHECK_INT((long long)strlen(a), 16); /* twelve bytes */
    CHECK(strcmp(a, b) != 0);
    CHECK_INT(ask(&k, "/v1/embeddings", "{\"model\":\"m~429\",\"input\":\"b\"}")->status, 429);
    CHECK(!ask(&k, "/v1/embeddings", "{\"model\":\"m~cut\",\"input\":\"b\"}")->complete);
    CHECK_INT(ask(&k, "/v1/embeddings", "{\"model\":\"m\",\"input\":[]}")->status, 400);
    CHECK_INT(ask(&k, "/v1/embeddings", "{\"model\":\"m\",\"input\":\"b\",\"dimensions\":5000}")->status,
              400);
    kit_fini(&k);
}

TEST(messages_have_anthropics_form)
{
    struct caller *plain, *stream, *bad, *busy, *broken;
    char want[4096], got[4096];
    struct kit k;

    begin(&k);
    plain = ask(&k, "/v1/messages", "{\"model\":\"m~tokens=9\",\"max_tokens\":50," ASK "}");
    CHECK_AT(plain, "type", "message");
    CHECK_AT(plain, "stop_reason", "end_turn");
    CHECK_AT(plain, "usage/output_tokens", "9");
    at_path(buf_slice(&plain->body), "content/0/text", got, sizeof got);
    want[expected_text("x", 9, want)] = '\0';
    CHECK_STR(got, want);
    stream = ask(&k, "/anthropic/v1/messages",
                 "{\"model\":\"m~tokens=9,queue=1500ms\",\"max_tokens\":5,\"stream\":true," ASK "}");
    CHECK(stream->complete && !stream->done);
    CHECK(slice_starts(buf_slice(&stream->body), SLICE("event: ping\ndata: {\"type\": \"ping\"}\n\n")));
    join_events(stream, "delta/text", NULL, got, sizeof got);
    want[expected_text("x", 5, want)] = '\0';
    CHECK_STR(got, want);
    CHECK(buf_has(&stream->body, "\"stop_reason\":\"max_tokens\""));
    CHECK(slice_ends(buf_slice(&stream->body),
                     SLICE("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")));
    bad = ask(&k, "/v1/messages", "{\"model\":\"m\"," ASK "}");
    CHECK_INT(bad->status, 400);
    CHECK_AT(bad, "error/type", "invalid_request_error");
    CHECK_AT(bad, "type", "error");
    busy = ask(&k, "/v1/messages", "{\"model\":\"m~429\",\"max_tokens\":5," ASK "}");
    CHECK_AT(busy, "type", "error");
    broken = ask(&k, "/v1/messages", "{\"model\":\"m~error=2\",\"max_tokens\":50,\"stream\":true," ASK "}");
    CHECK(buf_has(&broken->body, "event: error\ndata: {\"type\":\"error\""));
    kit_fini(&k);
}

TEST(responses_have_their_form)
{
    struct caller *plain, *stream, *cut, *broken;
    char want[4096], got[4096];
    struct kit k;

    begin(&k);
    plain = ask(&k, "/v1/responses", "{\"model\":\"m~tokens=9\",\"input\":\"x\"}");
    CHECK_AT(plain, "status", "completed");
    want[expected_text("x", 9, want)] = '\0';
    CHECK_AT(plain, "output/0/content/0/text", want);
    CHECK_AT(plain, "usage/output_tokens", "9");
    stream =
        ask(&k, "/v1/responses",
            "{\"model\":\"m~tokens=9\",\"stream\":true,\"input\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    CHECK(stream->complete && !stream->done);
    join_events(stream, "delta", NULL, got, sizeof got);
    CHECK_STR(got, want);
    CHECK_INT(buf_count(&stream->body, "\"sequence_number\":"), 4 + 9 + 3);
    CHECK(buf_has(&stream->body, "event: response.completed\ndata: {\"type\":\"response.completed\","
                                 "\"sequence_number\":15,"));
    cut = ask(&k, "/v1/responses", "{\"model\":\"m~tokens=9\",\"input\":\"x\",\"max_output_tokens\":2}");
    CHECK_AT(cut, "status", "incomplete");
    CHECK_AT(cut, "incomplete_details/reason", "max_output_tokens");
    broken = ask(&k, "/v1/responses", "{\"model\":\"m~error=2\",\"stream\":true,\"input\":\"x\"}");
    CHECK(buf_has(&broken->body, "event: response.failed\ndata: {"));
    join_events(broken, "response/error/code", NULL, got, sizeof got);
    CHECK_STR(got, "server_error");
    kit_fini(&k);
}

TEST(continuing_needs_the_providers_own_way)
{
#define SAID \
    "\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\"%s}]"
    static const struct {
        const char *path, *model, *flag, *more;
        int status;
        bool goes_on;
    } ROWS[] = {
        {"/beta/chat/completions", "deepseek-flash", ",\"prefix\":true", "", 200, true},
        {"/chat/completions", "deepseek-flash", ",\"prefix\":true", "", 400, false},
        {CHAT, "m", "", ",\"continue_final_message\":true", 200, true},
        {CHAT, "m~continue", "", "", 200, true},
        {CHAT, "m", "", "", 200, false},
    };
    char want[8192];
    size_t want_n = expected_text("x", sim_text_length(sim_text_hash(SLICE("x"), 0), 64), want);
    struct kit k;

    begin(&k);
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct caller *c;
        char body[256];

        snprintf(body, sizeof body, "{\"model\":\"%s\"," SAID "%s}", ROWS[i].model, ROWS[i].flag,
                 ROWS[i].more);
        c = ask(&k, ROWS[i].path, body);
        if (!CHECK_INT(c->status, ROWS[i].status))
            printf("# %zu: %.*s\n", i, (int)c->body.n, c->body.p);
        CHECK((c->text.n == want_n && memcmp(c->text.p, want, want_n) == 0) == ROWS[i].goes_on);
    }
    kit_fini(&k);
}

TEST(comments_stand_where_they_are_asked_for)
{
    static const struct {
        const char *place;
        int waiting_n, queued_n, ids_n, last_n;
    } ROWS[] = {{"first", 1, 1, 0, 0},
                {"between", 5, 0, 0, 0},
                {"id", 6, 0, 6, 0},
                {"done", 0, 0, 0, 1},
                {"all", 12, 1, 6, 1}};

    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        struct caller *c;
        struct kit k;
        char body[256];

        begin(&k);
        snprintf(body, sizeof body, "{\"model\":\"m~tokens=3,comments=%s\",\"stream\":true," ASK "}",
                 ROWS[i].place);
        c = ask(&k, CHAT, body);
        CHECK(c->complete && c->done);
        check_text(c, "x", 3);
        CHECK_INT(buf_count(&c->body, ": waiting\n"), ROWS[i].waiting_n);
        CHECK_INT(buf_count(&c->body, ": queued position=3 eta=4s\n"), ROWS[i].queued_n);
        CHECK_INT(buf_count(&c->body, "id: "), ROWS[i].ids_n);
        CHECK_INT(buf_count(&c->body, ": tidegate endpoint=sim attempts=1 wait_ms=0\n"), ROWS[i].last_n);
        CHECK_INT(buf_count(&c->body, "\n\n"), 6); /* a comment has no blank line of its own */
        CHECK_INT(buf_count(&c->body, "\n\n\n"), 0);
        kit_fini(&k);
    }
}
