/* SPDX-License-Identifier: MIT */
/* Reading engines' pages: what cannot be read says nothing. */
#include "llm/signals.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"

static int number_in(int64_t n, int least)
{
    return n < least || n > SIGNALS_MAX ? least - 1 : (int)n;
}

/* A decimal number, whole after rounding down; -1: it is none. */
static int number_of(struct slice s)
{
    char text[32] = "", *end;
    double v;

    s = slice_trim(s);
    if (s.n == 0 || s.n >= sizeof text)
        return -1;
    memcpy(text, s.p, s.n);
    v = strtod(text, &end);
    return end == text + s.n && v >= 0 && v <= SIGNALS_MAX ? (int)v : -1;
}

/* -- pages ----------------------------------------------------------------------------------------------- */

static void read_props(struct json_value root, struct signals *out)
{
    out->slots = number_in(json_int(json_get(root, "total_slots"), 0), 1);
}

/* Each rank of a data-parallel engine has its own: they add up. A rank that is not ready has no room at all.
 */
static bool add_rank(void *ud, struct json_value rank)
{
    struct signals *sum = ud;
    int slots = number_in(json_int(json_get(rank, "max_running_requests"), 0), 1);
    int queued = number_in(json_int(json_get(rank, "num_waiting_reqs"), -1), 0);

    if (json_int(json_get(rank, "max_total_num_tokens"), 1) == 0)
        return true;
    sum->slots += slots > 0 && sum->slots < SIGNALS_MAX ? slots : 0;
    if (queued >= 0 && sum->queued < SIGNALS_MAX)
        sum->queued = (sum->queued > 0 ? sum->queued : 0) + queued;
    return true;
}

static void read_loads(struct json_value root, struct signals *out)
{
    json_each_element(json_get(root, "loads"), add_rank, out);
}

static bool read_json(struct slice body, void (*take)(struct json_value root, struct signals *out),
                      struct signals *out)
{
    struct json_doc *doc;

    if (json_parse(body, NULL, &doc, NULL) != ERR_OK)
        return false;
    take(json_root(doc), out);
    json_free(&doc);
    return out->slots > 0 || out->queued >= 0;
}

/* The value of a line that shows the series: "name{labels} value [timestamp]". */
static bool is_series(struct slice line, struct slice name, struct slice *value)
{
    struct slice rest;
    ptrdiff_t brace;

    if (!slice_starts(line, name))
        return false;
    rest = slice_from(line, name.n);
    if (rest.n > 0 && rest.p[0] == '{') {
        brace = -1;
        for (size_t i = 0; i < rest.n; i++)
            brace = rest.p[i] == '}' ? (ptrdiff_t)i : brace;
        if (brace < 0)
            return false;
        rest = slice_from(rest, (size_t)brace + 1);
    }
    if (rest.n == 0 || rest.p[0] != ' ')
        return false;
    *value = slice_cut(slice_trim(rest), ' ', &rest);
    return true;
}

/* Of one process of the engine after the other. */
static bool read_series(struct slice page, struct signals *out)
{
    static const struct slice NAMES[] = {{"vllm:num_requests_waiting", 25},
                                         {"vllm_num_requests_waiting", 25}};

    while (page.n > 0) {
        struct slice line = slice_cut(page, '\n', &page), value;

        for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
            int n = is_series(line, NAMES[i], &value) ? number_of(value) : -1;

            if (n >= 0 && out->queued < SIGNALS_MAX)
                out->queued = (out->queued > 0 ? out->queued : 0) + n;
        }
    }
    return out->queued >= 0;
}

const char *signals_page(enum dialect_id d)
{
    switch (d) {
    case DIALECT_LLAMA:
        return "/props";
    case DIALECT_VLLM:
        return "/metrics";
    case DIALECT_SGLANG:
        return "/v1/loads";
    default:
        return NULL;
    }
}

bool signals_tell_slots(enum dialect_id d)
{
    return d == DIALECT_LLAMA || d == DIALECT_SGLANG;
}

bool signals_read(enum dialect_id d, struct slice body, struct signals *out)
{
    *out = (struct signals){0, -1};
    switch (d) {
    case DIALECT_LLAMA:
        return read_json(body, read_props, out);
    case DIALECT_VLLM:
        return read_series(body, out);
    case DIALECT_SGLANG:
        return read_json(body, read_loads, out);
    default:
        return false;
    }
}

/* -- the header ------------------------------------------------------------------------------------------ */

static bool is_waiting(struct slice name)
{
    static const char *const NAMES[] = {"num_requests_waiting", "numRequestsWaiting"};

    for (size_t i = 0; i < COUNT_OF(NAMES); i++) {
        if (slice_eq(name, slice_of(NAMES[i])))
            return true;
    }
    return false;
}

static void read_metrics(struct json_value root, struct signals *out)
{
    struct json_value named = json_get(root, "named_metrics");
    double v;

    if (json_is_absent(named))
        named = json_get(root, "namedMetrics");
    v = json_double(json_get(named, "num_requests_waiting"), -1);
    if (v < 0)
        v = json_double(json_get(named, "numRequestsWaiting"), -1);
    out->queued = v >= 0 && v <= SIGNALS_MAX ? (int)v : -1;
}

/* "named_metrics.num_requests_waiting=5.0, ..." */
static bool read_pairs(struct slice text, struct signals *out)
{
    while (text.n > 0) {
        struct slice pair = slice_cut(text, ',', &text), value, name;

        name = slice_trim(slice_cut(pair, '=', &value));
        if (slice_starts(name, SLICE("named_metrics.")) || slice_starts(name, SLICE("namedMetrics.")))
            (void)slice_cut(name, '.', &name);
        if (is_waiting(name))
            out->queued = number_of(value);
    }
    return out->queued >= 0;
}

bool signals_read_header(struct slice value, struct signals *out)
{
    *out = (struct signals){0, -1};
    if (slice_istarts(value, SLICE("TEXT ")) || slice_istarts(value, SLICE("JSON ")))
        value = slice_from(value, 5);
    value = slice_trim(value);
    if (value.n > 0 && value.p[0] == '{')
        return read_json(value, read_metrics, out);
    return read_pairs(value, out);
}
