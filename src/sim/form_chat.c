/* SPDX-License-Identifier: MIT */
/* Chat completions, in the two forms that differ where relays go wrong (conventions 1.3 and 2.2):
 *
 *   OpenAI:    role | token ... | finish_reason | (usage, choices empty) | [DONE]     "usage":null elsewhere
 *   DeepSeek:  role | thought ... | token ... token+finish_reason+usage | [DONE]
 *
 * A tool call's first token carries its id and name, the others pieces of its arguments. */
#include "sim/form.h"

#define CHOICE_BYTES 128 /* of a plain answer's choice, without what is prepared and its texts */
#define DONE "data: [DONE]\n\n"

/* -- streams -------------------------------------------------------------------------------------------- */

static void prepare_choice(struct sim_script *s, uint32_t i, struct arena *arena)
{
    struct sim_choice *c = &s->choices[i];

    c->open = arena_printf(arena, "%.*s{\"index\":%u,\"delta\":{", SLICE_ARG(s->head), i);
    if (c->is_tool)
        c->word = arena_printf(arena, "%.*s\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"",
                               SLICE_ARG(c->open));
    else
        c->word = arena_printf(arena, "%.*s\"content\":\"", SLICE_ARG(c->open));
    if (c->thoughts.n > 0)
        c->thought = arena_printf(arena, "%.*s\"content\":null,\"reasoning_content\":\"", SLICE_ARG(c->open));
}

static void prepare(struct sim_script *s, struct arena *arena)
{
    struct slice model = sim_form_string(s->ask->model, arena);
    bool says_null = s->ask->include_usage && !s->deepseek;
    const char *no_thought = s->deepseek && s->thoughts_n > 0 ? ",\"reasoning_content\":null" : "";

    s->head = arena_printf(arena,
                           "data: {\"id\":\"chatcmpl-%016llx\",\"object\":\"chat.completion.chunk\","
                           "\"created\":%lld,\"model\":%.*s,\"system_fingerprint\":\"fp_sim\",\"choices\":[",
                           sim_form_id(s), (long long)s->created_s, SLICE_ARG(model));
    s->close = arena_printf(arena, "},\"logprobs\":null,\"finish_reason\":null}]%s",
                            says_null ? ",\"usage\":null" : "");
    s->word_close = arena_printf(arena, "\"%s%.*s", no_thought, SLICE_ARG(s->close));
    s->thought_close = arena_printf(arena, "\"%.*s", SLICE_ARG(s->close));
    for (uint32_t i = 0; i < s->choices_n; i++)
        prepare_choice(s, i, arena);
}

/* All pieces in a row. */
static struct slice join(const struct slice *pieces, size_t n, struct arena *turn)
{
    size_t bytes = 0;
    char *p, *at;

    if (n == 1)
        return pieces[0];
    for (size_t i = 0; i < n; i++)
        bytes += pieces[i].n;
    p = at = arena_bytes(turn, bytes);
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].n > 0)
            memcpy(at, pieces[i].p, pieces[i].n);
        at += pieces[i].n;
    }
    return (struct slice){p, bytes};
}

static struct slice first_of(const struct sim_script *s, const struct sim_choice *c, struct arena *turn)
{
    const char *members = "\"role\":\"assistant\",\"content\":\"\"";

    if (c->thoughts.n > 0)
        members = "\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\"";
    else if (c->is_tool)
        members = "\"role\":\"assistant\",\"content\":null";
    return arena_printf(turn, "%.*s%s%.*s}\n\n", SLICE_ARG(c->open), members, SLICE_ARG(s->close));
}

static struct slice first(const struct sim_script *s, struct arena *turn)
{
    struct slice *events = arena_alloc(turn, s->choices_n * sizeof *events);

    for (uint32_t i = 0; i < s->choices_n; i++)
        events[i] = first_of(s, &s->choices[i], turn);
    return join(events, s->choices_n, turn);
}

