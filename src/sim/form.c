/* SPDX-License-Identifier: MIT */
/* What the forms have in common. */
#include "sim/form.h"

#include "base/utf8.h"
#include "sim/text.h"

#define PAD_OPEN SLICE(",\"obfuscation\":\"")

static char *put(char *at, struct slice s)
{
    if (s.n > 0)
        memcpy(at, s.p, s.n);
    return at + s.n;
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

/* -- events --------------------------------------------------------------------------------------------- */

struct slice sim_form_event(const struct sim_script *s, struct slice before, struct sim_step at,
                            struct slice after, struct slice end, struct arena *turn)
{
    size_t most = before.n + SIM_TOKEN_JSON_MAX + after.n + end.n;
    char *p = arena_reserve(turn, most > s->size ? most : s->size), *to = put(p, before);

    to += sim_step_json(s, at, to);
    to = put_end(s, p, put(to, after), end);
    arena_commit(turn, (size_t)(to - p));
    return (struct slice){p, (size_t)(to - p)};
}

struct slice sim_form_failure(const struct sim_script *s, struct arena *turn)
{
    (void)s;
    return arena_printf(turn,
                        "data: {\"error\":{\"message\":\"%s\",\"type\":\"server_error\",\"param\":null,"
                        "\"code\":\"internal_error\"}}\n\n",
                        sim_error_of(SIM_ERROR)->text);
}

/* -- pages ---------------------------------------------------------------------------------------------- */

void sim_page_begin(struct sim_page *p, const struct sim_script *s, size_t frame_n, uint32_t k,
                    struct arena *turn)
{
    size_t most = frame_n + (size_t)s->tokens_n * SIM_TOKEN_JSON_MAX;

    p->script = s;
    p->start = p->at = arena_reserve(turn, most > s->size ? most : s->size);
    p->left = k;
    p->mark = NULL;
}

void sim_page_put(struct sim_page *p, struct slice bytes)
{
    p->at = put(p->at, bytes);
}

static void put_tokens(struct sim_page *p, uint32_t choice, uint32_t from, uint32_t to)
{
    if (p->mark == NULL)
        p->mark = p->at;
    for (uint32_t i = from; i < to; i++) {
        p->at += sim_step_json(p->script, (struct sim_step){choice, i}, p->at);
        if (p->left > 0) {
            p->left--;
            p->mark = p->at;
        }
    }
}

void sim_page_put_words(struct sim_page *p, uint32_t choice)
{
    const struct sim_choice *c = &p->script->choices[choice];

    put_tokens(p, choice, c->thoughts.n, sim_choice_tokens(c));
}

void sim_page_put_thoughts(struct sim_page *p, uint32_t choice)
{
    put_tokens(p, choice, 0, p->script->choices[choice].thoughts.n);
}

struct slice sim_page_end(struct sim_page *p, struct slice end, size_t *after_k, struct arena *turn)
{
    size_t n;

    p->at = put_end(p->script, p->start, p->at, end);
    n = (size_t)(p->at - p->start);
    arena_commit(turn, n);
    if (after_k != NULL)
        *after_k = p->mark != NULL ? (size_t)(p->mark - p->start) : n / 2;
    return (struct slice){p->start, n};
}

/* -- parts ---------------------------------------------------------------------------------------------- */

struct slice sim_form_string(struct slice text, struct arena *arena)
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

unsigned long long sim_form_prompt_tokens(const struct sim_script *s)
{
    unsigned long long n = 0;

    for (uint32_t i = 0; i < s->ask->prompts_n; i++)
        n += (s->ask->prompts[i].bytes + 3) / 4;
    return n;
}

unsigned long long sim_form_id(const struct sim_script *s)
{
    return (unsigned long long)s->ask->prompts[0].hash;
}

struct slice sim_form_usage(const struct sim_script *s, struct arena *arena)
{
    unsigned long long prompt = sim_form_prompt_tokens(s), completion = s->tokens_n;
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
