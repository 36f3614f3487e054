/* SPDX-License-Identifier: MIT */
/* T26, second half: throttling that shows as refused connections and broken handshakes, and a crowd of
 * clients that come back at once after every failure. What matters is what the gateway does then: few
 * connections, few turns, and nobody else notices. */
#include "base/mem.h"
#include "support/story.h"
#include "tap.h"

#define CLIENTS 200
#define STORM_S 10

/* One endpoint at which nothing works, one beside it that is healthy. */
#define STORM_YAML(url)                                                          \
    "listen: 10.0.0.9:80\n"                                                      \
    "keys: [{name: tester, key: key-for-tests}]\n"                               \
    "endpoints:\n"                                                               \
    "  - {name: bad, provider: openai, url: '" url "', key: none}\n"             \
    "  - {name: good, provider: openai, url: 'http://10.0.0.2/v1', key: none}\n" \
    "models:\n"                                                                  \
    "  - {name: bad, tiers: [[{endpoint: bad}]]}\n"                              \
    "  - {name: both, tiers: [[{endpoint: bad}], [{endpoint: good}]]}\n"         \
    "  - {name: good, tiers: [[{endpoint: good}]]}\n"

struct storm {
    struct world *w;
    struct caller *callers[CLIENTS];
    struct slice body;
    struct listener *breaker; /* breaks handshakes off; or NULL */
    size_t accepts_n, failures_n, answers_n;
    const char *code; /* what every failure must be called */
    bool over;
};

static void come_back(void *ud, struct caller *c);

static struct caller *ask(struct storm *s)
{
    static const struct header KEY = {SLICE("Authorization"), SLICE("Bearer key-for-tests")};
    struct caller_ask a = {
        .to = s->w->listen, .path = "/v1/chat/completions", .body = s->body, .headers = &KEY, .headers_n = 1};

    return caller_start(s->w->client_loop, &a, come_back, s);
}

/* A client without patience: asks again the moment it has failed. */
static void come_back(void *ud, struct caller *c)
{
    struct storm *s = ud;
    size_t i = 0;

    while (s->callers[i] != c)
        i++;
    if (c->status == 200)
        s->answers_n++;
    else if (CHECK_STR(story_error_code(c), s->code))
        s->failures_n++;
    if (c->status == 200 || s->over)
        return;
    caller_free(&c);
    s->callers[i] = ask(s);
}

static void on_bytes(void *ud, struct slice bytes)
{
    struct stream **s = ud;

    (void)bytes;
    stream_close(s);
    mem_free(s);
}

static void on_end(void *ud, enum err why)
{
    (void)why;
    on_bytes(ud, SLICE_NONE);
}

static const struct stream_cb BREAKER_CB = {NULL, on_bytes, NULL, on_end};

static void on_accept(void *ud, struct stream *s, const struct addr *peer)
{
    struct stream **kept = mem_alloc(sizeof(struct stream *));

    (void)peer;
    ((struct storm *)ud)->accepts_n++;
    *kept = s;
    stream_set_cb(s, &BREAKER_CB, kept);
}

static void begin(struct storm *s, const char *yaml, const char *model, const char *code)
{
    struct story story;

    *s = (struct storm){.code = code};
    story_init(&story, yaml);
    s->w = story_begin(&story);
    s->body = story_body(model, false, "hello", NULL);
    for (size_t i = 0; i < CLIENTS; i++)
        s->callers[i] = ask(s);
}

static void end(struct storm *s)
{
    s->over = true;
    world_run(s->w, 20 * STORY_S);
    for (size_t i = 0; i < CLIENTS; i++)
        caller_free(&s->callers[i]);
    if (s->breaker != NULL)
        s->w->client_loop->ops->unlisten(&s->breaker);
    story_end(&s->w);
}

static int64_t connects(const struct storm *s)
{
    return world_metric(s->w, METRIC_CONNECTS, 0);
}

/* After the first rush: ten seconds of it cost less than a hundred connections, and few turns. */
static void check_calm(struct storm *s)
{
    int64_t connects_n;
    uint64_t turns;

    world_run(s->w, STORY_S);
    connects_n = connects(s);
    turns = s->w->worker_loops[0]->turns;
    world_run(s->w, STORM_S * STORY_S);
    connects_n = connects(s) - connects_n;
    turns = s->w->worker_loops[0]->turns - turns;
    CHECK(s->failures_n > CLIENTS);
    if (!CHECK(connects_n >= 3 * STORM_S && connects_n <= 10 * STORM_S))
        printf("# %lld connections in %d s\n", (long long)connects_n, STORM_S);
    if (!CHECK(turns <= 200 * STORM_S)) /* each failure ends 200 requests, 64 or 32 in a turn */
        printf("# %llu turns in %d s\n", (unsigned long long)turns, STORM_S);
}

TEST(t26_a_crowd_at_an_endpoint_that_refuses_costs_little)
{
    struct storm s;

    begin(&s, STORM_YAML("http://10.0.0.1:81/v1"), "bad", "upstream_unreachable");
    check_calm(&s);
    end(&s);
}

TEST(t26_a_crowd_at_an_endpoint_that_breaks_handshakes_off_costs_little)
{
    struct storm s;
    struct addr at;

    begin(&s, STORM_YAML("https://10.0.0.1:8443/v1"), "bad", "upstream_tls_failed");
    CHECK_INT(addr_parse(SLICE("10.0.0.1:8443"), &at), ERR_OK);
    CHECK_INT(s.w->client_loop->ops->listen(s.w->client_loop, &at, on_accept, &s, &s.breaker, NULL), ERR_OK);
    check_calm(&s);
    CHECK(s.accepts_n <= CLIENTS + 20 * STORM_S); /* what the provider sees of it */
    end(&s);
}

TEST(t26_a_healthy_endpoint_beside_it_does_not_notice)
{
    struct storm s;

    begin(&s, STORM_YAML("http://10.0.0.1:81/v1"), "bad", "upstream_unreachable");
    world_run(s.w, STORY_S);
    for (int i = 0; i < 20; i++) {
        struct caller *c = story_ask(s.w, story_body("good", false, "hello", NULL));

        CHECK(story_wait(s.w, c, STORY_S));
        CHECK_INT(c->status, 200);
        CHECK(c->ended_us - c->started_us < 60 * STORY_MS); /* what it takes without a storm */
        caller_free(&c);
    }
    end(&s);
}

TEST(t26_who_has_another_endpoint_is_not_held_up)
{
    struct storm s;

    begin(&s, STORM_YAML("http://10.0.0.1:81/v1"), "bad", "upstream_unreachable");
    world_run(s.w, STORY_S);
    for (int i = 0; i < 20; i++) {
        struct caller *c = story_ask(s.w, story_body("both", false, "hello", NULL));

        CHECK(story_wait(s.w, c, STORY_S));
        CHECK_STR(c->endpoint, "good");
        CHECK(c->ended_us - c->started_us < 60 * STORY_MS);
        caller_free(&c);
    }
    end(&s);
}

TEST(t26_when_it_comes_back_everybody_is_answered)
{
    struct storm s;
    struct addr at;

    begin(&s, STORM_YAML("http://10.0.0.1:81/v1"), "bad", "upstream_unreachable");
    world_run(s.w, 5 * STORY_S);
    CHECK_INT(s.answers_n, 0);
    CHECK_INT(addr_parse(SLICE("10.0.0.1:81"), &at), ERR_OK);
    CHECK_INT(sim_listen(s.w->sims[0], &at, NULL), ERR_OK);
    world_run(s.w, STORY_S);
    CHECK_INT(s.answers_n, CLIENTS);
    end(&s);
}