/* Behind a token that ends a choice in DeepSeek's form. */
static struct slice last_close(const struct sim_script *s, struct sim_step at, const char *before,
                               struct arena *turn)
{
    struct slice counted = SLICE_NONE;

    if (s->ask->include_usage && sim_step_is_last(s, at))
        counted = sim_form_usage(s, turn);
    return arena_printf(turn, "%s},\"logprobs\":null,\"finish_reason\":\"%s\"}]%s%.*s", before,
                        s->choices[at.choice].finish, counted.n > 0 ? ",\"usage\":" : "", SLICE_ARG(counted));
}

static struct slice tool_token(const struct sim_script *s, struct sim_step at, bool ends, struct arena *turn)
{
    const struct sim_choice *c = &s->choices[at.choice];
    struct slice name, after;

    if (at.token > c->thoughts.n) {
        after =
            ends ? last_close(s, at, "\"}}]", turn) : arena_printf(turn, "\"}}]%.*s", SLICE_ARG(s->close));
        return sim_form_event(s, c->word, at, after, SLICE("}\n\n"), turn);
    }
    name = sim_form_string(s->ask->tool, turn);
    return arena_printf(turn,
                        "%.*s\"tool_calls\":[{\"index\":0,\"id\":\"call_%016llx\",\"type\":\"function\","
                        "\"function\":{\"name\":%.*s,\"arguments\":\"\"}}]%.*s}\n\n",
                        SLICE_ARG(c->open), (unsigned long long)c->words.hash, SLICE_ARG(name),
                        SLICE_ARG(s->close));
}

static struct slice token(const struct sim_script *s, struct sim_step at, struct arena *turn)
{
    const struct sim_choice *c = &s->choices[at.choice];
    bool thinks = sim_step_thinks(s, at), ends = s->deepseek && sim_step_ends_choice(s, at);
    struct slice after = thinks ? s->thought_close : s->word_close;

    if (c->is_tool && !thinks)
        return tool_token(s, at, ends, turn);
    if (ends)
        after =
            last_close(s, at, s->thoughts_n > 0 && !thinks ? "\",\"reasoning_content\":null" : "\"", turn);
    return sim_form_event(s, thinks ? c->thought : c->word, at, after, SLICE("}\n\n"), turn);
}

static struct slice malformed(const struct sim_script *s, struct arena *turn)
{
    return arena_printf(turn, "%.*sbroken\n\n", SLICE_ARG(s->choices[0].word));
}

/* The end of a choice in an event of its own. DeepSeek has none, unless nothing was said that could carry it.
 */
static struct slice end_of(const struct sim_script *s, uint32_t i, struct arena *turn)
{
    const struct sim_choice *c = &s->choices[i];
    struct slice counted = SLICE_NONE;
    const char *null_usage = s->ask->include_usage ? ",\"usage\":null" : "";

    if (s->deepseek && sim_choice_tokens(c) > 0)
        return SLICE_NONE;
    if (!s->deepseek)
        return arena_printf(turn, "%.*s},\"logprobs\":null,\"finish_reason\":\"%s\"}]%s}\n\n",
                            SLICE_ARG(c->open), c->finish, null_usage);
    if (s->ask->include_usage && i + 1 == s->choices_n)
        counted = sim_form_usage(s, turn);
    return arena_printf(turn, "%.*s\"content\":\"\"},\"logprobs\":null,\"finish_reason\":\"%s\"}]%s%.*s}\n\n",
                        SLICE_ARG(c->open), c->finish, counted.n > 0 ? ",\"usage\":" : "",
                        SLICE_ARG(counted));
}

static struct slice end(const struct sim_script *s, bool done, struct arena *turn)
{
    struct slice *events = arena_alloc(turn, (s->choices_n + 2) * sizeof *events);
    uint32_t n = 0;

