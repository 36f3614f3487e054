/* SPDX-License-Identifier: MIT */
/* JSON: strictness, bounds, getters, and what a pooled parse costs. */
#include "base/json.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/poison.h"
#include "tap.h"

#define EVENT                                                                                             \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\"," \
    "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"tide\"},\"finish_reason\":null}],\"usage\":null}"

/* Parses from a guard page; the caller frees the document. */
static struct json_doc *parse(struct slice text)
{
    struct json_doc *doc = NULL;
    char *copy = tap_guard(text.p, text.n);

    CHECK_INT(json_parse((struct slice){copy, text.n}, NULL, &doc, NULL), ERR_OK);
    tap_guard_free(copy, text.n); /* the document keeps nothing of the caller's text */
    return doc;
}

static bool is_refused(struct slice text)
{
    struct json_doc *doc = (struct json_doc *)1;
    const char *why = NULL;
    char *copy = tap_guard(text.p, text.n);
    enum err e = json_parse((struct slice){copy, text.n}, NULL, &doc, &why);

    tap_guard_free(copy, text.n);
    return e == ERR_MALFORMED && !doc && why && why[0];
}

TEST(what_rfc_8259_allows_is_read)
{
    static const char *const texts[] = {"{}",
                                        "[]",
                                        "null",
                                        "true",
                                        " 1 ",
                                        "-0",
                                        "1e3",
                                        "-1.5E-7",
                                        "\"\"",
                                        "\t\r\n [ 1 , { \"a\" : [ ] } ] ",
                                        "\"\\u00e9\\ud83c\\udf0a\\/\"",
                                        "123456789012345678901234567890"};

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json_doc *doc = parse(slice_of(texts[i]));
        CHECK(doc != NULL);
        json_free(&doc);
        CHECK(doc == NULL);
    }
}

TEST(what_it_does_not_allow_is_refused)
{
    static const struct slice texts[] = {
        {"", 0},         {" ", 1},         {"{", 1},           {"[1,]", 4},   {"{\"a\":1,}", 8},
        {"{'a':1}", 7},  {"{a:1}", 5},     {"[1] x", 5},       {"{}{}", 4},   {"// c\n1", 6},
        {"01", 2},       {"+1", 2},        {".5", 2},          {"1.", 2},     {"0x10", 4},
        {"NaN", 3},      {"Infinity", 8},  {"nul", 3},         {"True", 4},   {"\"a\nb\"", 5},
        {"\"a\0b\"", 5}, {"\"\\x41\"", 6}, {"\"\\u12g4\"", 8}, {"\"open", 5}, {"\xef\xbb\xbf{}", 5},
        {"[1]\0", 4},
    };

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (!CHECK(is_refused(texts[i])))
            printf("# text %zu: %s\n", i, texts[i].p);
    }
}

TEST(invalid_utf8_is_refused)
{
    static const char *const bytes[] = {"\x80",
                                        "\xff",
                                        "\xc0\x80",
                                        "\xc1\xbf",
                                        "\xe0\x80\x80",
                                        "\xe4\xbd",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xf0\x80\x80\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xf8\x88\x80\x80\x80",
                                        "\xc3"};
    char text[32];

    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        int n = snprintf(text, sizeof(text), "{\"k\":\"ab%s\"}", bytes[i]);
        if (!CHECK(is_refused((struct slice){text, (size_t)n})))
            printf("# value %zu\n", i);
        n = snprintf(text, sizeof(text), "{\"%s\":1}", bytes[i]);
        CHECK(is_refused((struct slice){text, (size_t)n}));
    }
    CHECK(is_refused(SLICE("\"\\ud83c\"")));
    CHECK(is_refused(SLICE("\"\\udf0a\\ud83c\"")));
}

static size_t put(char *at, const char *text)
{
    size_t n = 0;

    for (; text[n]; n++)
        at[n] = text[n];
    return n;
}

/* `depth` containers inside each other, arrays or objects by the bits of `kinds`, each with brothers. */
static size_t nest(char *text, int depth, unsigned kinds)
{
    size_t n = 0;

    for (int i = 0; i < depth; i++) {
        n += put(text + n, kinds >> i % 8 & 1 ? "[[],1," : "{\"a\":{},\"b\":");
    }
    n += put(text + n, "[]");
    for (int i = depth - 1; i >= 0; i--)
        n += put(text + n, kinds >> i % 8 & 1 ? ",[]]" : ",\"c\":{}}");
    return n;
}

TEST(depth_is_bounded_at_64)
{
    static char text[4000];
    struct json_doc *doc = NULL;
    const char *why = NULL;

    for (unsigned kinds = 0; kinds < 256; kinds += 51) {
        size_t n = nest(text, 63, kinds);
        doc = parse((struct slice){text, n});
        CHECK(doc != NULL);
        json_free(&doc);
        n = nest(text, 64, kinds);
        CHECK_INT(json_parse((struct slice){text, n}, NULL, &doc, &why), ERR_MALFORMED);
        CHECK_STR(why, "nested deeper than 64 levels");
        CHECK(doc == NULL);
    }
}

