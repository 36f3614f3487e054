/* SPDX-License-Identifier: MIT */
/* References of a snapshot, and the search for models that every request makes. */
#include "config/snapshot.h"

#include <pthread.h>

#include "base/assert.h"
#include "base/mem.h"
#include "tap.h"
#include "unit/config/reading.h"

static const char models[] =
    "endpoints: [{name: a, provider: openai, url: \"http://127.0.0.1:1/v1\", key: none}]\n"
    "models:\n"
    "  - {name: flash, aliases: [quick, {name: chat, set: {n: 1}}], tiers: [[{endpoint: a}]]}\n"
    "  - {name: pro, tiers: [[{endpoint: a, model: pro-2}]]}\n";

TEST(models_are_found_by_name_and_alias)
{
    struct config_report report;
    struct config *c = reading_of(models, &report);
    struct config_match m;

    if (!CHECK(c != NULL))
        return;
    m = config_find_model(c, SLICE("pro"));
    CHECK_INT(m.model, 1);
    CHECK(!m.alias && slice_eq(m.upstream, SLICE("pro")));
    m = config_find_model(c, SLICE("chat"));
    CHECK_INT(m.model, 0);
    CHECK(m.alias == &c->models[0].aliases[1]);
    CHECK(slice_eq(m.upstream, SLICE("flash")));
    m = config_find_model(c, SLICE("Pro"));
    CHECK_INT(m.model, -1);
    CHECK_INT(config_find_model(c, SLICE("*")).model, -1);
    CHECK_INT(config_find_model(c, SLICE("")).model, -1);
    CHECK_INT(config_find_model(c, SLICE_NONE).model, -1);
    config_unref(&c);
}

TEST(the_wildcard_takes_the_clients_own_name)
{
    struct config_report report;
    struct config *c = reading_of(BASE "  \n", &report);
    struct config_match m;

    config_unref(&c);
    c = reading_of("endpoints: [{name: a, provider: openai, url: \"http://127.0.0.1:1/v1\"}]\n"
                   "models: [{name: m, tiers: [[{endpoint: a}]]}, {name: \"*\", tiers: [[{endpoint: a}]]}]\n",
                   &report);
    if (!CHECK(c != NULL))
        return;
    m = config_find_model(c, SLICE("sim+cut=3"));
    CHECK_INT(m.model, 1);
    CHECK(!m.alias && slice_eq(m.upstream, SLICE("sim+cut=3")));
    CHECK_INT(config_find_model(c, SLICE("m")).model, 0);
    config_unref(&c);
}

TEST(a_search_allocates_nothing)
{
    struct config_report report;
    struct config *c = reading_of(models, &report);
    uint64_t before = mem_alloc_n();

    for (int i = 0; i < 100; i++) {
        config_find_model(c, SLICE("chat"));
        config_find_model(c, SLICE("unknown"));
    }
    CHECK_INT(mem_alloc_n(), before);
    config_unref(&c);
}

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < 10000; i++) {
        struct config *c = arg;

        config_ref(c);
        config_unref(&c);
    }
    return NULL;
}

TEST(references_may_be_taken_on_any_thread)
{
    struct config_report report;
    struct config *c = reading_of(models, &report);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, ref_and_unref, c), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(atomic_load(&CONTAINER_OF(c, struct snapshot, config)->refs), 1);
    config_unref(&c);
    config_unref(&c); /* nothing to do */
    CHECK(c == NULL);
}
