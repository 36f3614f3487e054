/* SPDX-License-Identifier: MIT */
/* What one client does to its own account at a provider is no other client's matter (key: client): neither
 * its refusals for being too many nor a Retry-After of them holds anybody else off. */
#include "support/story.h"
#include "tap.h"

#define YAML                                                                               \
    "listen: 127.0.0.1:80\n"                                                               \
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: client}]\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}]], deadline: 20s}]\n"

static const struct header A[] = {{{"Authorization", 13}, {"Bearer the-one", 14}}};
static const struct header B[] = {{{"Authorization", 13}, {"Bearer another", 14}}};

static struct caller *ask(struct world *w, const struct header *key, const char *model)
{
    struct caller_ask a = {.to = w->listen,
                           .path = "/v1/chat/completions",
                           .body = story_body(model, false, "hello", NULL),
                           .headers = key,
                           .headers_n = 1};

    return caller_start(w->client_loop, &a, NULL, NULL);
}

/* m~429 is refused each time, with Retry-After: 1. */
TEST(a_client_over_its_own_limit_holds_nobody_off)
{
    struct story s;
    struct world *w;
    struct caller *a[30];

    story_init(&s, YAML);
    s.workers = 2;
    w = story_begin(&s);
    for (int i = 0; i < 30; i++)
        a[i] = ask(w, A, "m~429");
    world_run(w, STORY_S / 2);
    for (int i = 0; i < 10; i++) {
        struct caller *b = ask(w, B, "m");

        CHECK(story_wait(w, b, 5 * STORY_S));
        CHECK_INT(b->status, 200);
        CHECK(b->ended_us - b->started_us < 100 * STORY_MS); /* what it takes without any wait: 30 ms */
        caller_free(&b);
        world_run(w, 700 * STORY_MS);
    }
    for (int i = 0; i < 30; i++) {
        CHECK(story_wait(w, a[i], 30 * STORY_S));
        CHECK_INT(a[i]->status, 429);
        caller_free(&a[i]);
    }
    story_end(&w);
}
