/* SPDX-License-Identifier: MIT */
/* Prints schema.def and options.def as a JSON Schema. */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"
#include "config/config.h"
#include "config/options.h"

#define TEXT_MAX ((size_t)1 << 20)
#define JSON(...) #__VA_ARGS__
#define NONE NULL

enum row_kind { ROW_SHAPE, ROW_OBJECT, ROW_KEY };

struct row {
    const char *name;
    const char *shape; /* ROW_SHAPE: its JSON; ROW_KEY: the name of the shape */
    const char *dflt;  /* JSON, or NULL */
    const char *doc;
    enum row_kind kind;
    bool required;
};

static const struct row rows[] = {
#define SHAPE(name, json, doc) {#name, json, NULL, doc, ROW_SHAPE, false},
#define OBJECT(name, source, table, doc) {#name, NULL, NULL, doc, ROW_OBJECT, false},
#define KEY(name, shape, required, dflt, doc) {name, #shape, dflt, doc, ROW_KEY, required},
#include "config/schema.def"
#undef SHAPE
#undef OBJECT
#undef KEY
};

#define SAY(out, ...) ((void)buf_printf((out), __VA_ARGS__))

static void say_text(struct buf *out, const char *text)
{
    (void)buf_add_json_string(out, slice_of(text));
}

/* A kind of value under its name: the description goes in front of what its JSON says. */
static void say_shape(struct buf *out, const struct row *r)
{
    SAY(out, "    \"%s\": {\"description\": ", r->name);
    say_text(out, r->doc);
    SAY(out, ", %s", r->shape + 1);
}

static void say_property(struct buf *out, const char *name, const char *shape, const char *dflt,
                         const char *doc)
{
    SAY(out, "        \"%s\": {\"$ref\": \"#/$defs/%s\", ", name, shape);
    if (dflt)
        SAY(out, "\"default\": %s, ", dflt);
    SAY(out, "\"description\": ");
    say_text(out, doc);
    SAY(out, "}");
}

/* The rows of options.def that stand in the section of that name. */
static void say_options(struct buf *out, const char *section)
{
    static const char *const shapes[] = {[OPTION_DURATION] = "duration",
                                         [OPTION_SIZE] = "size",
                                         [OPTION_COUNT] = "count",
                                         [OPTION_BOOL] = "boolean"};
    const char *comma = "";
    size_t n;
    const struct option *options = options_table(&n);

    for (size_t i = 0; i < n; i++) {
        struct slice name, head = slice_cut(slice_of(options[i].path), '.', &name);
        bool bare = options[i].kind == OPTION_COUNT || options[i].kind == OPTION_BOOL;
        char text[32], dflt[40];

        if (!slice_eq(head, slice_of(section)))
            continue;
        snprintf(dflt, sizeof(dflt), bare ? "%s" : "\"%s\"",
                 options_print(&options[i], options[i].dflt, text));
        SAY(out, "%s\n", comma);
        say_property(out, name.p, shapes[options[i].kind], dflt, options[i].doc);
        comma = ",";
    }
}

/* The keys that follow the object at `r`; returns the row behind them. */
static const struct row *say_keys(struct buf *out, const struct row *r)
{
    const struct row *end = rows + COUNT_OF(rows), *k;
    const char *comma = "";

    for (k = r + 1; k < end && k->kind == ROW_KEY; k++) {
        SAY(out, "%s\n", comma);
        say_property(out, k->name, k->shape, k->dflt, k->doc);
        comma = ",";
    }
    return k;
}

static void say_required(struct buf *out, const struct row *r)
{
    const char *comma = "";

    SAY(out, "\"required\": [");
    for (const struct row *k = r + 1; k < rows + COUNT_OF(rows) && k->kind == ROW_KEY; k++) {
        if (k->required) {
            SAY(out, "%s\"%s\"", comma, k->name);
            comma = ", ";
        }
    }
    SAY(out, "]");
}

static const struct row *say_object(struct buf *out, const struct row *r)
{
    const struct row *next;

    SAY(out, "    \"%s\": {\"description\": ", r->name);
    say_text(out, r->doc);
    SAY(out, ", \"type\": \"object\", \"additionalProperties\": false,\n      ");
    say_required(out, r);
    SAY(out, ",\n      \"properties\": {");
    next = say_keys(out, r);
    if (next == r + 1)
        say_options(out, r->name);
    SAY(out, "}}");
    return next;
}

char *config_schema(void)
{
    const struct row *r = rows, *end = rows + COUNT_OF(rows);
    struct buf out;
    char *text;

    buf_init(&out, TEXT_MAX, NULL);
    SAY(&out, "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
              "  \"title\": \"The configuration file of tidegate\",\n"
              "  \"$ref\": \"#/$defs/file\",\n  \"$defs\": {\n");
    while (r < end) {
        if (r->kind == ROW_SHAPE)
            say_shape(&out, r++);
        else
            r = say_object(&out, r);
        SAY(&out, r < end ? ",\n" : "\n");
    }
    SAY(&out, "  }}\n");
    ASSERT(out.n < TEXT_MAX - 1);
    text = mem_strndup(out.p, out.n);
    buf_fini(&out);
    return text;
}