    for (; n < s->choices_n; n++)
        events[n] = end_of(s, n, turn);
    if (s->ask->include_usage && !s->deepseek)
        events[n++] = arena_printf(turn, "%.*s],\"usage\":%.*s}\n\n", SLICE_ARG(s->head),
                                   SLICE_ARG(sim_form_usage(s, turn)));
    if (done)
        events[n++] = SLICE(DONE);
    return join(events, n, turn);
}

/* -- plain answers -------------------------------------------------------------------------------------- */

/* What stands around the texts of a choice: made before the page is begun, since nothing else can be written
 * while that is. */
struct frame {
    struct slice open, word;
};

static size_t make_frame(struct frame *f, const struct sim_choice *c, uint32_t i, struct slice tool,
                         struct arena *turn)
{
    f->open = arena_printf(turn, "%s{\"index\":%u,\"message\":{\"role\":\"assistant\"", i > 0 ? "," : "", i);
    f->word = SLICE(",\"content\":\"");
    if (c->is_tool)
        f->word =
            arena_printf(turn,
                         ",\"content\":null,\"tool_calls\":[{\"id\":\"call_%016llx\",\"type\":\"function\","
                         "\"function\":{\"name\":%.*s,\"arguments\":\"",
                         (unsigned long long)c->words.hash, SLICE_ARG(tool));
    return f->open.n + f->word.n + CHOICE_BYTES;
}

static void put_choice(struct sim_page *p, uint32_t i, const struct frame *f)
{
    const struct sim_script *s = p->script;
    const struct sim_choice *c = &s->choices[i];

    sim_page_put(p, f->open);
    if (c->thoughts.n > 0) {
        sim_page_put(p, SLICE(",\"reasoning_content\":\""));
        sim_page_put_thoughts(p, i);
        sim_page_put(p, SLICE("\""));
    }
    sim_page_put(p, f->word);
    sim_page_put_words(p, i);
    sim_page_put(p, c->is_tool ? SLICE("\"}}]") : SLICE("\""));
    sim_page_put(p, s->deepseek ? SLICE("}") : SLICE(",\"refusal\":null}"));
    sim_page_put(p, SLICE(",\"logprobs\":null,\"finish_reason\":\""));
    sim_page_put(p, slice_of(c->finish));
    sim_page_put(p, SLICE("\"}"));
}

static struct slice plain(const struct sim_script *s, uint32_t k, size_t *after_k, struct arena *turn)
{
    struct slice model = sim_form_string(s->ask->model, turn), counted = sim_form_usage(s, turn);
    struct slice tool = sim_form_string(s->ask->tool, turn);
    struct slice head = arena_printf(
        turn,
        "{\"id\":\"chatcmpl-%016llx\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":%.*s,"
        "\"system_fingerprint\":\"fp_sim\",\"choices\":[",
        sim_form_id(s), (long long)s->created_s, SLICE_ARG(model));
    struct slice tail = arena_printf(turn, "],\"usage\":%.*s", SLICE_ARG(counted));
    struct frame *frames = arena_alloc(turn, s->choices_n * sizeof *frames);
    size_t frame_n = head.n + tail.n + 1;
    struct sim_page p;

    for (uint32_t i = 0; i < s->choices_n; i++)
        frame_n += make_frame(&frames[i], &s->choices[i], i, tool, turn);
    sim_page_begin(&p, s, frame_n, k, turn);
    sim_page_put(&p, head);
    for (uint32_t i = 0; i < s->choices_n; i++)
        put_choice(&p, i, &frames[i]);
    sim_page_put(&p, tail);
    return sim_page_end(&p, SLICE("}"), after_k, turn);
}

const struct sim_form SIM_FORM_CHAT = {
    .path = "/chat/completions",
    .read = sim_ask_chat,
    .shape = SIM_SHAPE_OPENAI,
    .prepare = prepare,
    .first = first,
    .token = token,
    .malformed = malformed,
    .end = end,
    .failure = sim_form_failure,
    .plain = plain,
};
