/* SPDX-License-Identifier: MIT */
/* The table of surfaces. */
#include "llm/surface.h"

#include "base/assert.h"
#include "llm/readers.h"

static const struct surface surfaces[SURFACE_N] = {
    [SURFACE_CHAT] =
        {
            .id = SURFACE_CHAT,
            .path = "/chat/completions",
            .input = "messages",
            .streams = true,
            .asks_usage = true,
            .ends = {"data: [DONE]\n"},
            .read_event = choices_event,
            .judge = choices_judge,
        },
    [SURFACE_COMPLETIONS] =
        {
            .id = SURFACE_COMPLETIONS,
            .path = "/completions",
            .input = "prompt",
            .input_is_optional = true,
            .input_may_be_text = true,
            .streams = true,
            .asks_usage = true,
            .ends = {"data: [DONE]\n"},
            .may_be_empty = true, /* nothing belongs in the middle, or between prompt and end of text */
            .read_event = choices_event,
            .judge = choices_judge_text,
        },
    [SURFACE_EMBEDDINGS] =
        {
            .id = SURFACE_EMBEDDINGS,
            .path = "/embeddings",
            .input = "input",
            .input_may_be_text = true,
            .judge = embeddings_judge,
        },
    [SURFACE_RESPONSES] =
        {
            .id = SURFACE_RESPONSES,
            .path = "/responses",
            .input = "input",
            .input_is_optional = true, /* a stored prompt or a conversation can stand for it */
            .input_may_be_text = true,
            .streams = true,
            .names_events = true,
            .ends = {"event: response.completed\n", "event: response.incomplete\n"},
            .errors = ERRORS_RESPONSES,
            .read_event = responses_event,
            .judge = responses_judge,
        },
    [SURFACE_MESSAGES] =
        {
            .id = SURFACE_MESSAGES,
            .path = "/messages",
            .input = "messages",
            .streams = true,
            .names_events = true,
            .ends = {"event: message_stop\n"},
            .errors = ERRORS_ANTHROPIC,
            .read_event = messages_event,
            .judge = messages_judge,
        },
};

const struct surface *surface_get(enum surface_id id)
{
    ASSERT((unsigned)id < SURFACE_N);
    return &surfaces[id];
}

bool surface_is_end(const struct surface *s, struct slice event)
{
    for (size_t i = 0; i < COUNT_OF(s->ends) && s->ends[i] != NULL; i++) {
        if (slice_starts(event, slice_of(s->ends[i])))
            return true;
    }
    return false;
}
