/* SPDX-License-Identifier: MIT */
/* Records in words. Which words is the table's matter; here stands how each type of value looks. */
#include "gateway/why_text.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/clock.h"
#include "policy/choose.h"
#include "policy/outcome.h"

/* -- values ---------------------------------------------------------------------------------------------- */

/* us in ms, to a tenth. */
static enum err add_ms(struct buf *out, int64_t us)
{
    int64_t tenths = (us + CLOCK_MS_US / 20) / (CLOCK_MS_US / 10);

    return buf_printf(out, "%lld.%lld", (long long)(tenths / 10), (long long)(tenths % 10));
}

/* The name that a value stands for; SLICE_NONE: it is a number. */
static struct slice name_of(const struct why_record *r, enum why_type type, int64_t v)
{
    switch (type) {
    case WHY_TARGET:
        return why_target_name(r, (int)v);
    case WHY_OUTCOME:
        return v < OUTCOME_N ? slice_of(outcome_row((enum outcome)v)->label) : SLICE_NONE;
    case WHY_ERROR:
        return v < ERR_N ? slice_of(err_row((enum err)v)->code) : SLICE_NONE;
    case WHY_HOW:
        return v <= CHOOSE_DICE ? slice_of(choose_how_name((enum choose_how)v)) : SLICE_NONE;
    case WHY_COUNT:
    case WHY_TIME:
        break;
    }
    return SLICE_NONE;
}

static enum err add_number(struct buf *out, enum why_type type, int64_t v)
{
    return type == WHY_TIME ? add_ms(out, v) : buf_printf(out, "%lld", (long long)v);
}

typedef enum err (*add_value)(const struct why_record *r, const struct why_field *f, int64_t v,
                              struct buf *out);

/* Those that are known. */
static enum err add_values(const struct why_record *r, const struct why_row *row, const int64_t *v,
                           add_value add, struct buf *out)
{
    enum err e = ERR_OK;

    for (size_t i = 0; row->fields[i].name != NULL && e == ERR_OK; i++) {
        if (v[i] >= 0)
            e = add(r, &row->fields[i], v[i], out);
    }
    return e;
}

static enum err add_look_values(const struct why_record *r, const struct look *k, add_value add,
                                struct buf *out)
{
    int64_t v[LOOK_FIELDS_MAX];

    for (size_t i = 0; i < LOOK_FIELDS_MAX; i++)
        v[i] = k->v[i];
    return add_values(r, why_look_row((enum look_is)k->is), v, add, out);
}

/* -- a line ---------------------------------------------------------------------------------------------- */

/* Names are the operator's, and may hold anything; here blanks and some signs stand between them. */
static enum err add_plain(struct buf *out, struct slice s)
{
    size_t at = out->n;
    enum err e = buf_add(out, s);

    for (size_t i = at; i < out->n; i++) {
        if (out->p[i] == ' ')
            out->p[i] = '_';
        else if (out->p[i] < ' ' || out->p[i] > '~' || strchr(";,()", out->p[i]) != NULL)
            out->p[i] = '?';
    }
    return e;
}

/* " position=3"; a target's name alone. */
static enum err add_word(const struct why_record *r, const struct why_field *f, int64_t v, struct buf *out)
{
    struct slice name = name_of(r, f->type, v);
    enum err e = buf_printf(out, f->type == WHY_TARGET ? " " : " %s=", f->name);

    if (e == ERR_OK)
        e = name.n > 0 ? add_plain(out, name) : add_number(out, f->type, v);
    return e;
}

static enum err add_look_words(const struct why_record *r, const struct look *k, bool first, struct buf *out)
{
    enum err e = buf_add(out, first ? SLICE(" (") : SLICE(", "));

    if (e == ERR_OK)
        e = add_plain(out, why_target_name(r, k->target));
    if (e == ERR_OK)
        e = buf_printf(out, " %s", why_look_row((enum look_is)k->is)->label);
    return e == ERR_OK ? add_look_values(r, k, add_word, out) : e;
}

static enum err add_note_words(const struct why_record *r, const struct why_note *n, struct buf *out)
{
    const struct why_row *row = why_step_row(n->step);
    enum err e = add_ms(out, n->at_us);

    if (e == ERR_OK)
        e = buf_printf(out, " %s", row->label);
    if (e == ERR_OK)
        e = add_values(r, row, n->v, add_word, out);
    for (size_t i = 0; i < n->looks_n && e == ERR_OK; i++)
        e = add_look_words(r, &n->looks[i], i == 0, out);
    if (e == ERR_OK && n->out_n > 0)
        e = buf_printf(out, ", %u more", n->out_n);
    if (e == ERR_OK && n->looks_n > 0)
        e = buf_add(out, SLICE(")"));
    return e;
}

static const struct slice MORE = {"; ...", 5};

enum err why_line(const struct why_record *r, struct buf *out)
{
    size_t begin = out->n, at = 0, i = 0;
    struct why_note n;
    enum err e = ERR_OK;

    while (e == ERR_OK && why_read(r->notes, &at, &n)) {
        size_t before = out->n;

        if (i++ > 0)
            e = buf_add(out, SLICE("; "));
        if (e == ERR_OK && i == 2 && r->facts.dropped_n > 0)
            e = buf_printf(out, "%u more; ", r->facts.dropped_n);
        if (e == ERR_OK)
            e = add_note_words(r, &n, out);
        if (e == ERR_OK && out->n - begin > WHY_LINE_MAX - MORE.n) {
            out->n = before;
            return buf_add(out, MORE);
        }
    }
    return e;
}

