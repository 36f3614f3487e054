/* SPDX-License-Identifier: MIT */
/* Casting answers: how long they are, where they begin, in which order their tokens come.
 *
 * Going on with an answer: when the message that is to be continued is the beginning of what this simulator
 * would have said, at whatever byte, what follows is exactly the rest of it, so that both joined are the
 * answer that was never cut. Any other message is a prompt like others, and what follows is a text of its
 * own. */
#include "sim/script.h"

#include <stdio.h>

#include "sim/text.h"

static uint32_t least(int64_t a, int64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

/* Many choices share what one may have ten times over: a request cannot ask for memory without bound. */
static uint32_t most_words(const struct sim_casting *k)
{
    return 10 * SIM_TOKENS_MAX / (k->ask->prompts_n * k->ask->choices_n);
}

/* -- going on ------------------------------------------------------------------------------------------- */

/* Moves the span behind `given` when that is a beginning of it. */
static bool move_behind(struct sim_span *span, struct slice given)
{
    char token[SIM_TOKEN_MAX];

    for (uint32_t i = 0; i <= span->n; i++) {
        size_t n = i < span->n ? sim_text_token(span->hash, i, token) : 0;

        if (given.n < n || given.n == 0) {
            if (given.n > 0 && memcmp(token, given.p, given.n) != 0)
                return false;
            *span = (struct sim_span){span->hash, i, span->n - i, (uint32_t)given.n};
            return true;
        }
        if (n == 0 || memcmp(token, given.p, n) != 0)
            return false;
        given = slice_from(given, n);
    }
    return false;
}

static void go_on(struct sim_choice *c, const struct sim_casting *k)
{
    const struct sim_ask *a = k->ask;

    if (a->said.n > 0)
        c->thoughts.n = 0;
    else if (c->thoughts.n > 0 && !move_behind(&c->thoughts, a->thought))
        c->thoughts.hash = sim_text_hash(a->thought, c->thoughts.hash);
    if (!move_behind(&c->words, a->said))
        c->words.hash = sim_text_hash(a->said, c->words.hash);
}

/* -- one choice ----------------------------------------------------------------------------------------- */

/* Thoughts take at most half of what the caller allows, so that something is said. */
static void bound(struct sim_choice *c, int64_t most)
{
    if (most < 0)
        return;
    c->thoughts.n = least(c->thoughts.n, most / 2);
    most -= c->thoughts.n;
    if (c->words.n > most)
        c->finish = "length";
    c->words.n = least(c->words.n, most);
}

static struct sim_choice cast_choice(const struct sim_casting *k, uint64_t hash)
{
    const struct sim_plan *p = k->plan;
    struct sim_choice c = {.words.hash = hash, .thoughts.hash = sim_text_thought(hash), .finish = "stop"};

    if (p->fault == SIM_EMPTY || k->mean == 0)
        return c;
    c.words.n = p->tokens >= 0 ? (uint32_t)p->tokens : (uint32_t)sim_text_length(hash, (size_t)k->mean);
    c.words.n = least(c.words.n, most_words(k));
    if (k->thinks)
        c.thoughts.n = (uint32_t)sim_text_length(c.thoughts.hash, (size_t)k->mean / 4);
    if (k->continues)
        go_on(&c, k);
    c.is_tool = p->calls_tool && k->ask->tool.p != NULL;
    if (c.is_tool) {
        c.words = (struct sim_span){hash, 0, SIM_TOOL_TOKENS, 0};
        c.finish = "tool_calls";
    } else {
        bound(&c, k->ask->max_tokens);
    }
    if (p->fault == SIM_RESOURCE) {
        c.finish = "insufficient_system_resource";
        c.thoughts.n = least(c.thoughts.n, p->k);
        c.words.n = least(c.words.n, p->k - c.thoughts.n);
    }
    return c;
}

/* -- the whole ------------------------------------------------------------------------------------------ */

/* Moves to the next choice that still has a token in its turn. */
static void seek(struct sim_script *s)
{
    uint32_t tried = 0;

    for (; tried <= s->choices_n; tried++, s->next.choice++) {
        if (s->next.choice == s->choices_n) {
            s->next.choice = 0;
            s->next.token++;
        }
        if (s->next.token < sim_choice_tokens(&s->choices[s->next.choice]))
            return;
    }
}

void sim_script_write(struct sim_script *s, const struct sim_casting *k, struct arena *arena)
{
    const struct sim_ask *a = k->ask;
    uint32_t n = 0;

    s->ask = a;
    s->deepseek = k->deepseek;
    s->size = k->plan->size;
    s->says_nothing = k->plan->fault == SIM_EMPTY;
    s->choices_n = a->prompts_n * a->choices_n;
    s->choices = arena_alloc(arena, s->choices_n * sizeof *s->choices);
    for (uint32_t p = 0; p < a->prompts_n; p++) {
        uint64_t hash = k->continues ? a->before.hash : a->prompts[p].hash;

        for (uint32_t i = 0; i < a->choices_n; i++, n++) {
            s->choices[n] = cast_choice(k, sim_text_sample(hash, i));
            s->thoughts_n += s->choices[n].thoughts.n;
            s->tokens_n += sim_choice_tokens(&s->choices[n]);
        }
    }
    seek(s);
}

struct sim_step sim_script_take(struct sim_script *s)
{
    struct sim_step at = s->next;

    if (s->choices_n == 1) {
        s->next.token++;
        return at;
    }
    s->next.choice++;
    seek(s);
    return at;
}

bool sim_step_is_last(const struct sim_script *s, struct sim_step at)
{
    for (uint32_t i = 0; i < s->choices_n; i++) {
        uint32_t n = sim_choice_tokens(&s->choices[i]);

        if (n > at.token + 1 || (n == at.token + 1 && i > at.choice))
            return false;
    }
    return true;
}

/* -- tokens --------------------------------------------------------------------------------------------- */

/* {"place":"harbour 1a2b","unit":"m"}, in pieces, as it stands in a string; the first token has none of it.
 */
static size_t tool_json(uint64_t hash, uint32_t i, char *out)
{
    static const char *const PIECES[SIM_TOOL_TOKENS] = {"", "{\\\"place",    "\\\":\\\"harbour ",
                                                        "", "\\\",\\\"unit", "\\\":\\\"m\\\"}"};

    if (i == 3)
        return (size_t)snprintf(out, SIM_TOKEN_JSON_MAX, "%04x", (unsigned)(hash & 0xffff));
    return (size_t)snprintf(out, SIM_TOKEN_JSON_MAX, "%s", PIECES[i]);
}

size_t sim_step_json(const struct sim_script *s, struct sim_step at, char *out)
{
    const struct sim_choice *c = &s->choices[at.choice];
    bool thinks = at.token < c->thoughts.n;
    const struct sim_span *span = thinks ? &c->thoughts : &c->words;
    uint32_t i = thinks ? at.token : at.token - c->thoughts.n;

    if (c->is_tool && !thinks)
        return tool_json(span->hash, i, out);
    return sim_text_tail_json(span->hash, (uint64_t)span->first + i, i == 0 ? span->skip : 0, out);
}
