/* SPDX-License-Identifier: MIT */
/* The schema as a document: every kind that is referred to is defined, every key says what it is. */
#include "config/schema.h"

#include "base/json.h"
#include "base/mem.h"
#include "tap.h"

static struct json_doc *schema_read(char **text)
{
    struct json_doc *doc = NULL;

    *text = config_schema();
    CHECK(json_parse(slice_of(*text), NULL, &doc, NULL) == ERR_OK);
    return doc;
}

TEST(it_is_json_that_begins_with_its_draft)
{
    char *text;
    struct json_doc *doc = schema_read(&text);
    struct slice draft = json_string(json_get(json_root(doc), "$schema"));

    CHECK(slice_eq(draft, SLICE("https://json-schema.org/draft/2020-12/schema")));
    json_free(&doc);
    mem_free(text);
}

TEST(every_reference_is_defined)
{
    static const char ref[] = "{\"$ref\": \"#/$defs/";
    char *text;
    struct json_doc *doc = schema_read(&text);
    struct json_value defs = json_get(json_root(doc), "$defs");
    int n = 0;

    for (const char *at = strstr(text, ref); at; at = strstr(at + 1, ref), n++) {
        struct slice rest, name = slice_cut(slice_of(at + sizeof ref - 1), '"', &rest);
        char z[64];

        snprintf(z, sizeof z, "%.*s", SLICE_ARG(name));
        CHECK(!json_is_absent(json_get(defs, z)));
    }
    CHECK(n > 100);
    json_free(&doc);
    mem_free(text);
}

TEST(options_have_their_defaults)
{
    char *text;
    struct json_doc *doc = schema_read(&text);
    struct json_value defs = json_get(json_root(doc), "$defs");
    struct json_value timeouts = json_get(json_get(defs, "timeouts"), "properties");
    struct json_value limits = json_get(json_get(defs, "limits"), "properties");

    CHECK(slice_eq(json_string(json_get(json_get(timeouts, "connect"), "default")), SLICE("5s")));
    CHECK(slice_eq(json_string(json_get(json_get(limits, "body"), "default")), SLICE("48MiB")));
    CHECK(json_int(json_get(json_get(limits, "attempts"), "default"), 0) == 3);
    json_free(&doc);
    mem_free(text);
}
