/* SPDX-License-Identifier: MIT */
/* Anthropic's messages (conventions 2.11): one block of text. No [DONE]: message_stop is the end mark. */
#include "sim/form.h"

#define FRAME_BYTES 512

static const char *stop_reason(const struct sim_script *s)
{
    const char *finish = s->choices[0].finish;

    if (slice_eq(slice_of(finish), SLICE("stop")))
        return "end_turn";
    return slice_eq(slice_of(finish), SLICE("length")) ? "max_tokens" : finish;
}

static void prepare(struct sim_script *s, struct arena *arena)
{
    s->head = sim_form_string(s->ask->model, arena);
    s->choices[0].word =
        SLICE("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
              "\"delta\":{\"type\":\"text_delta\",\"text\":\"");
}

static struct slice first(const struct sim_script *s, struct arena *turn)
{
    return arena_printf(
        turn,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_%016llx\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":%.*s,\"content\":[],"
        "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":%llu,"
        "\"output_tokens\":0}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        sim_form_id(s), SLICE_ARG(s->head), sim_form_prompt_tokens(s));
}

static struct slice token(const struct sim_script *s, struct sim_step at, struct arena *turn)
{
    return sim_form_event(s, s->choices[0].word, at, SLICE("\"}"), SLICE("}\n\n"), turn);
}

static struct slice malformed(const struct sim_script *s, struct arena *turn)
{
    return arena_printf(turn, "%.*sbroken\n\n", SLICE_ARG(s->choices[0].word));
}

static struct slice end(const struct sim_script *s, bool done, struct arena *turn)
{
    return arena_printf(
        turn,
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\","
        "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%u}}\n\n%s",
        stop_reason(s), s->tokens_n,
        done ? "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n" : "");
}

static struct slice failure(const struct sim_script *s, struct arena *turn)
{
    (void)s;
    (void)turn;
    return SLICE(
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"Internal "
        "server error\"}}\n\n");
}

static struct slice plain(const struct sim_script *s, uint32_t k, size_t *after_k, struct arena *turn)
{
    struct slice model = sim_form_string(s->ask->model, turn);
    struct slice head = arena_printf(turn,
                                     "{\"id\":\"msg_%016llx\",\"type\":\"message\",\"role\":\"assistant\","
                                     "\"model\":%.*s,\"content\":[",
                                     sim_form_id(s), SLICE_ARG(model));
    struct slice tail =
        arena_printf(turn,
                     "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":%llu,"
                     "\"output_tokens\":%u,\"cache_creation_input_tokens\":0,"
                     "\"cache_read_input_tokens\":0}",
                     stop_reason(s), sim_form_prompt_tokens(s), s->tokens_n);
    struct sim_page p;

    sim_page_begin(&p, s, head.n + tail.n + FRAME_BYTES, k, turn);
    sim_page_put(&p, head);
    if (s->tokens_n > 0) {
        sim_page_put(&p, SLICE("{\"type\":\"text\",\"text\":\""));
        sim_page_put_words(&p, 0);
        sim_page_put(&p, SLICE("\"}"));
    }
    sim_page_put(&p, tail);
    return sim_page_end(&p, SLICE("}"), after_k, turn);
}

const struct sim_form SIM_FORM_MESSAGES = {
    .path = "/messages",
    .read = sim_ask_messages,
    .shape = SIM_SHAPE_ANTHROPIC,
    .waiting = "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    .prepare = prepare,
    .first = first,
    .token = token,
    .malformed = malformed,
    .end = end,
    .failure = failure,
    .plain = plain,
};
