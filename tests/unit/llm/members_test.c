/* SPDX-License-Identifier: MIT */
/* Walking the members of an object: ranges, escapes, and texts that are no objects. */
#include "llm/members.h"

#include "base/assert.h"
#include "tap.h"

static bool walk_one(struct members *m, const char *text, struct member *out)
{
    members_init(m, slice_of(text));
    return members_next(m, out);
}

/* "name=value;" for every member of a copy that ends at an unmapped page. */
static void describe(const char *text, size_t n, char *out, size_t cap)
{
    char *copy = tap_guard(text, n);
    struct members m;
    struct member at;
    size_t used = 0;

    out[0] = '\0';
    members_init(&m, (struct slice){copy, n});
    while (members_next(&m, &at) && used < cap) {
        used +=
            (size_t)snprintf(out + used, cap - used, "%.*s=%.*s;", SLICE_ARG(at.name), SLICE_ARG(at.value));
        if (copy[at.start] != '"' || at.value.p + at.value.n != copy + at.end)
            used += (size_t)snprintf(out + used, cap - used, "(wrong offsets)");
    }
    tap_guard_free(copy, n);
}

TEST(finds_names_and_values)
{
    static const char *const rows[][2] = {
        {"{}", ""},
        {" \r\n\t{ } \n", ""},
        {"{\"a\":1}", "a=1;"},
        {"{\"\":\"\"}", "=\"\";"},
        {" { \"a\" : 1 , \"b\" : [ 1 , { \"c\" : \"}]\" } ] , \"d\" : { } } ",
         "a=1;b=[ 1 , { \"c\" : \"}]\" } ];d={ };"},
        {"{\"a\":-1.5e+3,\"b\":true,\"c\":null,\"d\":false}", "a=-1.5e+3;b=true;c=null;d=false;"},
        {"{\"a\\\"b\":\"\\\\\",\"c\":\"\\\\\\\"\",\"d\":\"x\\\"\"}",
         "a\\\"b=\"\\\\\";c=\"\\\\\\\"\";d=\"x\\\"\";"},
        {"{\"a\":\"{[\\\"\",\"b\":{\"a\":{\"a\":[[[\"]\"]]]}}}",
         "a=\"{[\\\"\";b={\"a\":{\"a\":[[[\"]\"]]]}};"},
        {"{\"a\":1,\"a\":2,\"a\":3}", "a=1;a=2;a=3;"},
        {"{\"a\":\"seven77\",\"b\":\"eight888\",\"c\":\"fifteen15151515\",\"d\":\"sixteen161616161\"}",
         "a=\"seven77\";b=\"eight888\";c=\"fifteen15151515\";d=\"sixteen161616161\";"},
        {"{\"a\":[\"_Yy\",\"!#\\u0022\"],\"b\":2}", "a=[\"_Yy\",\"!#\\u0022\"];b=2;"},
    };
    char out[400];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        describe(rows[i][0], strlen(rows[i][0]), out, sizeof out);
        CHECK_STR(out, rows[i][1]);
    }
}

/* Whatever stands there: nothing is read behind the end, and the walk ends. */
TEST(ends_at_the_end_of_any_text)
{
    static const char *const texts[] = {
        "{\"model\":\"a\\\"b\\\\\",\"x\":{\"deep\":[1,{\"x\":\"y\\\\\\\"\"}]},\"n\":1234567890 }",
        "[1,2]",
        "\"text\"",
        "{{{{[[[[",
        "}}]]",
        "{\"a\":]}",
        "{\"a\" \"b\"}",
        "{\"a\"::1,,\"b\":2}",
        "{\"\\",
        "{\"\\u00",
    };
    char out[400];

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (size_t n = 0; n <= strlen(texts[i]); n++) {
            describe(texts[i], n, out, sizeof out);
            CHECK(strlen(out) < sizeof out);
        }
    }
}

TEST(a_string_of_backslashes_costs_one_pass)
{
    size_t n = 1 << 20;
    char *text = malloc(n);
    struct members m;
    struct member at;

    memcpy(text, "{\"a\":\"", 6);
    for (size_t i = 6; i < n - 2; i++)
        text[i] = i % 2 == 0 ? '\\' : '"'; /* half a million escaped quotes */
    text[n - 2] = '"';
    text[n - 1] = '}';
    members_init(&m, (struct slice){text, n});
    CHECK(members_next(&m, &at) && at.end == n - 1);
    CHECK(!members_next(&m, &at));
    memset(text + 6, '\\', n - 8);
    members_init(&m, (struct slice){text, n});
    CHECK(members_next(&m, &at) && at.end == n - 1);
    free(text);
}

TEST(compares_names_with_their_escapes_undone)
{
    struct members m;
    struct member at;

    CHECK(walk_one(&m, "{\"model\":1}", &at) && member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"mod\\u0065l\":1}", &at) && member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"\\u006d\\u006F\\u0064\\u0065\\u006C\":1}", &at) && member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"a\\/b\":1}", &at) && member_is(&at, SLICE("a/b")));
    CHECK(walk_one(&m, "{\"a\\tb\":1}", &at) && member_is(&at, SLICE("a\tb")));
    CHECK(walk_one(&m, "{\"mode\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"models\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"model\\u0000\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"mod\\u0165l\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"mod\\ud83d\\ude00\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"m\303\266del\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"\":1}", &at) && !member_is(&at, SLICE("model")) && member_is(&at, SLICE("")));
}

TEST(sees_names_that_differ_in_case_alone)
{
    struct members m;
    struct member at;

    CHECK(walk_one(&m, "{\"Model\":1}", &at) && member_resembles(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"\\u004DODEL\":1}", &at) && member_resembles(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"Model\":1}", &at) && !member_is(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"Models\":1}", &at) && !member_resembles(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"Mode\":1}", &at) && !member_resembles(&at, SLICE("model")));
    CHECK(walk_one(&m, "{\"mod@l\":1}", &at) && !member_resembles(&at, SLICE("mod`l")));
}

TEST(an_index_shows_what_a_walk_finds)
{
    static const char text[] = " {\"a\":1,\"b\":[1,2,{\"c\":\"}\"}],\"a\":\"x\"} ";
    struct slice whole = {text, sizeof text - 1};
    struct member found[8], m, w;
    struct members walk, indexed;
    size_t n = members_find(whole, found, COUNT_OF(found));

    CHECK_INT(n, 3);
    members_init(&walk, whole);
    members_init_indexed(&indexed, whole, (struct members_index){found, n});
    CHECK_INT(indexed.at, walk.at);
    while (members_next(&walk, &w)) {
        if (!CHECK(members_next(&indexed, &m)))
            return;
        CHECK_MEM(m.name.p, m.name.n, w.name.p, w.name.n);
        CHECK_MEM(m.value.p, m.value.n, w.value.p, w.value.n);
        CHECK(m.start == w.start && m.end == w.end && indexed.at == walk.at);
    }
    CHECK(!members_next(&indexed, &m));
}

TEST(an_index_that_is_too_small_says_so)
{
    struct member found[2];

    CHECK_INT(members_find(slice_of("{\"a\":1,\"b\":2}"), found, 2), 2);
    CHECK_INT(members_find(slice_of("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}"), found, 2), 3);
    CHECK_INT(members_find(slice_of("[]"), found, 2), 0);
}
