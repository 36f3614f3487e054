/* SPDX-License-Identifier: MIT */
/* Large request bodies: what they cost while they are needed, and when they are given back. */
#include "base/budget.h"
#include "base/mem.h"
#include "support/story.h"
#include "tap.h"

/* A chat request of about `bytes`, most of them in one message. */
static struct slice large_body(size_t bytes, bool stream)
{
    char *prompt = mem_alloc(bytes + 1);
    struct slice body;

    memset(prompt, 'x', bytes);
    prompt[bytes] = '\0';
    body = story_body("any~tokens=20,gap=100ms", stream, prompt, NULL);
    mem_free(prompt);
    return body;
}

/* Once the answer has begun nobody can be asked again, so the request is not kept beside it. */
TEST(a_request_is_forgotten_when_its_answer_has_begun)
{
    struct story s;
    struct world *w;
    struct caller *c;
    struct slice body;

    story_init(&s, STORY_TWO);
    w = story_begin(&s);
    body = large_body(300000, true);
    c = story_ask(w, body);
    for (int ms = 0; ms < 5000 && c->head_us == 0; ms++)
        world_run(w, STORY_MS);
    CHECK(c->head_us != 0);
    CHECK(budget_used(&w->app->budget) < body.n / 4);
    CHECK(story_wait(w, c, 60 * STORY_S));
    CHECK(c->done);
    story_end(&w);
}
