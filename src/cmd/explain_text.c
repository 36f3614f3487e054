/* SPDX-License-Identifier: MIT */
/* Pages of text out of the answer's JSON. The names of steps and their numbers are the gateway's: what a
 * newer one says besides is shown as it comes. */
#include "cmd/explain_text.h"

#include "base/json.h"

/* Terminals obey control bytes, and names may hold any. */
static void print_text(struct slice s, FILE *to)
{
    for (size_t i = 0; i < s.n; i++)
        fputc((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i], to);
}

static void print_value(struct json_value v, FILE *to)
{
    if (json_is_string(v))
        print_text(json_string(v), to);
    else if (json_is_bool(v))
        fputs(json_true(v) ? "yes" : "no", to);
    else
        fprintf(to, "%.15g", json_double(v, 0));
}

/* -- steps ----------------------------------------------------------------------------------------------- */

struct line {
    FILE *to;
    const char *const *shown; /* members that have been printed before */
};

static bool print_member(void *ud, struct slice key, struct json_value v)
{
    const struct line *l = ud;

    for (const char *const *name = l->shown; *name != NULL; name++) {
        if (slice_eq(key, slice_of(*name)))
            return true;
    }
    fputs("  ", l->to);
    print_text(key, l->to);
    fputc('=', l->to);
    print_value(v, l->to);
    return true;
}

static bool print_target(void *ud, struct json_value v)
{
    static const char *const SHOWN[] = {"endpoint", "is", NULL};
    struct line l = {ud, SHOWN};

    fputs("                          ", l.to);
    print_text(json_string(json_get(v, "endpoint")), l.to);
    fputs(": ", l.to);
    print_text(json_string(json_get(v, "is")), l.to);
    json_each(v, print_member, &l);
    fputc('\n', l.to);
    return true;
}

static bool print_step(void *ud, struct json_value v)
{
    static const char *const SHOWN[] = {"at_ms", "step", "targets", "more_targets", NULL};
    struct line l = {ud, SHOWN};
    int64_t more_n = json_int(json_get(v, "more_targets"), 0);
    struct slice step = json_string(json_get(v, "step"));

    fprintf(l.to, "  %10.1f ms  ", json_double(json_get(v, "at_ms"), 0));
    print_text(step, l.to);
    for (size_t i = step.n; i < 8; i++)
        fputc(' ', l.to);
    json_each(v, print_member, &l);
    fputc('\n', l.to);
    json_each_element(json_get(v, "targets"), print_target, l.to);
    if (more_n > 0)
        fprintf(l.to, "                          and %lld more\n", (long long)more_n);
    return true;
}

/* -- a request ------------------------------------------------------------------------------------------- */

static bool print_fact(void *ud, struct slice key, struct json_value v)
{
    FILE *to = ud;

    if (json_is_array(v) || slice_eq(key, SLICE("running")) ||
        (slice_eq(key, SLICE("dropped_steps")) && json_int(v, 0) == 0))
        return true;
    fputs("  ", to);
    print_text(key, to);
    for (size_t i = key.n; i < 14; i++)
        fputc(' ', to);
    print_value(v, to);
    fputc('\n', to);
    return true;
}

static bool print_record(void *ud, struct json_value v)
{
    FILE *to = ud;

    fputs(json_true(json_get(v, "running")) ? "\nin work\n" : "\nover\n", to);
    json_each(v, print_fact, to);
    fputc('\n', to);
    json_each_element(json_get(v, "steps"), print_step, to);
    return true;
}

static void print_page(struct json_value root, struct json_value records, FILE *to)
{
    int64_t silent_n = json_int(json_get(root, "silent_workers"), 0);

    fputs("request ", to);
    print_text(json_string(json_get(root, "request_id")), to);
    fputc('\n', to);
    json_each_element(records, print_record, to);
    if (silent_n > 0)
        fprintf(to, "\n%lld of the workers did not answer in time\n", (long long)silent_n);
}

bool explain_print(struct slice json, bool raw, FILE *to)
{
    struct json_value root, records;
    struct json_doc *doc;
    bool fine;

    if (json_parse(json, NULL, &doc, NULL) != ERR_OK)
        return false;
    root = json_root(doc);
    records = json_get(root, "records");
    fine = json_is_array(records);
    if (fine && raw)
        fine = fwrite(json.p, 1, json.n, to) == json.n;
    else if (fine)
        print_page(root, records, to);
    json_free(&doc);
    return fine;
}

bool explain_print_error(struct slice json, FILE *to)
{
    struct json_doc *doc;
    struct slice message;

    if (json_parse(json, NULL, &doc, NULL) != ERR_OK)
        return false;
    message = json_string(json_get(json_get(json_root(doc), "error"), "message"));
    print_text(message, to);
    if (message.n > 0)
        fputc('\n', to);
    json_free(&doc);
    return message.n > 0;
}
