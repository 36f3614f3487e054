/* SPDX-License-Identifier: MIT */
/* Walks the members of a request that become tokens. */
#include "llm/estimate.h"

#include <stdlib.h>

#include "base/assert.h"
#include "llm/members.h"
#include "llm/tokens.h"

#define MESSAGE_TOKENS 3 /* marks around a message; and what opens the answer */
#define NUMBER_BYTES 40  /* of one that are looked at */
#define CHOICES_MAX 1024

/* What a member of the body means for the estimate. */
enum meaning { TEXT, SCHEMA, PROMPT, ANSWER, CHOICES };

static const struct {
    const char *name;
    enum meaning meaning;
} members[] = {
    {"messages", TEXT},
    {"prompt", PROMPT},
    {"input", TEXT},
    {"system", TEXT},
    {"instructions", TEXT},
    {"suffix", TEXT},
    {"tools", SCHEMA},
    {"functions", SCHEMA},
    {"response_format", SCHEMA},
    {"max_tokens", ANSWER},
    {"max_completion_tokens", ANSWER},
    {"max_output_tokens", ANSWER},
    {"n", CHOICES},
    {"best_of", CHOICES},
};

/* Where in the JSON text of a request the walk is, and what it has found. */
struct walk {
    struct tokens tokens;
    int64_t more;               /* tokens that are no pieces of text */
    size_t looked_at, left_out; /* bytes of text */
    int64_t texts_n, lists_n;   /* strings and arrays of the member at hand */
    bool schema;
    struct slice key; /* of the value that comes next; empty inside arrays of values */
};

/* The closing quote of the string whose opening quote stands at i. */
static size_t string_end(struct slice t, size_t i)
{
    const char *from = t.p + i + 1, *end = t.p + t.n, *quote = from;

    while ((quote = memchr(quote, '"', (size_t)(end - quote))) != NULL) {
        const char *slash = quote;

        while (slash > from && slash[-1] == '\\')
            slash--;
        if ((quote - slash) % 2 == 0)
            return (size_t)(quote - t.p);
        quote++;
    }
    return t.n;
}

static void add_text(struct walk *w, struct slice raw)
{
    size_t room = ESTIMATE_TEXT_MAX - w->looked_at, n = raw.n < room ? raw.n : room;

    tokens_json(&w->tokens, (struct slice){raw.p, n});
    w->looked_at += n;
    w->left_out += raw.n - n;
}

static bool is_key(const struct walk *w, const char *name)
{
    return slice_eq(w->key, slice_of(name));
}

/* Pictures, sound, files: in the body or at an address. */
static bool is_data(const struct walk *w, struct slice raw)
{
    return slice_starts(raw, SLICE("data:")) || is_key(w, "url") || is_key(w, "data") ||
           is_key(w, "file_data") || is_key(w, "image_url");
}

static void on_string(struct walk *w, struct slice raw)
{
    if (w->schema) {
        add_text(w, raw);
        w->more++;
    } else if (is_key(w, "role")) {
        w->more += MESSAGE_TOKENS;
    } else if (is_data(w, raw)) {
        w->more += ESTIMATE_DATA_TOKENS;
    } else if (!is_key(w, "type")) {
        add_text(w, raw);
    }
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* A string from its opening quote on: a name of a member, or a value. Returns where to go on. */
static size_t walk_string(struct walk *w, struct slice t, size_t i)
{
    size_t end = string_end(t, i), next = end + 1;
    struct slice raw = {t.p + i + 1, end - i - 1};

    while (next < t.n && is_space(t.p[next]))
        next++;
    if (next >= t.n || t.p[next] != ':') {
        w->texts_n++;
        on_string(w, raw);
        return next;
    }
    w->key = raw;
    if (w->schema)
        on_string(w, raw);
    return next + 1;
}

static bool ends_word(char c)
{
    return c == ',' || c == ']' || c == '}' || is_space(c);
}

/* A value of a member that holds text, at any depth. Numbers, true, false and null are a token each. */
static void walk_value(struct walk *w, struct slice t)
{
    size_t i = 0;

    while (i < t.n) {
        char c = t.p[i];

        if (c == '"') {
            i = walk_string(w, t, i);
            continue;
        }
        i++;
        w->lists_n += c == '[';
        if (ends_word(c) || c == '{' || c == '[')
            continue;
        w->more++;
        while (i < t.n && !ends_word(t.p[i]))
            i++;
    }
}

/* A number of JSON that is not below zero, cut to a whole one: clients write 1e3 as well. -1: it is none. */
static int64_t number(struct slice t)
{
    char text[NUMBER_BYTES + 1] = "";
    double v;

    if (t.n == 0 || t.p[0] < '0' || t.p[0] > '9')
        return -1;
    memcpy(text, t.p, t.n < NUMBER_BYTES ? t.n : NUMBER_BYTES);
    v = strtod(text, NULL);
    return v < (double)ESTIMATE_NUMBER_MAX ? (int64_t)v : ESTIMATE_NUMBER_MAX;
}

static void on_member(struct walk *w, const struct member *m, enum meaning meaning, struct estimate *out,
                      int64_t *questions)
{
    int64_t n;

    switch (meaning) {
    case TEXT:
    case SCHEMA:
    case PROMPT:
        w->schema = meaning == SCHEMA;
        w->key = SLICE_NONE;
        w->texts_n = w->lists_n = 0;
        walk_value(w, m->value);
        if (meaning ==
            PROMPT) /* several texts, or several lists of tokens in a list, are so many questions */
            *questions = w->texts_n > 0 ? w->texts_n : w->lists_n > 1 ? w->lists_n - 1 : 1;
        return;
    case ANSWER:
        n = number(m->value);
        out->answer_max = n > out->answer_max ? n : out->answer_max;
        return;
    case CHOICES:
        n = number(m->value);
        n = n > CHOICES_MAX ? CHOICES_MAX : n;
        out->choices = n > out->choices ? n : out->choices;
    }
}

void estimate_request(struct slice body, struct estimate *out)
{
    struct walk w = {.more = MESSAGE_TOKENS};
    struct members walk;
    struct member m;
    int64_t questions = 1;

    *out = (struct estimate){.answer_max = -1, .choices = 1};
    members_init(&walk, body);
    while (members_next(&walk, &m)) {
        for (size_t i = 0; i < COUNT_OF(members); i++) {
            if (member_is(&m, slice_of(members[i].name)))
                on_member(&w, &m, members[i].meaning, out, &questions);
        }
    }
    out->prompt = tokens_sum(&w.tokens);
    if (w.left_out > 0)
        out->prompt += (int64_t)((double)out->prompt / (double)w.looked_at * (double)w.left_out);
    out->prompt += w.more;
    out->choices *= questions; /* at most CHOICES_MAX times the bytes of a body */
    out->choices = out->choices > ESTIMATE_NUMBER_MAX ? ESTIMATE_NUMBER_MAX : out->choices;
}

bool estimate_bounds_answer(struct slice name)
{
    if (!slice_starts(name, SLICE("max_"))) /* as all of them do, and few others */
        return false;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (members[i].meaning == ANSWER && slice_eq(name, slice_of(members[i].name)))
            return true;
    }
    return false;
}

void estimate_set(struct estimate *e, struct slice name, struct slice json)
{
    if (estimate_bounds_answer(name))
        e->answer_max = number(json);
}
