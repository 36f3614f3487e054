/* SPDX-License-Identifier: MIT */
/* Going on with an answer that broke off: at whatever character it is cut, what was had and what follows are
 * the answer that was never cut, byte for byte; in the text and in the thoughts, in each provider's way of
 * asking. */
#include "base/utf8.h"
#include "form_kit.h"

/* {"model":..., "messages":[user, assistant said/thought], more} */
static const char *body_of(struct slice said, struct slice thought, const char *flag, const char *more)
{
    static struct arena arena;
    static bool made;
    struct slice s, t;

    if (made)
        arena_fini(&arena);
    arena_init(&arena, NULL, 0, 16384);
    made = true;
    s = sim_form_string(said, &arena);
    t = sim_form_string(thought, &arena);
    return arena_printf(&arena,
                        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi there\"},"
                        "{\"role\":\"assistant\",\"content\":%.*s,\"reasoning_content\":%.*s%s}]%s}",
                        SLICE_ARG(s), SLICE_ARG(t), flag, more)
        .p;
}

struct cast {
    struct arena arena;
    struct sim_ask ask;
    struct sim_plan plan;
    struct sim_script script;
    struct buf thoughts, words; /* with escapes undone */
};

static void undo(struct cast *c, struct buf *out, uint32_t from, uint32_t to)
{
    char text[SIM_TOKEN_JSON_MAX + 2] = "\"";

    for (uint32_t i = from; i < to; i++) {
        size_t n = sim_step_json(&c->script, (struct sim_step){0, i}, text + 1);
        struct json_doc *doc = NULL;

        text[n + 1] = '"';
        CHECK_INT(json_parse((struct slice){text, n + 2}, NULL, &doc, NULL), ERR_OK);
        CHECK_INT(buf_add(out, json_string(json_root(doc))), ERR_OK);
        json_free(&doc);
    }
}

static void cast(struct cast *c, const char *body, bool thinks)
{
    struct sim_complaint bad = {NULL, NULL};
    struct sim_casting k = {.ask = &c->ask, .plan = &c->plan, .mean = 40, .thinks = thinks};
    const struct sim_choice *choice;

    memset(c, 0, sizeof *c);
    c->plan.tokens = -1;
    arena_init(&c->arena, NULL, 0, 4096);
    buf_init(&c->thoughts, 65536, NULL);
    buf_init(&c->words, 65536, NULL);
    CHECK(sim_ask_parse(slice_of(body), sim_ask_chat, NULL, &c->arena, &c->ask, &bad));
    k.continues = c->ask.asks_to_continue;
    sim_script_write(&c->script, &k, &c->arena);
    choice = &c->script.choices[0];
    undo(c, &c->thoughts, 0, choice->thoughts.n);
    undo(c, &c->words, choice->thoughts.n, sim_choice_tokens(choice));
}

static void uncast(struct cast *c)
{
    buf_fini(&c->thoughts);
    buf_fini(&c->words);
    arena_fini(&c->arena);
}

static bool joins(struct slice head, const struct buf *tail, const struct buf *whole)
{
    return head.n + tail->n == whole->n && memcmp(whole->p, head.p, head.n) == 0 &&
           (tail->n == 0 || memcmp(whole->p + head.n, tail->p, tail->n) == 0);
}

static const char UNCUT[] = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi there\"}]}";

TEST(an_answer_cut_at_any_character_goes_on_to_the_byte)
{
    static const struct {
        const char *flag, *more;
    } WAYS[] = {{",\"prefix\":true", ""},
                {"", ",\"continue_final_message\":true,\"add_generation_prompt\":false"}};
    struct cast whole;

    cast(&whole, UNCUT, true);
    CHECK(whole.words.n > 60 && whole.thoughts.n > 10);
    for (size_t way = 0; way < 2; way++) {
        for (size_t cut = 0; cut <= whole.words.n;) {
            struct slice head = {whole.words.p, cut};
            struct cast rest;

            cast(&rest, body_of(head, buf_slice(&whole.thoughts), WAYS[way].flag, WAYS[way].more), true);
            if (!CHECK(joins(head, &rest.words, &whole.words)))
                printf("# cut at %zu of %zu\n", cut, whole.words.n);
            CHECK_INT((long long)rest.thoughts.n, 0);
            uncast(&rest);
            cut += cut < whole.words.n ? utf8_len(slice_from(buf_slice(&whole.words), cut)) : 1;
        }
    }
    uncast(&whole);
}

TEST(thoughts_cut_at_any_character_go_on_to_the_byte)
{
    struct cast whole;

    cast(&whole, UNCUT, true);
    for (size_t cut = 0; cut <= whole.thoughts.n;) {
        struct slice head = {whole.thoughts.p, cut};
        struct cast rest;

        cast(&rest, body_of(SLICE(""), head, ",\"prefix\":true", ""), true);
        CHECK(joins(head, &rest.thoughts, &whole.thoughts));
        CHECK(joins(SLICE(""), &rest.words, &whole.words));
        uncast(&rest);
        cut += cut < whole.thoughts.n ? utf8_len(slice_from(buf_slice(&whole.thoughts), cut)) : 1;
    }
    uncast(&whole);
}

TEST(another_text_is_a_prompt_and_what_follows_is_its_own)
{
    struct cast whole, other, again;

    cast(&whole, UNCUT, false);
    cast(&other, body_of(SLICE("Once upon a time"), SLICE(""), ",\"prefix\":true", ""), false);
    cast(&again, body_of(SLICE("Once upon a time"), SLICE(""), ",\"prefix\":true", ""), false);
    CHECK(other.words.n > 0 && memcmp(other.words.p, whole.words.p, 10) != 0);
    CHECK_MEM(again.words.p, again.words.n, other.words.p, other.words.n);
    uncast(&whole);
    uncast(&other);
    uncast(&again);
}

TEST(a_last_message_of_the_assistants_is_history_unless_it_is_asked_for)
{
    struct cast c;

    cast(&c, body_of(SLICE("time"), SLICE(""), "", ""), false);
    CHECK(c.ask.ends_with_answer && !c.ask.asks_to_continue);
    CHECK(c.script.choices[0].words.hash ==
          sim_text_hash(SLICE("time"), sim_text_hash(SLICE("Hi there"), 0)));
    uncast(&c);
}

TEST(what_is_left_is_bounded_like_an_answer)
{
    struct cast whole, rest;

    cast(&whole, UNCUT, false);
    cast(&rest,
         body_of((struct slice){whole.words.p, 20}, SLICE(""), ",\"prefix\":true", ",\"max_tokens\":3"),
         false);
    CHECK_INT(rest.script.tokens_n, 3);
    CHECK_STR(rest.script.choices[0].finish, "length");
    CHECK(memcmp(whole.words.p + 20, rest.words.p, rest.words.n) == 0);
    uncast(&whole);
    uncast(&rest);
}
