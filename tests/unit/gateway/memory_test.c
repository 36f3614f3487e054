/* SPDX-License-Identifier: MIT */
/* Every allocation of the request path, refused once.
 *
 * A story is told once with nothing wrong, which counts the gateway's allocations, and then as often as it
 * has any, the heap refusing another one each time. Two clients are served at the same time: at most one of
 * them may feel it, and only as an honest failure; the next client feels nothing, and nothing is left behind
 * (story_end). Refused are allocations of the worker and of its helpers; clients and simulators have what
 * they need. docs/failing.md says what this proves. */
#include "base/mem.h"
#include "base/reserve.h"
#include "support/story.h"
#include "tap.h"

#define PROMPT "what comes in with the tide"
#define WAIT_US (100 * STORY_S)

/* -- the heap that refuses ------------------------------------------------------------------------------- */

static const struct world *struck_world; /* whose worker it refuses; NULL: nobody's */

static void on_turn(void *ud, struct loop *l)
{
    const struct world *w = struck_world;

    (void)ud;
    mem_faults()->on = w != NULL && (l == NULL || l == w->worker_loops[0]); /* NULL: between turns, helpers */
}

static void run(struct world *w, int64_t us, const bool *stop)
{
    struck_world = w;
    world_run_until(w, us, stop);
    struck_world = NULL;
    mem_faults()->on = false;
}

/* -- what a client saw ----------------------------------------------------------------------------------- */

struct seen {
    int status;
    bool complete, done, error_event;
    char code[48], text[4096], retry_after[16];
};

static void look(const struct caller *c, struct seen *s)
{
    *s = (struct seen){
        .status = c->status, .complete = c->complete, .done = c->done, .error_event = c->error_event};
    snprintf(s->code, sizeof s->code, "%s", c->status >= 400 || c->error_event ? story_error_code(c) : "");
    snprintf(s->text, sizeof s->text, "%.*s", (int)c->text.n, c->text.p != NULL ? c->text.p : "");
    snprintf(s->retry_after, sizeof s->retry_after, "%s", c->retry_after);
}

static bool is_same(const struct seen *a, const struct seen *b)
{
    return a->status == b->status && a->complete == b->complete && a->done == b->done &&
           a->error_event == b->error_event && strcmp(a->code, b->code) == 0 && strcmp(a->text, b->text) == 0;
}

/* An end that says that it is none: the row; in-band; no answer at all; or one that breaks off visibly. */
static bool is_honest(const struct seen *s)
{
    if (s->status == 503 || s->status == 529)
        return s->complete && strcmp(s->code, "gateway_exhausted") == 0 && strcmp(s->retry_after, "1") == 0;
    if (s->error_event)
        return !s->complete && !s->done && strcmp(s->code, "gateway_exhausted") == 0;
    return !s->complete && !s->done;
}

/* -- the stories ----------------------------------------------------------------------------------------- */

struct tale {
    const char *name, *yaml, *more, *model, *path, *json, *header, *value;
    bool stream;
    size_t large_bytes; /* of the prompt; 0: PROMPT */
    size_t unfelt_n;    /* most allocations that nobody feels; 0: UNFELT_MAX */
    int fails;          /* of the first endpoint: FAILS(fault); 0: it does not */
};
#define FAILS(fault) ((int)(fault) + 1)

static struct caller *ask(struct world *w, const struct tale *t, struct slice body, struct header *h)
{
    struct caller_ask a = {.to = w->listen,
                           .path = t->path != NULL ? t->path : "/v1/chat/completions",
                           .headers = h,
                           .headers_n = 1};

    h[0] = (struct header){SLICE("Authorization"), SLICE("Bearer key-for-tests")};
    if (t->header != NULL)
        h[a.headers_n++] = (struct header){slice_of(t->header), slice_of(t->value)};
    a.body = body;
    return caller_start(w->client_loop, &a, NULL, NULL);
}

static struct slice body_of(const struct tale *t)
{
    static char large[2 * 1024 * 1024];
    const char *model = t->model != NULL ? t->model : "any";

