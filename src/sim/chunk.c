/* SPDX-License-Identifier: MIT */
/* Writing answers in the two forms that differ where relays go wrong (conventions 1.3 and 2.2):
 *
 *   OpenAI:    role | token ... | finish_reason | (usage, choices empty) | [DONE]     "usage":null elsewhere
 *   DeepSeek:  role | thought ... | token ... token+finish_reason+usage | [DONE]
 */
#include "sim/chunk.h"

#include "base/utf8.h"
#include "sim/text.h"

#define PLAIN_FRAME_BYTES 768 /* a plain body without its texts and the model's name */
#define PAD_OPEN SLICE(",\"obfuscation\":\"")

static char *put(char *at, struct slice s)
{
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    return at + s.n;
}

static uint32_t tokens_n(const struct sim_script *s)
{
    return s->thoughts_n + s->words_n;
}

static const char *finish_reason(const struct sim_script *s)
{
    return s->finish != NULL ? s->finish : "stop";
}

static struct slice json_string_of(struct slice text, struct arena *arena)
{
    char *p = arena_reserve(arena, text.n * UTF8_ESCAPED_MAX + 2), *at = p;

    *at++ = '"';
    while (text.n > 0) {
        size_t took;

        at += utf8_escape(text, at, &took);
        text = slice_from(text, took);
    }
    *at++ = '"';
    arena_commit(arena, (size_t)(at - p));
    return (struct slice){p, (size_t)(at - p)};
}

/* A prompt's tokens are about four bytes each; an answer's are counted. */
static struct slice usage(const struct sim_script *s, struct arena *arena)
{
    unsigned long long prompt = (s->ask->text_bytes + 3) / 4, completion = tokens_n(s);
    struct slice cache = SLICE("");

    if (s->deepseek)
        cache =
            arena_printf(arena, ",\"prompt_cache_hit_tokens\":0,\"prompt_cache_miss_tokens\":%llu", prompt);
    return arena_printf(arena,
                        "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu%.*s,"
                        "\"prompt_tokens_details\":{\"cached_tokens\":0},"
                        "\"completion_tokens_details\":{\"reasoning_tokens\":%u}}",
                        prompt, completion, prompt + completion, SLICE_ARG(cache), s->thoughts_n);
}

void sim_chunk_prepare(struct sim_script *s, struct arena *arena, int64_t created_s)
{
    struct slice model = json_string_of(s->ask->model, arena);
    bool says_null = s->ask->include_usage && !s->deepseek;
    const char *no_thought = s->deepseek && s->thoughts_n > 0 ? ",\"reasoning_content\":null" : "";

    s->open = arena_printf(arena,
                           "data: {\"id\":\"chatcmpl-%016llx\",\"object\":\"chat.completion.chunk\","
                           "\"created\":%lld,\"model\":%.*s,\"system_fingerprint\":\"fp_sim\","
                           "\"choices\":[{\"index\":0,\"delta\":{",
                           (unsigned long long)s->ask->hash, (long long)created_s, SLICE_ARG(model));
    s->close = arena_printf(arena, "},\"logprobs\":null,\"finish_reason\":null}]%s",
                            says_null ? ",\"usage\":null" : "");
    s->word = arena_printf(arena, "%.*s\"content\":\"", SLICE_ARG(s->open));
    s->word_close = arena_printf(arena, "\"%s%.*s", no_thought, SLICE_ARG(s->close));
    if (s->thoughts_n == 0)
        return;
    s->thought = arena_printf(arena, "%.*s\"content\":null,\"reasoning_content\":\"", SLICE_ARG(s->open));
    s->thought_close = arena_printf(arena, "\"%.*s", SLICE_ARG(s->close));
}

/* -- events of a stream --------------------------------------------------------------------------------- */

struct slice sim_chunk_first(const struct sim_script *s, struct arena *turn)
{
    const char *members = s->thoughts_n > 0
                              ? "\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\""
                              : "\"role\":\"assistant\",\"content\":\"\"";

    return arena_printf(turn, "%.*s%s%.*s}\n\n", SLICE_ARG(s->open), members, SLICE_ARG(s->close));
}

/* Pads what began at `start` so that it has its size when `end` is behind it, and puts that. */
static char *put_end(const struct sim_script *s, const char *start, char *at, struct slice end)
{
    size_t n = (size_t)(at - start) + end.n, frame = PAD_OPEN.n + 1;

    if (n + frame <= s->size) {
        at = put(at, PAD_OPEN);
        memset(at, 'x', s->size - n - frame);
        at += s->size - n - frame;
        *at++ = '"';
    }
    return put(at, end);
}

static bool ends_answer(const struct sim_script *s, uint32_t i)
{
    return s->deepseek && i + 1 == tokens_n(s);
}

struct slice sim_chunk_token(const struct sim_script *s, uint32_t i, struct arena *turn)
{
    bool thinks = i < s->thoughts_n;
    uint64_t hash = thinks ? sim_text_thought(s->ask->hash) : s->ask->hash;
    struct slice before = thinks ? s->thought : s->word, after = thinks ? s->thought_close : s->word_close;
    size_t most;
    char *p, *at;