TEST(a_megabyte_of_brackets_is_refused)
{
    size_t half = 1 << 19;
    char *text = mem_alloc(2 * half);
    struct json_pool *pool = json_pool_new(4096);
    struct json_doc *doc = NULL;

    memset(text, '[', 2 * half);
    CHECK(is_refused((struct slice){text, 2 * half}));
    memset(text + half, ']', half);
    CHECK(is_refused((struct slice){text, 2 * half}));
    CHECK_INT(json_parse((struct slice){text, 2 * half}, pool, &doc, NULL), ERR_MALFORMED);
    CHECK_INT(json_parse(SLICE("[]"), pool, &doc, NULL), ERR_OK);
    json_free(&doc);
    json_pool_free(&pool);
    mem_free(text);
}

TEST(more_values_than_memory_is_set_aside_for_are_refused)
{
    size_t n = 24 << 20;
    char *text = mem_alloc(n);
    struct json_doc *doc = NULL;
    const char *why = NULL;

    for (size_t i = 0; i < n; i += 2)
        put(text + i, i == 0 ? "[1" : ",1");
    text[n - 2] = ' ';
    text[n - 1] = ']';
    CHECK_INT(json_parse((struct slice){text, n}, NULL, &doc, &why), ERR_MALFORMED);
    CHECK_STR(why, "too many values");
    mem_free(text);
}

TEST(of_doubled_members_the_last_counts)
{
    struct json_doc *doc = parse(SLICE("{\"a\":1,\"b\":2,\"a\":{\"x\":3},\"ab\":4,\"a\":5}"));
    struct json_value root = json_root(doc);

    CHECK_INT(json_int(json_get(root, "a"), -1), 5);
    CHECK_INT(json_int(json_get(root, "b"), -1), 2);
    CHECK_INT(json_int(json_get(root, "ab"), -1), 4);
    CHECK_INT(json_count(root), 5);
    json_free(&doc);
}

TEST(kinds_and_absence)
{
    struct json_doc *doc =
        parse(SLICE("{\"o\":{},\"a\":[7],\"s\":\"x\",\"n\":1,\"t\":true,\"f\":false,\"z\":null}"));
    struct json_value root = json_root(doc), none = json_get(root, "none");

    CHECK(json_is_object(json_get(root, "o")) && json_is_array(json_get(root, "a")));
    CHECK(json_is_string(json_get(root, "s")) && json_is_number(json_get(root, "n")));
    CHECK(json_is_bool(json_get(root, "t")) && json_true(json_get(root, "t")));
    CHECK(json_is_bool(json_get(root, "f")) && !json_true(json_get(root, "f")));
    CHECK(json_is_null(json_get(root, "z")) && !json_is_absent(json_get(root, "z")));
    CHECK(json_is_absent(none) && !json_is_null(none) && !json_is_object(none) && !json_true(none));
    CHECK(json_is_absent(json_get(none, "x")) && json_is_absent(json_get(json_get(root, "a"), "x")));
    CHECK(json_is_absent(json_at(json_get(root, "a"), 1)) && json_is_absent(json_at(root, 0)));
    CHECK_INT(json_int(json_at(json_get(root, "a"), 0), -1), 7);
    CHECK_INT(json_count(json_get(root, "s")), 0);
    CHECK(json_string(json_get(root, "n")).p == NULL && json_string(none).p == NULL);
    CHECK_INT(json_int(json_get(root, "s"), -1), -1);
    CHECK_INT(json_count(none), 0);
    json_free(&doc);
}

TEST(strings_may_hold_any_character)
{
    struct json_doc *doc = parse(SLICE("[\"a\\u0000b\\n\\ud83c\\udf0a\",\"\"]"));
    struct slice s = json_string(json_at(json_root(doc), 0)), empty = json_string(json_at(json_root(doc), 1));

    CHECK_MEM(s.p, s.n, "a\0b\n\xf0\x9f\x8c\x8a", 8);
    CHECK(empty.p != NULL);
    CHECK_INT(empty.n, 0);
    json_free(&doc);
}

