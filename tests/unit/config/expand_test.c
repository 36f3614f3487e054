/* SPDX-License-Identifier: MIT */
/* ${NAME}, ${NAME:-default} and $$ in values. */
#include "config/expand.h"

#include "tap.h"
#include "unit/config/reading.h"

/* Expands one value; "" and *fine false when it is refused. */
static const char *expand(const char *raw, char out[128], bool *env)
{
    struct node n = {.kind = NODE_TEXT, .at = {1, 1}};
    struct arena arena;
    struct notes notes;

    n.text = n.raw = slice_of(raw);
    arena_init(&arena, NULL, 0, 1024);
    notes_init(&notes, &arena);
    expand_tree(&n, &reading_env, &arena, &notes);
    CHECK_INT(n.bad, notes.errors_n > 0);
    snprintf(out, 128, "%.*s", n.bad ? 7 : (int)n.text.n, n.bad ? "refused" : n.text.p);
    *env = n.env;
    arena_fini(&arena);
    return out;
}

TEST(references_are_replaced)
{
    static const struct {
        const char *raw, *want;
        bool env;
    } rows[] = {
        {"plain", "plain", false},
        {"${LEVEL}", "debug", true},
        {"a${LEVEL}b${LEVEL}", "adebugbdebug", true},
        {"${NOPE:-dflt}", "dflt", true},
        {"${NOPE:-}", "", true},
        {"${EMPTY:-dflt}", "dflt", true},
        {"${EMPTY}", "", true},
        {"${LEVEL:-dflt}", "debug", true},
        {"${NOPE:-http://h:1/a-b}", "http://h:1/a-b", true},
        {"$$", "$", false},
        {"$${LEVEL}", "${LEVEL}", false},
        {"$$$$", "$$", false},
        {"a$$", "a$", false},
        {"${NOPE}", "refused", false},
        {"${}", "refused", false},
        {"${1A}", "refused", false},
        {"${A B}", "refused", false},
        {"${LEVEL", "refused", false},
        {"${LEVEL:-x", "refused", false},
        {"${LEVEL:x}", "refused", false},
        {"${LEVEL:-${LEVEL}}", "refused", false},
        {"$LEVEL", "refused", false},
        {"a$", "refused", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[128];
        bool env;

        if (!CHECK_STR(expand(rows[i].raw, out, &env), rows[i].want))
            printf("# %s\n", rows[i].raw);
        if (strcmp(rows[i].want, "refused") != 0)
            CHECK_INT(env, rows[i].env);
    }
}

TEST(a_sole_reference_has_a_name)
{
    CHECK(slice_eq(expand_sole_name(SLICE("${A_1}")), SLICE("A_1")));
    CHECK(slice_eq(expand_sole_name(SLICE("${A:-sk}")), SLICE("A")));
    CHECK_INT(expand_sole_name(SLICE("x${A}")).n, 0);
    CHECK_INT(expand_sole_name(SLICE("${A}x")).n, 0);
    CHECK_INT(expand_sole_name(SLICE("$${A}")).n, 0);
    CHECK_INT(expand_sole_name(SLICE("sk-secret")).n, 0);
}

static const char *get_large(void *ud, const char *name)
{
    (void)name;
    return ud;
}

TEST(expanded_values_are_bounded)
{
    static char large[EXPAND_VALUE_MAX + 2];
    const struct config_env env = {get_large, large};
    struct arena arena;
    struct notes notes;
    struct node root = {.kind = NODE_LIST}, children[80];

    memset(large, 'x', EXPAND_VALUE_MAX + 1);
    arena_init(&arena, NULL, 0, 1024);
    notes_init(&notes, &arena);
    children[0] = (struct node){.kind = NODE_TEXT, .raw = SLICE("${A}"), .text = SLICE("${A}")};
    expand_tree(&children[0], &env, &arena, &notes);
    CHECK(children[0].bad);
    large[EXPAND_VALUE_MAX] = 0;
    for (int i = 0; i < 80; i++) {
        children[i] = (struct node){.kind = NODE_TEXT, .raw = SLICE("${A}"), .text = SLICE("${A}")};
        children[i].next = i < 79 ? &children[i + 1] : NULL;
    }
    root.first = children;
    expand_tree(&root, &env, &arena, &notes);
    CHECK(!children[63].bad && children[63].text.n == EXPAND_VALUE_MAX);
    CHECK(children[64].bad); /* 64 times 64 KiB is all there may be */
    arena_fini(&arena);
}
