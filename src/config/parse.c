/* SPDX-License-Identifier: MIT */
/* From the text of a configuration file to a snapshot: the top level, and the order in which its sections
 * are read.
 *
 * Every mistake is noted and the reading goes on, so that one run shows them all; a snapshot leaves only
 * when there was none. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "config/config.h"

#include <sched.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/log.h"
#include "config/draft.h"
#include "config/expand.h"
#include "config/fields.h"
#include "config/nearest.h"
#include "config/options.h"
#include "config/print.h"
#include "config/value.h"
#include "config/yaml.h"

#define EFFECTIVE_BYTES_MAX ((size_t)64 << 20) /* a file of YAML_BYTES_MAX, all quoted and indented */
#define WORKERS_MAX 1024
#define TREE_BLOCK_BYTES ((size_t)64 << 10)

static int processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n;
}

static void read_workers(struct draft *d, const struct node *n, void *unused)
{
    int64_t workers;

    (void)unused;
    if (!value_is(d->notes, n, NODE_TEXT, "auto or a number") || slice_eq(n->text, SLICE("auto")))
        return;
    if (value_count(d->notes, n, (struct value_bounds){1, WORKERS_MAX}, &workers))
        d->config->workers = (int)workers;
}

static void read_access_log(struct draft *d, const struct node *n, void *unused)
{
    char shown[NODE_SHOW_BYTES];
    struct slice text;

    (void)unused;
    if (!value_text(d->notes, n, 4095, &text))
        return;
    d->config->access_log = arena_dup(d->arena, text).p;
    if (!slice_eq(text, SLICE("stdout")) && !slice_eq(text, SLICE("off")) && slice_find(text, SLICE("/")) < 0)
        notes_error(d->notes, n->at,
                    "access_log: %s is neither stdout nor off nor a path (./%s would be one)",
                    node_show(n, shown), shown);
}

static void read_log_level(struct draft *d, const struct node *n, void *unused)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;
    struct slice text;

    (void)unused;
    if (!value_text(d->notes, n, 16, &text))
        return;
    nearest_init(&near, text);
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        if (slice_eq(text, slice_of(levels[i]))) {
            d->config->log_level = levels[i];
            return;
        }
        nearest_try(&near, slice_of(levels[i]));
    }
    snprintf(unknown, sizeof(unknown), "unknown log_level \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

static void read_watch(struct draft *d, const struct node *n, void *unused)
{
    int64_t watch;

    (void)unused;
    if (value_bool(d->notes, n, &watch))
        d->config->watch = watch != 0;
}

static void read_core_dumps(struct draft *d, const struct node *n, void *unused)
{
    int64_t core_dumps;

    (void)unused;
    if (value_bool(d->notes, n, &core_dumps))
        d->config->core_dumps = core_dumps != 0;
}

/* Sections refer to each other in both directions of the file, so they are only found here and read
 * afterwards. */
static void find_section(struct draft *d, const struct node *n, void *unused)
{
    const struct {
        const char *name;
        const struct node **place;
    } sections[] = {
        {"listen", &d->listen},       {"tls", &d->tls},         {"admin", &d->admin},
        {"metrics", &d->metrics},     {"keys", &d->keys},       {"accounts", &d->accounts},
        {"endpoints", &d->endpoints}, {"models", &d->models},   {"cors", &d->cors},
        {"rules", &d->rules},         {"regions", &d->regions},
    };

    (void)unused;
    for (size_t i = 0; i < COUNT_OF(sections); i++) {
        if (slice_eq(n->key, slice_of(sections[i].name)))
            *sections[i].place = n;
    }
}

static const struct field fields[] = {
    {"listen", find_section, NULL, false},        {"tls", find_section, NULL, false},
    {"admin", find_section, NULL, false},         {"metrics", find_section, NULL, false},
    {"cors", find_section, NULL, false},          {"workers", read_workers, NULL, false},
    {"access_log", read_access_log, NULL, false}, {"log_level", read_log_level, NULL, false},
    {"watch", read_watch, NULL, false},           {"core_dumps", read_core_dumps, NULL, false},
    {"timeouts", options_read, NULL, false},      {"limits", options_read, NULL, false},
    {"retry", options_read, NULL, false},         {"breaker", options_read, NULL, false},
    {"keys", find_section, NULL, false},          {"accounts", find_section, NULL, false},
    {"endpoints", find_section, NULL, false},     {"models", find_section, NULL, false},
    {"rules", find_section, NULL, false},         {"regions", find_section, NULL, false},
    {"region", regions_read_own, NULL, false},
};

static void read_file(struct draft *d, const struct node *root)
{
    struct config *c = d->config;

    c->workers = processors();
    c->access_log = "stdout";
    c->log_level = "info";
    options_default(&c->opt);
    fields_read(d, root, "the file", fields, COUNT_OF(fields), NULL);
    listeners_read(d);
    cors_read(d);
    accounts_read(d);
    endpoints_read(d);
    regions_read(d);
    models_read(d);
    keys_read(d);
    routing_read(d);
    rules_check(d);
    if (d->notes->errors_n == 0)
        accounts_add_own(d);
}

/* Kept from now on, because the tree with its references to the environment goes. */
static void keep_effective(struct snapshot *s, const struct node *root)
{
    struct buf text;

    buf_init(&text, EFFECTIVE_BYTES_MAX, NULL);
    if (print_tree(root, &text) == ERR_OK)
        s->effective = arena_dup(&s->arena, buf_slice(&text));
    buf_fini(&text);
}

enum err config_parse(struct slice yaml, const char *name, const struct config_env *env, struct config **out,
                      struct config_report *report)
{
    struct snapshot *s = snapshot_new();
    struct config *c = &s->config;
    struct arena tree;
    struct notes notes;
    struct draft d = {.notes = &notes, .snapshot = s, .arena = &s->arena, .config = c, .env = env};
    struct node *root;

    arena_init(&tree, NULL, 0, TREE_BLOCK_BYTES);
    notes_init(&notes, &tree);
    c->file = arena_strdup(&s->arena, name);
    root = yaml_read(yaml, &tree, &notes);
    if (root) {
        expand_tree(root, env, &tree, &notes);
        read_file(&d, root);
        if (notes.errors_n == 0)
            keep_effective(s, root);
    }
    notes_report(&notes, c->file, report);
    node_wipe(root);
    arena_fini(&tree);
    if (notes.errors_n > 0)
        config_unref(&c);
    *out = c;
    return c ? ERR_OK : ERR_CONFIG;
}
