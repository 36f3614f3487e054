/* SPDX-License-Identifier: MIT */
/* Mooncake's traces: one JSON object a line, with the blocks of each prompt by id. */
#include "base/clock.h"
#include "base/json.h"
#include "load/trace_private.h"

#define LINE_MAX_BYTES (1 << 20)
#define TIME_MAX_MS (INT64_C(10) * 366 * 24 * 3600 * 1000)

struct reading {
    struct trace *trace;
    struct trace_row *row;
    bool bad;
};

static bool take_id(void *ud, struct json_value v)
{
    struct reading *r = ud;
    struct trace *t = r->trace;
    int64_t id = json_int(v, -1);

    if (id < 0 || id > TRACE_BLOCK_ID_MAX) {
        r->bad = true;
        return false;
    }
    t->blocks = trace_grow(t->blocks, t->blocks_n, sizeof *t->blocks);
    t->blocks[t->blocks_n++] = (uint32_t)id;
    r->row->blocks_n++;
    return true;
}

static bool take_tokens(struct json_value v, uint32_t *out)
{
    int64_t n = json_int(v, -1);

    if (n < 0 || n > TRACE_TOKENS_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}

static const char *read_object(struct trace *t, struct json_value root, struct trace_row *row)
{
    struct reading r = {t, row, false};
    int64_t ms = json_int(json_get(root, "timestamp"), -1);

    if (ms < 0 || ms > TIME_MAX_MS)
        return "\"timestamp\" must be a number of milliseconds, 0 or more.";
    row->at_us = ms * CLOCK_MS_US;
    if (!take_tokens(json_get(root, "input_length"), &row->prompt_tokens) ||
        !take_tokens(json_get(root, "output_length"), &row->answer_tokens))
        return "\"input_length\" and \"output_length\" must be numbers of tokens, at most 10,000,000 each.";
    row->blocks_at = t->blocks_n;
    json_each_element(json_get(root, "hash_ids"), take_id, &r);
    return r.bad ? "\"hash_ids\" must be numbers from 0 to 268,435,455." : NULL;
}

const char *trace_mooncake_line(struct trace *t, struct slice line)
{
    struct trace_row row = {0};
    struct json_doc *doc;
    const char *bad;

    if (line.n > LINE_MAX_BYTES)
        return "The line is longer than 1 MiB.";
    if (json_parse(line, NULL, &doc, NULL) != ERR_OK)
        return "The line is not valid JSON.";
    bad = read_object(t, json_root(doc), &row);
    json_free(&doc);
    if (bad != NULL)
        return bad;
    t->rows = trace_grow(t->rows, t->rows_n, sizeof row);
    t->rows[t->rows_n++] = row;
    return NULL;
}
