/* SPDX-License-Identifier: MIT */
/* The tree: its shape, the places of its nodes, and its bounds. */
#include "config/yaml.h"

#include "base/mem.h"
#include "tap.h"

/* Reads and returns the report; whether a tree came out goes to *fine. */
static struct config_report read_text(struct slice text, bool *fine)
{
    struct config_report report;
    struct arena arena;
    struct notes notes;

    arena_init(&arena, NULL, 0, 4096);
    notes_init(&notes, &arena);
    *fine = yaml_read(text, &arena, &notes) != NULL;
    CHECK(*fine || notes.errors_n > 0);
    notes_report(&notes, "t", &report);
    arena_fini(&arena);
    return report;
}

TEST(nodes_know_their_place_and_shape)
{
    struct slice text = SLICE("# comment\n"
                              "a: plain\n"
                              "b: [x, 'y: z']\n"
                              "\xc3\xa9:   \"q\"\n"
                              "d: {e: ~, f: |\n"
                              "  }\n");
    struct arena arena;
    struct notes notes;
    const struct node *n;

    arena_init(&arena, NULL, 0, 4096);
    notes_init(&notes, &arena);
    /* The block scalar inside a flow mapping is no YAML; the four lines before it are. */
    CHECK(yaml_read(text, &arena, &notes) == NULL);
    CHECK_INT(notes.errors_n, 1);
    n = yaml_read((struct slice){text.p, text.n - 19}, &arena, &notes);
    if (CHECK(n != NULL)) {
        CHECK_INT(n->n, 3);
        n = n->first;
        CHECK(n->plain && slice_eq(n->text, SLICE("plain")) && slice_eq(n->key, SLICE("a")));
        CHECK_INT(n->key_at.line * 100 + n->key_at.col, 201);
        CHECK_INT(n->at.line * 100 + n->at.col, 204);
        n = n->next;
        CHECK_INT(n->kind, NODE_LIST);
        CHECK_INT(n->n, 2);
        CHECK(!n->last->plain && slice_eq(n->last->text, SLICE("y: z")) &&
              slice_eq(n->last->label, SLICE("b")));
        CHECK_INT(n->last->at.line * 100 + n->last->at.col, 308);
        n = n->next;
        CHECK_INT(n->at.line * 100 + n->at.col, 406); /* columns count characters, not bytes */
    }
    arena_fini(&arena);
}

/* Some editors begin every file so. */
TEST(a_byte_order_mark_is_passed_over)
{
    struct arena arena;
    struct notes notes;
    const struct node *n;

    arena_init(&arena, NULL, 0, 4096);
    notes_init(&notes, &arena);
    n = yaml_read(SLICE("\xef\xbb\xbf"
                        "a: 1\nb: 2\n"),
                  &arena, &notes);
    if (CHECK(n != NULL))
        CHECK(node_find(n, "a") != NULL && node_find(n, "b")->key_at.line == 2);
    arena_fini(&arena);
}

TEST(depth_nodes_keys_and_bytes_are_bounded)
{
    size_t cap = YAML_BYTES_MAX + 100, n;
    char *text = mem_alloc(cap);
    struct config_report report;
    bool fine;

    n = (size_t)snprintf(text, cap, "a: ");
    memset(text + n, '[', 31);
    memset(text + n + 31, ']', 31);
    read_text((struct slice){text, n + 62}, &fine);
    CHECK(fine);
    memset(text + n, '[', 100000);
    report = read_text((struct slice){text, n + 100000}, &fine);
    CHECK(!fine);
    CHECK_STR(report.text, "t:1:35: error: nested deeper than 32 levels\n");

    n = (size_t)snprintf(text, cap, "a: [");
    for (int i = 0; i < YAML_NODES_MAX; i++)
        n += (size_t)snprintf(text + n, cap - n, "1,");
    n += (size_t)snprintf(text + n, cap - n, "]");
    report = read_text((struct slice){text, n}, &fine);
    CHECK(!fine);
    CHECK(strstr(report.text, "more than 200000 values") != NULL);

    n = 0;
    for (int i = 0; i <= YAML_KEYS_MAX; i++)
        n += (size_t)snprintf(text + n, cap - n, "k%d: 1\n", i);
    report = read_text((struct slice){text, n}, &fine);
    CHECK(!fine);
    CHECK_STR(report.text, "t:1001:1: error: more than 1000 keys in one mapping\n");

    memset(text, '#', cap);
    report = read_text((struct slice){text, YAML_BYTES_MAX + 1}, &fine);
    CHECK(!fine);
    CHECK_STR(report.text, "t: error: larger than 4 MiB\n");
    mem_free(text);
}

TEST(hostile_texts_end_with_an_error)
{
    static const struct slice texts[] = {
        {NULL, 0},
        SLICE("\0"),
        SLICE("a: \"\\0\"\nb: [\0]"),
        SLICE("\xef\xbb\xbf"),
        SLICE("{{{{{{{{"),
        SLICE("? [a]\n: b"),
        SLICE("[a]: b"),
        SLICE("a: b: c"),
        SLICE("&a [*a]"),
        SLICE("<<: *x"),
        SLICE("%YAML 3.0\n---\na: b"),
        SLICE("a: !<x> b"),
        SLICE("'"),
        SLICE("\"\\"),

        SLICE("...\n...\n"),
        SLICE("\xf4\x90\x80\x80: 1"),
        SLICE("a: \xed\xa0\x80"),
        SLICE("- a"),
        SLICE("a"),
    };
    bool fine;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        read_text(texts[i], &fine);
        if (!CHECK(!fine))
            printf("# text %zu\n", i);
    }
    read_text(SLICE("\xef\xbb\xbf"
                    "a: 1\n"),
              &fine);
    CHECK(fine); /* a byte order mark is harmless */
}
