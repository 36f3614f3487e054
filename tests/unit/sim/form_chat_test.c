/* SPDX-License-Identifier: MIT */
/* The exact bytes of answers in both forms. The prompt is the one of text_test.c: its answer begins with
 * "time", " tide". */
#include "form_kit.h"

#define HEAD                                                                                          \
    "data: {\"id\":\"chatcmpl-69c5d19579b663ab\",\"object\":\"chat.completion.chunk\",\"created\":7," \
    "\"model\":\"m\\\"\",\"system_fingerprint\":\"fp_sim\",\"choices\":["
#define OPEN HEAD "{\"index\":0,\"delta\":{"
#define CLOSE "},\"logprobs\":null,\"finish_reason\":null}]"

#define BODY(more) "{\"model\":\"m\\\"\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi there\"}]" more "}"
#define STREAM ",\"stream\":true"
#define USAGE STREAM ",\"stream_options\":{\"include_usage\":true}"

static void begin(struct answer *a, const char *body, bool deepseek, int words_n, int thoughts_n)
{
    make(a, &SIM_FORM_CHAT, body, deepseek, words_n);
    a->script.choices[0].thoughts.n = a->script.thoughts_n = (uint32_t)thoughts_n;
    a->script.tokens_n += (uint32_t)thoughts_n;
    SIM_FORM_CHAT.prepare(&a->script, &a->arena);
}

static struct slice first(struct answer *a)
{
    return SIM_FORM_CHAT.first(&a->script, &a->arena);
}

static struct slice token(struct answer *a, uint32_t i)
{
    return SIM_FORM_CHAT.token(&a->script, (struct sim_step){0, i}, &a->arena);
}

static struct slice end(struct answer *a, bool done)
{
    return SIM_FORM_CHAT.end(&a->script, done, &a->arena);
}

static struct slice plain(struct answer *a, uint32_t k, size_t *after)
{
    return SIM_FORM_CHAT.plain(&a->script, k, after, &a->arena);
}

TEST(openai_without_usage)
{
    struct answer a;
    struct arena *m = &a.arena;

    begin(&a, BODY(STREAM), false, 2, 0);
    CHECK_IS(first(&a), OPEN "\"role\":\"assistant\",\"content\":\"\"" CLOSE "}\n\n");
    CHECK_IS(token(&a, 0), OPEN "\"content\":\"time\"" CLOSE "}\n\n");
    CHECK_IS(token(&a, 1), OPEN "\"content\":\" tide\"" CLOSE "}\n\n");
    CHECK_IS(end(&a, true), OPEN "},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    CHECK_IS(end(&a, false), OPEN "},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
    arena_fini(m);
}

TEST(openai_with_usage_has_a_chunk_for_it_and_null_elsewhere)
{
    struct answer a;
    struct arena *m = &a.arena;

    begin(&a, BODY(USAGE ",\"max_tokens\":2"), false, 3, 0);
    CHECK_IS(token(&a, 0), OPEN "\"content\":\"time\"" CLOSE ",\"usage\":null}\n\n");
    CHECK_IS(end(&a, true),
             OPEN "},\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":null}\n\n" HEAD
                  "],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2,\"total_tokens\":4,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":0},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\ndata: [DONE]\n\n");
    arena_fini(m);
}

TEST(deepseek_ends_on_its_last_token)
{
    struct answer a;
    struct arena *m = &a.arena;

    begin(&a, BODY(USAGE), true, 2, 0);
    CHECK_IS(first(&a), OPEN "\"role\":\"assistant\",\"content\":\"\"" CLOSE "}\n\n");
    CHECK_IS(token(&a, 0), OPEN "\"content\":\"time\"" CLOSE "}\n\n");
    CHECK_IS(token(&a, 1), OPEN "\"content\":\" tide\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                                "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2,\"total_tokens\":4,"
                                "\"prompt_cache_hit_tokens\":0,\"prompt_cache_miss_tokens\":2,"
                                "\"prompt_tokens_details\":{\"cached_tokens\":0},"
                                "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\n");
    CHECK_IS(end(&a, true), "data: [DONE]\n\n");
    arena_fini(m);
}