TEST(numbers_are_cut_and_clamped)
{
    static const struct {
        const char *text;
        int64_t whole;
        double real;
    } rows[] = {
        {"0", 0, 0},
        {"-7", -7, -7},
        {"2.9", 2, 2.9},
        {"-2.9", -2, -2.9},
        {"1e3", 1000, 1000},
        {"9223372036854775807", INT64_MAX, 9223372036854775807.0},
        {"9223372036854775808", INT64_MAX, 9223372036854775808.0},
        {"18446744073709551616", INT64_MAX, 18446744073709551616.0},
        {"-9223372036854775808", INT64_MIN, -9223372036854775808.0},
        {"-1e300", INT64_MIN, -1e300},
        {"1e300", INT64_MAX, 1e300},
        {"9223372036854775807.0", INT64_MAX, 9223372036854775807.0},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_doc *doc = parse(slice_of(rows[i].text));
        CHECK_INT(json_int(json_root(doc), 5), rows[i].whole);
        CHECK(json_double(json_root(doc), 5) == rows[i].real);
        json_free(&doc);
    }
    struct json_doc *doc = parse(SLICE("\"1\""));
    CHECK(json_double(json_root(doc), 5) == 5);
    json_free(&doc);
}

struct seen {
    char text[100];
    size_t n;
    int left; /* members until the walk is stopped */
};

static bool on_member(void *ud, struct slice key, struct json_value value)
{
    struct seen *s = ud;

    s->n += (size_t)snprintf(s->text + s->n, sizeof(s->text) - s->n, "%.*s=%d;", SLICE_ARG(key),
                             (int)json_int(value, -1));
    return --s->left > 0;
}

static bool on_element(void *ud, struct json_value value)
{
    return on_member(ud, SLICE("e"), value);
}

TEST(walks_go_in_order_and_stop_when_told)
{
    struct json_doc *doc = parse(SLICE("{\"a\":1,\"b\":[4,5,6],\"a\":3}"));
    struct seen s = {.left = 10};

    json_each(json_root(doc), on_member, &s);
    CHECK_STR(s.text, "a=1;b=-1;a=3;");
    s = (struct seen){.left = 2};
    json_each_element(json_get(json_root(doc), "b"), on_element, &s);
    CHECK_STR(s.text, "e=4;e=5;");
    s = (struct seen){.left = 2};
    json_each(json_get(json_root(doc), "b"), on_member, &s);
    json_each_element(json_root(doc), on_element, &s);
    json_each((struct json_value){NULL}, on_member, &s);
    CHECK_INT(s.n, 0);
    json_free(&doc);
}

TEST(a_pooled_event_costs_no_allocation)
{
    struct json_pool *pool = json_pool_new(8192);
    struct json_doc *doc = NULL;
    uint64_t before = mem_alloc_n();
    int wrong_n = 0;

    for (int i = 0; i < 1000; i++) {
        wrong_n += json_parse(SLICE(EVENT), pool, &doc, NULL) != ERR_OK;
        struct json_value choice = json_at(json_get(json_root(doc), "choices"), 0);
        struct slice content = json_string(json_get(json_get(choice, "delta"), "content"));
        wrong_n += !slice_eq(content, SLICE("tide"));
        json_free(&doc);
        wrong_n += json_parse(SLICE("{\"broken"), pool, &doc, NULL) != ERR_MALFORMED;
    }
    CHECK_INT(wrong_n, 0);
    CHECK_INT(mem_alloc_n() - before, 0);
    json_pool_free(&pool);
    CHECK(pool == NULL);
}

/* Pools of every size up to one that holds all: text, values and their growth fall out of it by turns. */
TEST(what_does_not_fit_falls_back_to_the_heap)
{
    char text[700] = "[";
    size_t n = 1;
    uint64_t last = 0;

    for (int i = 0; i < 300; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%d", i ? "," : "", i % 10);
    text[n++] = ']';
    for (size_t size = 0; size < 16384; size += 48) {
        struct json_pool *pool = json_pool_new(size);
        struct json_doc *doc = NULL;
        uint64_t before = mem_alloc_n();
        CHECK_INT(json_parse((struct slice){text, n}, pool, &doc, NULL), ERR_OK);
        last = mem_alloc_n() - before;
        CHECK(size > 0 || last > 0);
        CHECK_INT(json_count(json_root(doc)), 300);
        CHECK_INT(json_int(json_at(json_root(doc), 299), -1), 9);
        json_free(&doc);
        json_pool_free(&pool);
    }
    CHECK_INT(last, 0);
}

#if defined(__SANITIZE_ADDRESS__)
TEST(a_freed_pooled_document_is_poisoned)
{
    struct json_pool *pool = json_pool_new(4096);
    struct json_doc *doc = NULL;

    CHECK_INT(json_parse(SLICE("[\"x\"]"), pool, &doc, NULL), ERR_OK);
    struct json_value v = json_at(json_root(doc), 0);
    const char *s = json_string(v).p;
    CHECK(!__asan_address_is_poisoned(s));
    json_free(&doc);
    CHECK(__asan_address_is_poisoned(s) && __asan_address_is_poisoned(v.v));
    json_pool_free(&pool);
}
#endif
