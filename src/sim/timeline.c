/* SPDX-License-Identifier: MIT */
/* Reading timelines. */
#include "sim/timeline.h"

#include <stdio.h>

#include "base/clock.h"
#include "sim/times.h"

struct reader {
    const char *line_start;
    int line;
    struct sim_timeline_row row;
    int64_t for_us;
    unsigned seen; /* bits of WORDS */
    struct sim_timeline_error *error;
};

static bool take_at(struct reader *r, struct slice value)
{
    return sim_duration_parse(value, &r->row.at_us);
}

static bool take_for(struct reader *r, struct slice value)
{
    return sim_duration_parse(value, &r->for_us) && r->for_us > 0;
}

static bool take_fault(struct reader *r, struct slice value)
{
    return sim_rule_parse(value, &r->row.rule);
}

static bool take_p(struct reader *r, struct slice value)
{
    return sim_share_parse(value, &r->row.p);
}

static bool take_model(struct reader *r, struct slice value)
{
    r->row.model = value;
    return value.n > 0;
}

static bool take_listener(struct reader *r, struct slice value)
{
    r->row.listener = value;
    return value.n > 0;
}

static const struct {
    struct slice name;
    bool (*take)(struct reader *r, struct slice value);
    const char *wants;
} WORDS[] = {
    {SLICE("at"), take_at, "a time since the start, like 30s"},
    {SLICE("for"), take_for, "a duration above zero, like 10s"},
    {SLICE("fault"), take_fault, "a fault or items of a model's suffix, like 503 or ttft=10s,gap=1s"},
    {SLICE("p"), take_p, "a probability from 0 to 1"},
    {SLICE("model"), take_model, "a model's name"},
    {SLICE("listener"), take_listener, "a listener's name"},
};

#define WORDS_N (sizeof WORDS / sizeof WORDS[0])

static bool complain(struct reader *r, const char *at, const char *text)
{
    r->error->line = r->line;
    r->error->column = (int)(at - r->line_start) + 1;
    snprintf(r->error->text, sizeof r->error->text, "%s", text);
    return false;
}

static bool complain_word(struct reader *r, struct slice word, const char *text, const char *wants)
{
    char line[200];

    snprintf(line, sizeof line, "\"%.*s\" %s%s", (int)(word.n < 60 ? word.n : 60), word.p, text, wants);
    return complain(r, word.p, line);
}

static bool take_word(struct reader *r, struct slice word)
{
    struct slice value, name = slice_cut(word, '=', &value);

    for (unsigned i = 0; i < WORDS_N; i++) {
        if (!slice_eq(name, WORDS[i].name))
            continue;
        if (r->seen & 1u << i)
            return complain_word(r, word, "is given a second time", "");
        r->seen |= 1u << i;
        if (value.p == NULL || !WORDS[i].take(r, value))
            return complain_word(r, word, "is not understood: what stands behind the = must be ",
                                 WORDS[i].wants);
        return true;
    }
    return complain_word(r, word, "is not understood: the words are ",
                         "at, for, fault, p, model and listener");
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool read_line(struct reader *r, struct slice line)
{
    size_t i = 0;

    r->row = (struct sim_timeline_row){.p = 1};
    r->for_us = 0;
    r->seen = 0;
    while (i < line.n) {
        size_t from;

        while (i < line.n && is_blank(line.p[i]))
            i++;
        from = i;
        while (i < line.n && !is_blank(line.p[i]))
            i++;
        if (i == from || line.p[from] == '#')
            break;
        if (!take_word(r, (struct slice){line.p + from, i - from}))
            return false;
    }
    if (r->seen != 0 && (r->seen & 1) == 0)
        return complain(r, line.p, "the row does not say at which time: at=TIME is missing");
    if (r->seen != 0 && (r->seen & 4) == 0)
        return complain(r, line.p, "the row does not say what happens: fault=NAME is missing");
    if (r->row.rule.early != SIM_NONE && r->row.model.n > 0)
        return complain(r, r->row.model.p - sizeof "model",
                        "what comes before a request knows no model: leave out model=");
    r->row.until_us = r->for_us > 0 ? clock_add(r->row.at_us, r->for_us) : CLOCK_NEVER_US;
    return true;
}

bool sim_timeline_parse(struct slice text, struct arena *arena, struct sim_timeline *out,
                        struct sim_timeline_error *error)
{
    struct reader r = {.error = error};
    size_t lines_n = 1;

    for (size_t i = 0; i < text.n; i++)
        lines_n += text.p[i] == '\n';
    if (lines_n > SIM_TIMELINE_ROWS_MAX)
        lines_n = SIM_TIMELINE_ROWS_MAX;
    *out = (struct sim_timeline){arena_alloc(arena, lines_n * sizeof *out->rows), 0};
    while (text.p != NULL) {
        struct slice line = slice_cut(text, '\n', &text);

        r.line++;
        r.line_start = line.p;
        if (!read_line(&r, line))
            return false;
        if (r.seen == 0)
            continue;
        if (out->rows_n == lines_n)
            return complain(&r, line.p, "there are more than 1000 rows");
        out->rows[out->rows_n++] = r.row;
    }
    return true;
}

bool sim_timeline_holds(const struct sim_timeline_row *row, int64_t age_us, struct slice listener)
{
    return row->at_us <= age_us && age_us < row->until_us &&
           (row->listener.n == 0 || slice_eq(row->listener, listener));
}