TEST(deepseek_thinks_first)
{
    struct answer a;
    struct arena *m = &a.arena;

    begin(&a, BODY(STREAM), true, 1, 1);
    CHECK_IS(first(&a),
             OPEN "\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\"" CLOSE "}\n\n");
    CHECK_IS(token(&a, 0), OPEN "\"content\":null,\"reasoning_content\":\"a\"" CLOSE "}\n\n");
    CHECK_IS(token(&a, 1), OPEN "\"content\":\"time\",\"reasoning_content\":null},\"logprobs\":null,"
                                "\"finish_reason\":\"stop\"}]}\n\n");
    arena_fini(m);
}

TEST(deepseek_with_nothing_to_say_still_ends)
{
    struct answer a;
    struct arena *m = &a.arena;

    begin(&a, BODY(STREAM), true, 0, 0);
    CHECK_IS(end(&a, true),
             OPEN "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    arena_fini(m);
}

TEST(a_malformed_event_is_one_event_and_no_json)
{
    struct answer a;

    begin(&a, BODY(STREAM), false, 1, 0);
    CHECK_IS(SIM_FORM_CHAT.malformed(&a.script, &a.arena), OPEN "\"content\":\"broken\n\n");
    arena_fini(&a.arena);
}

/* Whether an event or a body is JSON; its content goes to `out` (64 bytes). */
static bool is_json(struct slice text, const char *part, char *out)
{
    struct json_doc *doc;
    struct slice content;

    if (slice_starts(text, SLICE("data: ")))
        text = slice_from(text, 6);
    if (json_parse(text, NULL, &doc, NULL) != ERR_OK)
        return false;
    content =
        json_string(json_get(json_get(json_at(json_get(json_root(doc), "choices"), 0), part), "content"));
    snprintf(out, 64, "%.*s", SLICE_ARG(content));
    json_free(&doc);
    return true;
}

TEST(events_are_padded_to_the_byte)
{
    static const size_t SIZES[] = {300, 301, 1000, 70000, 1048577};
    struct answer a;
    char content[64];

    begin(&a, BODY(STREAM), false, 2, 0);
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        struct slice event;

        a.script.size = SIZES[i];
        event = token(&a, 1);
        CHECK_INT(event.n, SIZES[i]);
        CHECK(is_json(event, "delta", content));
        CHECK_STR(content, " tide");
        a.script.size = SIZES[i] + 200;
        CHECK_INT(plain(&a, 0, NULL).n, SIZES[i] + 200);
    }
    a.script.size = 10; /* less than there is: as it is */
    CHECK_IS(token(&a, 1), OPEN "\"content\":\" tide\"" CLOSE "}\n\n");
    arena_fini(&a.arena);
}

TEST(a_plain_answer_is_whole_and_knows_where_its_tokens_end)
{
    struct answer a;
    char content[64];
    size_t after;
    struct slice body;

    begin(&a, BODY(STREAM), true, 3, 2);
    body = plain(&a, 3, &after);
    CHECK(is_json(body, "message", content));
    CHECK_STR(content, "time tide to");
    CHECK(slice_ends((struct slice){body.p, after},
                     SLICE("\"reasoning_content\":\"a calm\",\"content\":\"time")));
    body = plain(&a, 1, &after);
    CHECK(slice_ends((struct slice){body.p, after}, SLICE("\"reasoning_content\":\"a")));
    CHECK(is_json(body, "message", content));
    CHECK_STR(content, "time tide to");
    body = plain(&a, 99, &after);
    CHECK(slice_ends((struct slice){body.p, after}, SLICE("\"content\":\"time tide to")));
    arena_fini(&a.arena);
}