    if (ends_answer(s, i)) {
        struct slice counted = s->ask->include_usage ? usage(s, turn) : SLICE_NONE;

        after = arena_printf(turn, "\"%s},\"logprobs\":null,\"finish_reason\":\"%s\"}]%s%.*s",
                             s->thoughts_n > 0 ? ",\"reasoning_content\":null" : "", finish_reason(s),
                             counted.n > 0 ? ",\"usage\":" : "", SLICE_ARG(counted));
    }
    most = before.n + SIM_TOKEN_JSON_MAX + after.n + sizeof "}\n\n";
    p = arena_reserve(turn, most > s->size ? most : s->size);
    at = put(p, before);
    at += sim_text_token_json(hash, thinks ? i : i - s->thoughts_n, at);
    at = put_end(s, p, put(at, after), SLICE("}\n\n"));
    arena_commit(turn, (size_t)(at - p));
    return (struct slice){p, (size_t)(at - p)};
}

struct slice sim_chunk_malformed(const struct sim_script *s, struct arena *turn)
{
    return arena_printf(turn, "%.*sbroken\n\n", SLICE_ARG(s->word));
}

struct slice sim_chunk_end(const struct sim_script *s, bool done, struct arena *turn)
{
    bool ended = s->deepseek && tokens_n(s) > 0, counts = s->ask->include_usage;
    const char *last = done ? "data: [DONE]\n\n" : "";
    struct slice counted, open = s->open, head;

    if (ended)
        return slice_of(last);
    if (s->deepseek) { /* nothing was said, so there is no last token that could carry the end */
        counted = counts ? usage(s, turn) : SLICE_NONE;
        return arena_printf(
            turn, "%.*s\"content\":\"\"},\"logprobs\":null,\"finish_reason\":\"%s\"}]%s%.*s}\n\n%s",
            SLICE_ARG(open), finish_reason(s), counts ? ",\"usage\":" : "", SLICE_ARG(counted), last);
    }
    if (!counts)
        return arena_printf(turn, "%.*s},\"logprobs\":null,\"finish_reason\":\"%s\"}]}\n\n%s",
                            SLICE_ARG(open), finish_reason(s), last);
    counted = usage(s, turn);
    head = (struct slice){open.p, open.n - SLICE("{\"index\":0,\"delta\":{").n};
    return arena_printf(turn,
                        "%.*s},\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":null}\n\n"
                        "%.*s],\"usage\":%.*s}\n\n%s",
                        SLICE_ARG(open), finish_reason(s), SLICE_ARG(head), SLICE_ARG(counted), last);
}

/* -- plain answers -------------------------------------------------------------------------------------- */

static char *put_text(char *at, uint64_t hash, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        at += sim_text_token_json(hash, i, at);
    return at;
}

/* The texts; *mark is moved to where token k ends. */
static char *put_message(const struct sim_script *s, char *at, uint32_t k, char **mark)
{
    uint64_t thought = sim_text_thought(s->ask->hash);

    at = put(at, SLICE("{\"role\":\"assistant\""));
    if (s->thoughts_n > 0) {
        at = put(at, SLICE(",\"reasoning_content\":\""));
        *mark = put_text(at, thought, k < s->thoughts_n ? k : s->thoughts_n);
        at = put_text(at, thought, s->thoughts_n);
        at = put(at, SLICE("\""));
    }
    at = put(at, SLICE(",\"content\":\""));
    if (k >= s->thoughts_n)
        *mark = put_text(at, s->ask->hash, k - s->thoughts_n < s->words_n ? k - s->thoughts_n : s->words_n);
    at = put_text(at, s->ask->hash, s->words_n);
    return put(at, s->deepseek ? SLICE("\"}") : SLICE("\",\"refusal\":null}"));
}

struct slice sim_chunk_plain(const struct sim_script *s, int64_t created_s, uint32_t k, size_t *after_k,
                             struct arena *turn)
{
    struct slice model = json_string_of(s->ask->model, turn), counted = usage(s, turn);
    struct slice head =
        arena_printf(turn,
                     "{\"id\":\"chatcmpl-%016llx\",\"object\":\"chat.completion\","
                     "\"created\":%lld,\"model\":%.*s,\"system_fingerprint\":\"fp_sim\","
                     "\"choices\":[{\"index\":0,\"message\":",
                     (unsigned long long)s->ask->hash, (long long)created_s, SLICE_ARG(model));
    struct slice tail = arena_printf(turn, ",\"logprobs\":null,\"finish_reason\":\"%s\"}],\"usage\":%.*s",
                                     finish_reason(s), SLICE_ARG(counted));
    size_t most = head.n + tail.n + PLAIN_FRAME_BYTES + (size_t)tokens_n(s) * SIM_TOKEN_JSON_MAX;
    char *p = arena_reserve(turn, most > s->size ? most : s->size), *mark = p;
    char *at = put_message(s, put(p, head), k, &mark);

    at = put_end(s, p, put(at, tail), SLICE("}"));
    arena_commit(turn, (size_t)(at - p));
    if (after_k != NULL)
        *after_k = (size_t)(mark - p);
    return (struct slice){p, (size_t)(at - p)};
}
