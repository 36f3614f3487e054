/* SPDX-License-Identifier: MIT */
/* Requests that the simulator takes, and those it complains of. */
#include "sim/ask.h"

#include "sim/text.h"
#include "tap.h"

struct parsed {
    struct arena arena;
    struct sim_ask ask;
    struct sim_complaint bad;
    bool fine;
};

static void parse(struct parsed *p, const char *body)
{
    arena_init(&p->arena, NULL, 0, 1024);
    p->bad = (struct sim_complaint){NULL, NULL};
    p->fine = sim_ask_parse(slice_of(body), sim_ask_chat, NULL, &p->arena, &p->ask, &p->bad);
}

TEST(reads_what_a_plain_request_says)
{
    struct parsed p;

    parse(&p, "{\"model\":\"a\\u0062~cut\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"},"
              "{\"role\":\"user\",\"content\":\"y\\n\"}]}");
    CHECK(p.fine);
    CHECK_MEM(p.ask.model.p, p.ask.model.n, "ab~cut", 6);
    CHECK(!p.ask.stream && !p.ask.include_usage && p.ask.thinking);
    CHECK_INT(p.ask.max_tokens, -1);
    CHECK_INT(p.ask.prompts[0].bytes, 3);
    CHECK(p.ask.prompts[0].hash == sim_text_hash(SLICE("y\n"), sim_text_hash(SLICE("x"), 0)));
    arena_fini(&p.arena);
}

TEST(text_parts_count_like_a_string_and_others_not_at_all)
{
    struct parsed whole, parts;

    parse(&whole, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"y\"}]}");
    parse(&parts, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":null},"
                  "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"z\"}},"
                  "{\"type\":\"text\",\"text\":\"y\"}]}]}");
    CHECK(whole.fine && parts.fine);
    CHECK(whole.ask.prompts[0].hash == parts.ask.prompts[0].hash);
    arena_fini(&whole.arena);
    arena_fini(&parts.arena);
}

TEST(reads_flags_and_bounds)
{
    struct parsed p;

    parse(&p, "{\"model\":\"m\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"max_tokens\":9,"
              "\"max_completion_tokens\":7,\"thinking\":{\"type\":\"disabled\"},"
              "\"messages\":[{\"role\":\"user\",\"content\":\"y\"}]}");
    CHECK(p.fine && p.ask.stream && p.ask.include_usage && !p.ask.thinking);
    CHECK_INT(p.ask.max_tokens, 7);
    arena_fini(&p.arena);
    parse(&p, "{\"model\":\"m\",\"stream\":null,\"stream_options\":null,\"max_tokens\":9,"
              "\"reasoning_effort\":\"none\",\"messages\":[{\"role\":\"user\",\"content\":\"y\"}]}");
    CHECK(p.fine && !p.ask.stream && !p.ask.thinking);
    CHECK_INT(p.ask.max_tokens, 9);
    arena_fini(&p.arena);
}

TEST(complains_of_the_member_that_is_wrong)
{
#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"y\"}]"
    static const struct {
        const char *body, *param;
    } BAD[] = {
        {"", NULL},
        {"{", NULL},
        {"[]", NULL},
        {"{}", "model"},
        {"{\"model\":7," MESSAGES "}", "model"},
        {"{\"model\":\"\"," MESSAGES "}", "model"},
        {"{\"model\":\"m\"}", "messages"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages"},
        {"{\"model\":\"m\",\"messages\":{}}", "messages"},
        {"{\"model\":\"m\",\"messages\":[\"y\"]}", "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"content\":\"y\"}]}", "messages"},
        {"{\"model\":\"m\",\"stream\":1," MESSAGES "}", "stream"},
        {"{\"model\":\"m\",\"stream\":true,\"stream_options\":true," MESSAGES "}", "stream_options"},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":true}," MESSAGES "}", "stream_options"},
        {"{\"model\":\"m\",\"n\":0," MESSAGES "}", "n"},
        {"{\"model\":\"m\",\"n\":129," MESSAGES "}", "n"},
        {"{\"model\":\"m\",\"max_tokens\":0," MESSAGES "}", "max_tokens"},
        {"{\"model\":\"m\",\"max_tokens\":\"9\"," MESSAGES "}", "max_tokens"},
        {"{\"model\":\"m\",\"max_completion_tokens\":-1," MESSAGES "}", "max_tokens"},
        {"{\"model\":\"m\",\"continue_final_message\":true," MESSAGES "}", "messages"},
    };

    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct parsed p;

        parse(&p, BAD[i].body);
        CHECK(!p.fine);
        CHECK_STR(p.bad.param, BAD[i].param);
        CHECK(p.bad.text != NULL);
        arena_fini(&p.arena);
    }
}

TEST(a_model_name_has_256_bytes_at_most)
{
    char body[512], name[258];
    struct parsed p;

    memset(name, 'm', sizeof name);
    snprintf(body, sizeof body, "{\"model\":\"%.256s\"," MESSAGES "}", name);
    parse(&p, body);
    CHECK(p.fine);
    arena_fini(&p.arena);
    snprintf(body, sizeof body, "{\"model\":\"%.257s\"," MESSAGES "}", name);
    parse(&p, body);
    CHECK(!p.fine);
    arena_fini(&p.arena);
}
