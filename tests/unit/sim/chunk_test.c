/* SPDX-License-Identifier: MIT */
/* The exact bytes of answers in both forms. The prompt is the one of text_test.c: its answer begins with
 * "time", " tide". */
#include "sim/chunk.h"

#include "sim/text.h"
#include "tap.h"

#define HEAD                                                                                          \
    "data: {\"id\":\"chatcmpl-69c5d19579b663ab\",\"object\":\"chat.completion.chunk\",\"created\":7," \
    "\"model\":\"m\\\"\",\"system_fingerprint\":\"fp_sim\",\"choices\":["
#define OPEN HEAD "{\"index\":0,\"delta\":{"
#define CLOSE "},\"logprobs\":null,\"finish_reason\":null}]"

struct answer {
    struct arena arena;
    struct sim_ask ask;
    struct sim_script script;
};

static void make(struct answer *a, struct sim_script script, bool include_usage)
{
    arena_init(&a->arena, NULL, 0, 4096);
    a->ask = (struct sim_ask){.model = SLICE("m\""),
                              .stream = true,
                              .include_usage = include_usage,
                              .hash = sim_text_hash(SLICE("Hi there"), 0),
                              .text_bytes = 8};
    a->script = script;
    a->script.ask = &a->ask;
    sim_chunk_prepare(&a->script, &a->arena, 7);
}

#define CHECK_IS(got, want)                                \
    do {                                                   \
        struct slice got_ = (got);                         \
        CHECK_MEM(got_.p, got_.n, want, sizeof(want) - 1); \
    } while (0)

TEST(openai_without_usage)
{
    struct answer a;
    struct arena *m = &a.arena;

    make(&a, (struct sim_script){.words_n = 2}, false);
    CHECK_IS(sim_chunk_first(&a.script, m), OPEN "\"role\":\"assistant\",\"content\":\"\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_token(&a.script, 0, m), OPEN "\"content\":\"time\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_token(&a.script, 1, m), OPEN "\"content\":\" tide\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_end(&a.script, true, m),
             OPEN "},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    CHECK_IS(sim_chunk_end(&a.script, false, m),
             OPEN "},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
    arena_fini(m);
}

TEST(openai_with_usage_has_a_chunk_for_it_and_null_elsewhere)
{
    struct answer a;
    struct arena *m = &a.arena;

    make(&a, (struct sim_script){.words_n = 2, .finish = "length"}, true);
    CHECK_IS(sim_chunk_token(&a.script, 0, m), OPEN "\"content\":\"time\"" CLOSE ",\"usage\":null}\n\n");
    CHECK_IS(sim_chunk_end(&a.script, true, m),
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

    make(&a, (struct sim_script){.deepseek = true, .words_n = 2}, true);
    CHECK_IS(sim_chunk_first(&a.script, m), OPEN "\"role\":\"assistant\",\"content\":\"\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_token(&a.script, 0, m), OPEN "\"content\":\"time\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_token(&a.script, 1, m),
             OPEN "\"content\":\" tide\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                  "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":2,\"total_tokens\":4,"
                  "\"prompt_cache_hit_tokens\":0,\"prompt_cache_miss_tokens\":2,"
                  "\"prompt_tokens_details\":{\"cached_tokens\":0},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":0}}}\n\n");
    CHECK_IS(sim_chunk_end(&a.script, true, m), "data: [DONE]\n\n");
    arena_fini(m);
}

TEST(deepseek_thinks_first)
{
    struct answer a;
    struct arena *m = &a.arena;

    make(&a, (struct sim_script){.deepseek = true, .words_n = 1, .thoughts_n = 1}, false);
    CHECK_IS(sim_chunk_first(&a.script, m),
             OPEN "\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_token(&a.script, 0, m),
             OPEN "\"content\":null,\"reasoning_content\":\"a\"" CLOSE "}\n\n");
    CHECK_IS(sim_chunk_token(&a.script, 1, m),
             OPEN "\"content\":\"time\",\"reasoning_content\":null},\"logprobs\":null,"
                  "\"finish_reason\":\"stop\"}]}\n\n");
    arena_fini(m);
}

TEST(deepseek_with_nothing_to_say_still_ends)
{
    struct answer a;
    struct arena *m = &a.arena;

    make(&a, (struct sim_script){.deepseek = true}, false);
    CHECK_IS(sim_chunk_end(&a.script, true, m),
             OPEN "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
    arena_fini(m);
}

TEST(a_malformed_event_is_one_event_and_no_json)
{
    struct answer a;

    make(&a, (struct sim_script){.words_n = 1}, false);
    CHECK_IS(sim_chunk_malformed(&a.script, &a.arena), OPEN "\"content\":\"broken\n\n");
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

    make(&a, (struct sim_script){.words_n = 2}, false);
    for (size_t i = 0; i < sizeof SIZES / sizeof SIZES[0]; i++) {
        struct slice event;

        a.script.size = SIZES[i];
        event = sim_chunk_token(&a.script, 1, &a.arena);
        CHECK_INT(event.n, SIZES[i]);
        CHECK(is_json(event, "delta", content));
        CHECK_STR(content, " tide");
        a.script.size = SIZES[i] + 200;
        CHECK_INT(sim_chunk_plain(&a.script, 7, 0, NULL, &a.arena).n, SIZES[i] + 200);
    }
    a.script.size = 10; /* less than there is: as it is */
    CHECK_IS(sim_chunk_token(&a.script, 1, &a.arena), OPEN "\"content\":\" tide\"" CLOSE "}\n\n");
    arena_fini(&a.arena);
}

TEST(a_plain_answer_is_whole_and_knows_where_its_tokens_end)
{
    struct answer a;
    char content[64];
    size_t after;
    struct slice body;

    make(&a, (struct sim_script){.deepseek = true, .words_n = 3, .thoughts_n = 2}, false);
    body = sim_chunk_plain(&a.script, 7, 3, &after, &a.arena);
    CHECK(is_json(body, "message", content));
    CHECK_STR(content, "time tide to");
    CHECK(slice_ends((struct slice){body.p, after},
                     SLICE("\"reasoning_content\":\"a calm\",\"content\":\"time")));
    body = sim_chunk_plain(&a.script, 7, 1, &after, &a.arena);
    CHECK(slice_ends((struct slice){body.p, after}, SLICE("\"reasoning_content\":\"a")));
    CHECK(is_json(body, "message", content));
    CHECK_STR(content, "time tide to");
    body = sim_chunk_plain(&a.script, 7, 99, &after, &a.arena);
    CHECK(slice_ends((struct slice){body.p, after}, SLICE("\"content\":\"time tide to")));
    arena_fini(&a.arena);
}