    if (t->path != NULL && t->json == NULL)
        return SLICE_NONE;
    if (t->json != NULL && t->path != NULL)
        return slice_of(t->json);
    if (t->large_bytes == 0)
        return story_body(model, t->stream, PROMPT, t->json);
    memset(large, 'x', t->large_bytes);
    large[t->large_bytes] = '\0';
    return story_body(model, t->stream, large, NULL);
}

/* Tells it once; the heap refuses allocations `from` to `from + n`. Returns how many there were. */
static uint64_t tell(const struct tale *t, uint64_t from, uint64_t n, struct seen *first, struct seen *second)
{
    struct tale ordinary = {.model = "any", .stream = true};
    struct header h[3][2];
    struct story s;
    struct world *w;
    struct caller *a, *b, *later;
    struct seen after;
    uint64_t count;

    story_init(&s, t->yaml != NULL ? t->yaml : STORY_TWO);
    s.more = t->more;
    s.on_turn = on_turn;
    if (t->fails != 0)
        s.one.fault_p[t->fails - 1] = 1.0;
    w = story_begin(&s);
    *mem_faults() = (struct mem_faults){.from = from, .n = n};
    a = ask(w, t, body_of(t), h[0]);
    run(w, STORY_MS, NULL);
    b = ask(w, &ordinary, body_of(&ordinary), h[1]);
    for (int i = 0; i < 100 && (a->ended_us == 0 || b->ended_us == 0); i++)
        run(w, WAIT_US / 100, NULL);
    CHECK(a->ended_us != 0 && b->ended_us != 0);
    count = mem_faults()->seen_n;
    look(a, first);
    look(b, second);
    later = ask(w, &ordinary, body_of(&ordinary), h[2]);
    CHECK(story_wait(w, later, WAIT_US));
    look(later, &after);
    CHECK(after.status == 200 && after.complete && after.done);
    caller_free(&a);
    caller_free(&b);
    caller_free(&later);
    story_end(&w);
    return count;
}

/* What the reserve carries without anybody's request: packets of virtual io, what is kept for later. */
#define UNFELT_MAX 9
#define COUNT_MIN 15 /* fewer allocations than that would mean that nothing was counted */

static void tell_struck(const struct tale *t)
{
    struct seen first, second, a, b;
    uint64_t n;
    size_t felt_n = 0;

    CHECK(reserve_open());
    n = tell(t, UINT64_MAX, 0, &first, &second);
    CHECK(n > COUNT_MIN && second.complete && second.done);
    for (uint64_t k = 0; k < n; k++) {
        bool first_fine, second_fine;

        tell(t, k, 1, &a, &b);
        first_fine = is_same(&a, &first);
        second_fine = is_same(&b, &second);
        felt_n += !first_fine || !second_fine;
        if (!CHECK((first_fine || is_honest(&a)) && (second_fine || is_honest(&b)) &&
                   (first_fine || second_fine)))
            printf("# %s, allocation %llu: %d %s %d%d%d; %d %s %d%d%d\n", t->name, (unsigned long long)k,
                   a.status, a.code, a.complete, a.done, a.error_event, b.status, b.code, b.complete, b.done,
                   b.error_event);
    }
    printf("# %s: %llu allocations, %zu felt\n", t->name, (unsigned long long)n, felt_n);
    CHECK(n - felt_n <= (t->unfelt_n > 0 ? t->unfelt_n : UNFELT_MAX)); /* nobody hides behind the reserve */
    reserve_close();
}

#define TALE(...) tell_struck(&(struct tale){__VA_ARGS__})

TEST(a_plain_answer)
{
    TALE(.name = "plain");
}

TEST(a_stream)
{
    TALE(.name = "stream", .stream = true);
}

TEST(a_failover)
{
    TALE(.name = "failover", .stream = true, .fails = FAILS(SIM_500), .unfelt_n = 13);
    TALE(.name = "failover of a plain answer", .fails = FAILS(SIM_429), .unfelt_n = 13);
}

