/* SPDX-License-Identifier: MIT */
/* Text completions (conventions 2.4): for P prompts with n samples P*n choices, index = prompt * n + sample.
 */
#include "sim/form.h"

#define CHOICE_BYTES 128
#define END_MARK SLICE("data: [DONE]\n\n")

static void prepare(struct sim_script *s, struct arena *arena)
{
    struct slice model = sim_form_string(s->ask->model, arena);
    const char *usage = s->ask->include_usage ? ",\"usage\":null" : "";

    s->head = arena_printf(arena,
                           "data: {\"id\":\"cmpl-%016llx\",\"object\":\"text_completion\",\"created\":%lld,"
                           "\"model\":%.*s,\"choices\":[",
                           sim_form_id(s), (long long)s->created_s, SLICE_ARG(model));
    s->close = arena_printf(arena, "}]%s", usage);
    s->word_close =
        arena_printf(arena, "\",\"logprobs\":null,\"finish_reason\":null%.*s", SLICE_ARG(s->close));
    for (uint32_t i = 0; i < s->choices_n; i++)
        s->choices[i].word = arena_printf(arena, "%.*s{\"index\":%u,\"text\":\"", SLICE_ARG(s->head), i);
}

static struct slice first(const struct sim_script *s, struct arena *turn)
{
    (void)s;
    (void)turn;
    return SLICE_NONE;
}

static struct slice token(const struct sim_script *s, struct sim_step at, struct arena *turn)
{
    return sim_form_event(s, s->choices[at.choice].word, at, s->word_close, SLICE("}\n\n"), turn);
}

static struct slice malformed(const struct sim_script *s, struct arena *turn)
{
    return arena_printf(turn, "%.*sbroken\n\n", SLICE_ARG(s->choices[0].word));
}

static struct slice end(const struct sim_script *s, bool done, struct arena *turn)
{
    struct buf b;
    struct slice out;

    buf_init(&b, SIZE_MAX, NULL);
    for (uint32_t i = 0; i < s->choices_n; i++)
        (void)!buf_printf(&b, "%.*s\",\"logprobs\":null,\"finish_reason\":\"%s\"%.*s}\n\n",
                          SLICE_ARG(s->choices[i].word), s->choices[i].finish, SLICE_ARG(s->close));
    if (s->ask->include_usage)
        (void)!buf_printf(&b, "%.*s],\"usage\":%.*s}\n\n", SLICE_ARG(s->head),
                          SLICE_ARG(sim_form_usage(s, turn)));
    if (done)
        (void)!buf_add(&b, END_MARK);
    out = arena_dup(turn, buf_slice(&b));
    buf_fini(&b);
    return out;
}

static struct slice plain(const struct sim_script *s, uint32_t k, size_t *after_k, struct arena *turn)
{
    struct slice model = sim_form_string(s->ask->model, turn), counted = sim_form_usage(s, turn);
    struct slice head =
        arena_printf(turn,
                     "{\"id\":\"cmpl-%016llx\",\"object\":\"text_completion\",\"created\":%lld,"
                     "\"model\":%.*s,\"choices\":[",
                     sim_form_id(s), (long long)s->created_s, SLICE_ARG(model));
    struct slice tail = arena_printf(turn, "],\"usage\":%.*s", SLICE_ARG(counted));
    struct slice *opens = arena_alloc(turn, s->choices_n * sizeof *opens);
    size_t frame_n = head.n + tail.n + 1 + (size_t)s->choices_n * CHOICE_BYTES;
    struct sim_page p;

    for (uint32_t i = 0; i < s->choices_n; i++)
        opens[i] = arena_printf(turn, "%s{\"index\":%u,\"text\":\"", i > 0 ? "," : "", i);
    sim_page_begin(&p, s, frame_n, k, turn);
    sim_page_put(&p, head);
    for (uint32_t i = 0; i < s->choices_n; i++) {
        sim_page_put(&p, opens[i]);
        sim_page_put_words(&p, i);
        sim_page_put(&p, SLICE("\",\"logprobs\":null,\"finish_reason\":\""));
        sim_page_put(&p, slice_of(s->choices[i].finish));
        sim_page_put(&p, SLICE("\"}"));
    }
    sim_page_put(&p, tail);
    return sim_page_end(&p, SLICE("}"), after_k, turn);
}

const struct sim_form SIM_FORM_TEXT = {
    .path = "/completions",
    .read = sim_ask_text,
    .shape = SIM_SHAPE_OPENAI,
    .prepare = prepare,
    .first = first,
    .token = token,
    .malformed = malformed,
    .end = end,
    .failure = sim_form_failure,
    .plain = plain,
};