/* -- JSON ------------------------------------------------------------------------------------------------ */

static enum err add_member(const struct why_record *r, const struct why_field *f, int64_t v, struct buf *out)
{
    struct slice name = name_of(r, f->type, v);
    enum err e = buf_printf(out, ",\"%s\":", f->name);

    if (e == ERR_OK)
        e = name.n > 0 ? buf_add_json_string(out, name) : add_number(out, f->type, v);
    return e;
}

static enum err add_look(const struct why_record *r, const struct look *k, bool first, struct buf *out)
{
    enum err e = buf_add(out, first ? SLICE(",\"targets\":[{\"endpoint\":") : SLICE(",{\"endpoint\":"));

    if (e == ERR_OK)
        e = buf_add_json_string(out, why_target_name(r, k->target));
    if (e == ERR_OK)
        e = buf_printf(out, ",\"is\":\"%s\"", why_look_row((enum look_is)k->is)->label);
    if (e == ERR_OK)
        e = add_look_values(r, k, add_member, out);
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

static enum err add_note(const struct why_record *r, const struct why_note *n, struct buf *out)
{
    const struct why_row *row = why_step_row(n->step);
    enum err e = buf_add(out, SLICE("{\"at_ms\":"));

    if (e == ERR_OK)
        e = add_ms(out, n->at_us);
    if (e == ERR_OK)
        e = buf_printf(out, ",\"step\":\"%s\"", row->label);
    if (e == ERR_OK)
        e = add_values(r, row, n->v, add_member, out);
    for (size_t i = 0; i < n->looks_n && e == ERR_OK; i++)
        e = add_look(r, &n->looks[i], i == 0, out);
    if (e == ERR_OK && n->looks_n > 0)
        e = buf_printf(out, "],\"more_targets\":%u", n->out_n);
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

static enum err add_notes(const struct why_record *r, struct buf *out)
{
    size_t at = 0;
    struct why_note n;
    enum err e = buf_printf(out, ",\"dropped_steps\":%u,\"steps\":[", r->facts.dropped_n);

    for (bool first = true; e == ERR_OK && why_read(r->notes, &at, &n); first = false) {
        if (!first)
            e = buf_add(out, SLICE(","));
        if (e == ERR_OK)
            e = add_note(r, &n, out);
    }
    return e == ERR_OK ? buf_add(out, SLICE("]}")) : e;
}

static enum err add_text(struct buf *out, const char *name, struct slice s)
{
    enum err e = s.n > 0 ? buf_printf(out, ",\"%s\":", name) : ERR_OK;

    return e == ERR_OK && s.n > 0 ? buf_add_json_string(out, s) : e;
}

static enum err add_time(struct buf *out, const char *name, int64_t us)
{
    enum err e = us >= 0 ? buf_printf(out, ",\"%s\":", name) : ERR_OK;

    return e == ERR_OK && us >= 0 ? add_ms(out, us) : e;
}

static enum err add_end(const struct why_facts *f, struct buf *out)
{
    const char *result = f->result < RESULT_N ? stats_result_name((enum result)f->result) : NULL;
    enum err e = buf_printf(out, ",\"running\":%s", result == NULL ? "true" : "false");

    if (e == ERR_OK && f->status != 0)
        e = buf_printf(out, ",\"status\":%d", f->status);
    if (e == ERR_OK && result != NULL)
        e = buf_printf(out, ",\"result\":\"%s\"", result);
    if (e == ERR_OK && f->err != ERR_OK)
        e = buf_printf(out, ",\"error\":\"%s\"", err_row((enum err)f->err)->code);
    return e;
}

static enum err add_facts(const struct why_facts *f, struct buf *out)
{
    enum err e = buf_printf(out, ",\"route\":\"%s\"", stats_route_name((enum route_id)f->route));

    if (e == ERR_OK && f->priority < PRIORITY_N)
        e = buf_printf(out, ",\"priority\":\"%s\"", config_priority_name((enum priority)f->priority));
    if (e == ERR_OK)
        e = buf_printf(out, ",\"stream\":%s,\"attempts\":%u", f->stream ? "true" : "false", f->calls_n);
    if (e == ERR_OK)
        e = add_end(f, out);
    if (e == ERR_OK)
        e = add_time(out, "wait_ms", f->wait_us);
    if (e == ERR_OK)
        e = add_time(out, "ttft_ms", f->first_us);
    if (e == ERR_OK)
        e = add_time(out, "duration_ms", f->took_us);
    return e == ERR_OK ? add_time(out, "deadline_ms", f->deadline_us) : e;
}

enum err why_json(const struct why_record *r, int worker, struct buf *out)
{
    char when[32];
    enum err e;

    clock_format(r->facts.arrived_wall_us, when);
    e = buf_printf(out, "{\"arrived\":\"%s\",\"worker\":%d", when, worker);
    if (e == ERR_OK)
        e = add_text(out, "key", r->key);
    if (e == ERR_OK)
        e = add_text(out, "model", r->model);
    if (e == ERR_OK)
        e = add_facts(&r->facts, out);
    return e == ERR_OK ? add_notes(r, out) : e;
}
