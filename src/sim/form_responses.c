/* SPDX-License-Identifier: MIT */
/* OpenAI's responses (conventions 2.8): one message with one text. No [DONE]: response.completed is the end
 * mark, or response.incomplete when the bound of tokens was reached. */
#include "sim/form.h"

#define FRAME_BYTES 512
#define FIRST_EVENTS 4 /* before the first delta */

static bool is_cut_short(const struct sim_script *s)
{
    return slice_eq(slice_of(s->choices[0].finish), SLICE("length"));
}

/* The response object: up to its output, and behind it. */
static struct slice object_open(const struct sim_script *s, const char *status, struct arena *turn)
{
    struct slice model = sim_form_string(s->ask->model, turn);

    return arena_printf(
        turn,
        "{\"id\":\"resp_%016llx\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\","
        "\"error\":null,\"model\":%.*s,\"output\":[",
        sim_form_id(s), (long long)s->created_s, status, SLICE_ARG(model));
}

static struct slice object_close(const struct sim_script *s, struct arena *turn)
{
    unsigned long long input = sim_form_prompt_tokens(s);

    return arena_printf(
        turn,
        "],\"incomplete_details\":%s,\"usage\":{\"input_tokens\":%llu,\"input_tokens_details\":"
        "{\"cached_tokens\":0},\"output_tokens\":%u,\"output_tokens_details\":"
        "{\"reasoning_tokens\":0},\"total_tokens\":%llu}",
        is_cut_short(s) ? "{\"reason\":\"max_output_tokens\"}" : "null", input, s->tokens_n,
        input + s->tokens_n);
}

static void prepare(struct sim_script *s, struct arena *arena)
{
    s->choices[0].word =
        arena_printf(arena,
                     "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","
                     "\"item_id\":\"msg_%016llx\",\"output_index\":0,\"content_index\":0,\"delta\":\"",
                     sim_form_id(s));
}

static struct slice first(const struct sim_script *s, struct arena *turn)
{
    struct slice object = object_open(s, "in_progress", turn);
    unsigned long long id = sim_form_id(s);

    return arena_printf(
        turn,
        "event: response.created\ndata: "
        "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":%.*s]}}\n\n"
        "event: response.in_progress\ndata: {\"type\":\"response.in_progress\",\"sequence_number\":1,"
        "\"response\":%.*s]}}\n\n"
        "event: response.output_item.added\ndata: "
        "{\"type\":\"response.output_item.added\",\"sequence_number\":2,"
        "\"output_index\":0,\"item\":{\"type\":\"message\",\"id\":\"msg_%016llx\",\"status\":\"in_progress\","
        "\"role\":\"assistant\",\"content\":[]}}\n\n"
        "event: response.content_part.added\ndata: "
        "{\"type\":\"response.content_part.added\",\"sequence_number\":3,"
        "\"item_id\":\"msg_%016llx\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_"
        "text\","
        "\"text\":\"\",\"annotations\":[]}}\n\n",
        SLICE_ARG(object), SLICE_ARG(object), id, id);
}

static struct slice token(const struct sim_script *s, struct sim_step at, struct arena *turn)
{
    struct slice after = arena_printf(turn, "\",\"sequence_number\":%u", FIRST_EVENTS + at.token);

    return sim_form_event(s, s->choices[0].word, at, after, SLICE("}\n\n"), turn);
}

static struct slice malformed(const struct sim_script *s, struct arena *turn)
{
    return arena_printf(turn, "%.*sbroken\n\n", SLICE_ARG(s->choices[0].word));
}

/* {"type":"output_text","text":"...","annotations":[]} */
static void put_part(struct sim_page *p)
{
    sim_page_put(p, SLICE("{\"type\":\"output_text\",\"text\":\""));
    sim_page_put_words(p, 0);
    sim_page_put(p, SLICE("\",\"annotations\":[]}"));
}

static struct slice whole_part(const struct sim_script *s, struct arena *turn)
{
    struct sim_script unpadded = *s;
    struct sim_page p;

    unpadded.size = 0;
    sim_page_begin(&p, &unpadded, FRAME_BYTES, 0, turn);
    put_part(&p);
    return sim_page_end(&p, SLICE_NONE, NULL, turn);
}

static struct slice end(const struct sim_script *s, bool done, struct arena *turn)
{
    struct slice part = whole_part(s, turn), object, item, last = SLICE_NONE, close = object_close(s, turn);
    const char *status = is_cut_short(s) ? "incomplete" : "completed";
    unsigned long long id = sim_form_id(s);
    unsigned n = FIRST_EVENTS + s->tokens_n;

    object = object_open(s, status, turn);
    item =
        arena_printf(turn,
                     "{\"type\":\"message\",\"id\":\"msg_%016llx\",\"status\":\"%s\",\"role\":\"assistant\","
                     "\"content\":[%.*s]}",
                     id, status, SLICE_ARG(part));
    if (done)
        last = arena_printf(turn,
                            "event: response.%s\ndata: {\"type\":\"response.%s\",\"sequence_number\":%u,"
                            "\"response\":%.*s%.*s%.*s}}\n\n",
                            status, status, n + 2, SLICE_ARG(object), SLICE_ARG(item), SLICE_ARG(close));
    return arena_printf(
        turn,
        "event: response.content_part.done\ndata: {\"type\":\"response.content_part.done\","
        "\"sequence_number\":%u,\"item_id\":\"msg_%016llx\",\"output_index\":0,\"content_index\":0,"
        "\"part\":%.*s}\n\n"
        "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\","
        "\"sequence_number\":%u,\"output_index\":0,\"item\":%.*s}\n\n%.*s",
        n, id, SLICE_ARG(part), n + 1, SLICE_ARG(item), SLICE_ARG(last));
}

static struct slice failure(const struct sim_script *s, struct arena *turn)
{
    struct slice object = object_open(s, "failed", turn);
    struct slice rest = slice_from(object, (size_t)slice_find(object, SLICE("\"error\":null")) + 12);

    return arena_printf(
        turn,
        "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":%.*s\"error\":"
        "{\"code\":\"server_error\",\"message\":\"The server had an error.\"}%.*s]}}\n\n",
        (int)(object.n - rest.n - 12), object.p, SLICE_ARG(rest));
}

static struct slice plain(const struct sim_script *s, uint32_t k, size_t *after_k, struct arena *turn)
{
    const char *status = is_cut_short(s) ? "incomplete" : "completed";
    struct slice open = object_open(s, status, turn), close = object_close(s, turn);
    struct slice item = arena_printf(turn,
                                     "{\"type\":\"message\",\"id\":\"msg_%016llx\",\"status\":\"%s\","
                                     "\"role\":\"assistant\",\"content\":[",
                                     sim_form_id(s), status);
    struct sim_page p;

    sim_page_begin(&p, s, open.n + item.n + close.n + FRAME_BYTES, k, turn);
    sim_page_put(&p, open);
    if (s->tokens_n > 0) {
        sim_page_put(&p, item);
        put_part(&p);
        sim_page_put(&p, SLICE("]}"));
    }
    sim_page_put(&p, close);
    return sim_page_end(&p, SLICE("}"), after_k, turn);
}

const struct sim_form SIM_FORM_RESPONSES = {
    .path = "/responses",
    .read = sim_ask_responses,
    .shape = SIM_SHAPE_OPENAI,
    .prepare = prepare,
    .first = first,
    .token = token,
    .malformed = malformed,
    .end = end,
    .failure = failure,
    .plain = plain,
};