TEST(an_answer_that_breaks_off)
{
    TALE(.name = "cut", .stream = true, .model = "any~cut=3");
}

TEST(errors_of_every_kind)
{
    TALE(.name = "every endpoint fails", .model = "any~503", .unfelt_n = 12);
    TALE(.name = "no JSON", .path = "/v1/chat/completions", .json = "{\"model\":");
    TALE(.name = "no such route", .path = "/v1/nothing");
    TALE(.name = "long words of an endpoint", .model = "any~400", .stream = true,
         .unfelt_n = 10); /* one to remember the refusal by, which can be done without */
}

/* One slot: the second client waits in the line for what the first gives back. */
TEST(a_turn_in_the_line)
{
    TALE(.name = "line", .stream = true,
         .yaml = "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
                 "accounts: [{name: main, slots: {'*': 1}}]\n"
                 "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none, account: "
                 "main}]\n"
                 "models: [{name: '*', tiers: [[{endpoint: one}]]}]\n");
}

TEST(limits_and_an_alias_that_sets_fields)
{
    TALE(.name = "limits and alias", .model = "short", .stream = true,
         .yaml = "listen: 10.0.0.9:80\n"
                 "keys: [{name: tester, key: key-for-tests, limits: {rpm: 100, tpm: 1000000, inflight: 9}}]\n"
                 "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
                 "models: [{name: any, tiers: [[{endpoint: one}]], "
                 "aliases: [{name: short, set: {temperature: 0, user: sea}}]}]\n");
}

TEST(a_client_that_waits_longer_than_hold)
{
    TALE(.name = "comments", .stream = true, .model = "any~queue=5s",
         .more = "timeouts: {hold: 1s, comment: 1s}\n");
}

TEST(a_large_body_that_a_helper_reads)
{
    TALE(.name = "large", .large_bytes = 1200000);
    TALE(.name = "large, streamed", .large_bytes = 1200000, .stream = true);
}

TEST(an_answer_too_large_to_be_held_back)
{
    TALE(.name = "large answer", .model = "any~tokens=4000", .more = "limits: {answer: 16KiB}\n");
    TALE(.name = "held answer", .model = "any~tokens=4000");
    TALE(.name = "answer that a helper judges", .model = "any~tokens=60000");
}

TEST(what_the_gateway_answers_itself)
{
    TALE(.name = "models", .path = "/v1/models");
    TALE(.name = "cors", .path = "/v1/models", .more = "cors: {origins: ['https://page.test']}\n",
         .header = "Origin", .value = "https://page.test");
}

TEST(the_other_surfaces)
{
    TALE(.name = "responses", .path = "/v1/responses",
         .json = "{\"model\":\"any\",\"stream\":true,\"input\":\"" PROMPT "\"}");
    TALE(.name = "completions", .path = "/v1/completions",
         .json = "{\"model\":\"any\",\"prompt\":\"" PROMPT "\"}");
    TALE(.name = "embeddings", .path = "/v1/embeddings",
         .json = "{\"model\":\"any\",\"input\":\"" PROMPT "\"}");
    TALE(.name = "messages", .path = "/v1/messages",
         .json = "{\"model\":\"any\",\"max_tokens\":50,\"stream\":true,\"messages\":[{\"role\":\"user\","
                 "\"content\":\"" PROMPT "\"}]}",
         .yaml = STORY_ONE("anthropic", "/v1"));
}

/* Not once but for a while: more than one may feel it, and the reserve carries what is in work to its end. */
TEST(a_heap_that_refuses_for_a_while)
{
    const struct tale t = {.name = "a while", .stream = true};
    struct seen a, b;

    CHECK(reserve_open());
    for (uint64_t k = 0; k < 30; k++) {
        tell(&t, k, 12, &a, &b);
        CHECK((a.complete && a.done) || is_honest(&a));
        CHECK((b.complete && b.done) || is_honest(&b));
    }
    reserve_close();
}
