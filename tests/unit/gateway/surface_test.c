/* SPDX-License-Identifier: MIT */
/* Every route that a flight answers, in a whole gateway in virtual time: what goes up, what comes back, how a
 * stream that breaks is told, and that an endpoint which fails before the first text is replaced. */
#include "wire_kit.h"

#include "llm/surface.h"

/* Two endpoints, which the test plays one after the other; they speak everything. */
#define YAML                                                                         \
    "listen: 10.0.0.9:80\n"                                                          \
    "keys: [{name: tester, key: key-for-tests}]\n"                                   \
    "endpoints:\n"                                                                   \
    "  - {name: one, provider: tidegate, url: 'http://10.0.0.3/v1', key: none}\n"    \
    "  - {name: two, provider: tidegate, url: 'http://10.0.0.3/other', key: none}\n" \
    "models: [{name: '*', tiers: [[{endpoint: one}], [{endpoint: two, model: renamed}]]}]\n"

#define EV(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define CHUNK(choice) "data: {\"choices\":[{" choice "}]}\n\n"

struct subject {
    enum surface_id surface;
    enum route_id route;
    const char *body;    /* a question, without its closing brace */
    const char *answer;  /* plain */
    const char *prefix;  /* of a stream: says nothing yet */
    const char *text;    /* its first word */
    const char *end;     /* what makes it whole */
    const char *cut_end; /* almost */
    const char *broken;  /* how a client is told that it broke off */
    int64_t in, out;     /* usage of both forms */
};

#define DONE "data: [DONE]\n\n"
#define OPENAI_BROKEN "data: {\"error\":{\"message\":\"The answer broke off"

static const struct subject SUBJECTS[] = {
    {SURFACE_CHAT, ROUTE_CHAT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"x\":1.50",
     "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],"
     "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}",
     CHUNK("\"delta\":{\"role\":\"assistant\"}"), CHUNK("\"delta\":{\"content\":\"a\"}"),
     CHUNK("\"delta\":{},\"finish_reason\":\"stop\"") DONE, CHUNK("\"delta\":{},\"finish_reason\":\"stop\""),
     OPENAI_BROKEN, 9, 2},
    {SURFACE_COMPLETIONS, ROUTE_COMPLETIONS,
     "{\"model\":\"m\",\"prompt\":[\"one\",\"two\"],\"n\":2,\"echo\":true,\"x\":1.50",
     "{\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_reason\":\"stop\"}],"
     "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}",
     CHUNK("\"text\":\"\""), CHUNK("\"text\":\"a\""), CHUNK("\"text\":\"\",\"finish_reason\":\"stop\"") DONE,
     CHUNK("\"text\":\"\",\"finish_reason\":\"stop\""), OPENAI_BROKEN, 9, 2},
    {SURFACE_EMBEDDINGS, ROUTE_EMBEDDINGS,
     "{\"model\":\"m\",\"input\":[\"one\"],\"encoding_format\":\"base64\",\"x\":1.50",
     "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":\"AACAPw==\"}],"
     "\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}",
     NULL, NULL, NULL, NULL, NULL, 9, 0},
    {SURFACE_RESPONSES, ROUTE_RESPONSES, "{\"model\":\"m\",\"input\":\"hi\",\"store\":false,\"x\":1.50",
     "{\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"output\":[{\"type\":\"message\","
     "\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}],\"usage\":{\"input_tokens\":9,"
     "\"output_tokens\":2}}",
     EV("response.created", ",\"response\":{\"output\":[]}"),
     EV("response.output_text.delta", ",\"delta\":\"a\""),
     EV("response.completed",
        ",\"response\":{\"output\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":2}}"),
     EV("response.output_text.done", ",\"text\":\"a\""),
     "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"object\":\"response\","
     "\"status\":\"failed\",\"error\":{\"code\":\"upstream_truncated\",\"message\":\"The answer broke off",
     9, 2},
    {SURFACE_MESSAGES, ROUTE_MESSAGES,
     "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"x\":1.50",
     "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
     "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":4,"
     "\"output_tokens\":2}}",
     EV("message_start", ",\"message\":{\"content\":[],\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}"),
     EV("content_block_delta", ",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}"),
     EV("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}")
         EV("message_stop", ""),
     EV("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"}"),
     "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"The answer "
     "broke "
     "off",
     9, 2},
};

struct scene {
    const struct subject *subject;
    struct world *w;
    struct origin origin;
    struct wire c;
    char path[64], reply[4096], then[4096];
};

static struct slice respond(char room[4096], const char *status, const char *type, const char *body)
{
    int n = snprintf(room, 4096,
                     "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                     status, type, strlen(body), body);

    ASSERT(n > 0 && n < 4096);
    return (struct slice){room, (size_t)n};
}

static void scene_begin(struct scene *s, const struct subject *subject, const char *more)
{
    struct story story;

    memset(s, 0, sizeof *s);
    s->subject = subject;
    snprintf(s->path, sizeof s->path, "/v1%s", surface_get(subject->surface)->path);
    story_init(&story, YAML);
    story.more = more;
    s->w = story_begin(&story);
    origin_open(&s->origin, s->w, "");
    wire_open(&s->c, s->w);
}

static void scene_end(struct scene *s)
{
    wire_close(&s->c);
    origin_close(&s->origin);
    story_end(&s->w);
}

/* What the first call gets, and every later one. */
static void scene_replies(struct scene *s, const char *type, const char *first, const char *then)
{
    s->origin.reply = respond(s->reply, "200 OK", type, first);
    s->origin.then = respond(s->then, "200 OK", type, then);
}

/* Asks and lets a few seconds pass; the status. */
static int ask(struct scene *s, bool stream)
{
    char body[1024];
    int n = snprintf(body, sizeof body, "%s%s}", s->subject->body, stream ? ",\"stream\":true" : "");

    wire_post(&s->c, s->path, "", (struct slice){body, (size_t)n});
    world_run(s->w, 3 * STORY_S);
    return wire_status(&s->c);
}

static int64_t results(const struct scene *s, enum result r)
{
    return world_metric(s->w, METRIC_REQUESTS, stats_route_result(s->subject->route, r));
}

/* The three parts of a stream; each may be "". */
static const char *events(const char *a, const char *b, const char *c)
{
    static char all[2048];
    int n = snprintf(all, sizeof all, "%s%s%s", a, b, c);

    ASSERT(n >= 0 && (size_t)n < sizeof all);
    return all;
}

static const char *whole(const struct subject *s)
{
    return events(s->prefix, s->text, s->end);
}

/* The client's bytes hold these events, a chunk of HTTP each. */
static bool streamed(const struct scene *s, const char *a, const char *b, const char *c)
{
    struct slice rest = wire_body(&s->c), size, line;
    struct buf all;
    bool same;

    buf_init(&all, 1 << 16, NULL);
    for (uint64_t n; rest.n > 0; rest = slice_from(rest, n + 2)) {
        char digits[17] = "";

        size = slice_cut(rest, '\r', &line);
        memcpy(digits, size.p, size.n < 16 ? size.n : 16);
        n = strtoull(digits, NULL, 16);
        rest = slice_from(line, 1);
        if (n == 0)
            break;
        CHECK_INT(buf_add(&all, (struct slice){rest.p, n}), ERR_OK);
    }
    same = CHECK_MEM(all.p, all.n, events(a, b, c), strlen(events(a, b, c)));
    buf_fini(&all);
    return same;
}

#define EACH_SUBJECT(s) for (const struct subject *s = SUBJECTS; s < SUBJECTS + COUNT_OF(SUBJECTS); s++)
#define EACH_STREAM(s) EACH_SUBJECT(s) if (s->text != NULL)

/* -- answers -------------------------------------------------------------------------------------------- */

TEST(a_plain_answer_passes_byte_for_byte_on_every_route)
{
    EACH_SUBJECT(subject)
    {
        struct scene s;
        char up[256];

        scene_begin(&s, subject, NULL);
        s.origin.reply = respond(s.reply, "200 OK", "application/json", subject->answer);
        CHECK_INT(ask(&s, false), 200);
        CHECK(slice_eq(wire_body(&s.c), slice_of(subject->answer)));
        CHECK(wire_expect(&s.c, "X-Tidegate-Endpoint: one\r\n"));
        snprintf(up, sizeof up, "POST %s HTTP/1.1\r\n", s.path);
        CHECK(origin_was_asked(&s.origin, up));
        snprintf(up, sizeof up, "%s}", subject->body); /* also the number's form */
        CHECK(slice_ends(buf_slice(&s.origin.asked), slice_of(up)));
        CHECK_INT(results(&s, RESULT_FULL), 1);
        CHECK_INT(world_metric(s.w, METRIC_TOKENS_IN, 0), subject->in);
        CHECK_INT(world_metric(s.w, METRIC_TOKENS_OUT, 0), subject->out);
        scene_end(&s);
    }
}

TEST(a_stream_passes_event_by_event_on_every_route)
{
    EACH_STREAM(subject)
    {
        const struct surface *surface = surface_get(subject->surface);
        struct scene s;

        scene_begin(&s, subject, NULL);
        scene_replies(&s, "text/event-stream", whole(subject), "");
        CHECK_INT(ask(&s, true), 200);
        CHECK(wire_expect(&s.c, "Content-Type: text/event-stream\r\n"));
        CHECK(streamed(&s, subject->prefix, subject->text, subject->end));
        CHECK(slice_ends(buf_slice(&s.c.got), SLICE("\r\n0\r\n\r\n")));
        CHECK_INT(origin_was_asked(&s.origin, "\"include_usage\":true"), surface->asks_usage);
        CHECK_INT(results(&s, RESULT_FULL), 1);
        if (!surface->asks_usage) {
            CHECK_INT(world_metric(s.w, METRIC_TOKENS_IN, 0), subject->in);
            CHECK_INT(world_metric(s.w, METRIC_TOKENS_OUT, 0), subject->out);
        }
        scene_end(&s);
    }
}

TEST(labels_that_came_too_late_stand_before_the_end_mark_of_every_route)
{
    EACH_STREAM(subject)
    {
        struct scene s;
        char body[1024];
        ptrdiff_t labels, end;

        scene_begin(&s, subject, "timeouts: {hold: 1s, comment: 1s}\n");
        snprintf(body, sizeof body, "%s,\"stream\":true}", subject->body);
        wire_post(&s.c, s.path, "", slice_of(body));
        world_run(s.w, 2500 * STORY_MS);
        CHECK(wire_has(&s.c, ": waiting\n"));
        origin_say(&s.origin, 0, respond(s.reply, "200 OK", "text/event-stream", whole(subject)).p);
        world_run(s.w, STORY_S);
        labels = slice_find(buf_slice(&s.c.got), SLICE("\n: tidegate endpoint=one attempts=1 wait_ms=0\n"));
        end = slice_find(buf_slice(&s.c.got), slice_of(surface_get(subject->surface)->ends[0]));
        CHECK(labels > 0 && end > labels && end - labels < 80);
        scene_end(&s);
    }
}

/* -- failures ------------------------------------------------------------------------------------------- */

/* T2 on every end mark: all the text is there, and the end is not. */
TEST(t02_a_stream_without_its_end_mark_never_ends_cleanly_on_any_route)
{
    EACH_STREAM(subject)
    {
        struct scene s;

        scene_begin(&s, subject, NULL);
        scene_replies(&s, "text/event-stream", events(subject->prefix, subject->text, subject->cut_end), "");
        CHECK_INT(ask(&s, true), 200);
        CHECK(wire_expect(&s.c, subject->broken) && wire_has(&s.c, "\"upstream_truncated\""));
        CHECK(!slice_ends(buf_slice(&s.c.got), SLICE("\r\n0\r\n\r\n")) && s.c.closed);
        CHECK_INT(s.origin.asked_n, 1);
        CHECK_INT(results(&s, RESULT_FAILED), 1);
        CHECK_INT(results(&s, RESULT_FULL), 0);
        scene_end(&s);
    }
}

TEST(an_endpoint_that_breaks_off_before_the_first_text_is_replaced_on_every_route)
{
    EACH_STREAM(subject)
    {
        struct scene s;
        char first[1024];

        snprintf(first, sizeof first, "%s", subject->prefix);
        scene_begin(&s, subject, NULL);
        scene_replies(&s, "text/event-stream", first, whole(subject));
        CHECK_INT(ask(&s, true), 200);
        CHECK(wire_expect(&s.c, "X-Tidegate-Endpoint: two\r\nX-Tidegate-Attempts: 2\r\n"));
        CHECK(streamed(&s, subject->prefix, subject->text, subject->end));
        CHECK(origin_was_asked(&s.origin, "POST /other/") && origin_was_asked(&s.origin, "\"renamed\""));
        scene_end(&s);
    }
}

TEST(a_plain_answer_that_is_none_is_replaced_on_every_route)
{
    static const char *const NONE[] = {
        "{}",
        "[]",
        "{\"data\":[]}",
        "{\"error\":{\"message\":\"busy\",\"code\":503}}",
        "{\"content\":[],\"output\":[],"
        "\"choices\":[],\"data\":[],\"stop_reason\":\"end_turn\",\"status\":\"completed\"}",
        "{\"choices\":[",
        "",
    };

    EACH_SUBJECT(subject)
    {
        for (size_t i = 0; i < COUNT_OF(NONE); i++) {
            struct scene s;

            scene_begin(&s, subject, NULL);
            scene_replies(&s, "application/json", NONE[i], subject->answer);
            if (!CHECK_INT(ask(&s, false), 200))
                printf("# %s: %s\n", s.path, NONE[i]);
            CHECK(slice_eq(wire_body(&s.c), slice_of(subject->answer)));
            CHECK(wire_expect(&s.c, "X-Tidegate-Attempts: 2\r\n"));
            scene_end(&s);
        }
    }
}

TEST(an_error_inside_a_stream_has_the_shape_of_the_route)
{
    EACH_STREAM(subject)
    {
        struct scene s;

        scene_begin(&s, subject, NULL);
        scene_replies(&s, "text/event-stream",
                      events(subject->prefix, subject->text,
                             "data: {\"error\":{\"message\":\"Full.\",\"type\":\"overloaded_error\"}}\n\n"),
                      "");
        CHECK_INT(ask(&s, true), 200);
        CHECK(wire_expect(&s.c, "\"upstream_busy\"") && s.c.closed);
        if (subject->surface == SURFACE_MESSAGES)
            CHECK(wire_expect(&s.c, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
                                    "\"overloaded_error\",\"message\":\""));
        scene_end(&s);
    }
}

/* -- errors before any answer ---------------------------------------------------------------------------- */

TEST(every_refusal_of_messages_has_anthropics_shape)
{
    static const struct {
        const char *request;
        int status;
        const char *type, *code;
    } ROWS[] = {
        {"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 401, "authentication_error",
         "api_key_required"},
        {"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: wrong\r\nContent-Length: 2\r\n\r\n{}", 401,
         "authentication_error", "invalid_api_key"},
        {"POST /messages HTTP/1.1\r\nHost: a\r\nx-api-key: key-for-tests\r\nContent-Length: 2\r\n\r\n{}", 400,
         "invalid_request_error", "model_required"},
        {"GET /v1/messages HTTP/1.1\r\nHost: a\r\n\r\n", 405, "invalid_request_error", "method_not_allowed"},
        {"POST /v1/messages HTTP/1.1\r\nHost: a\r\n" WIRE_KEY
         "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
         415, "invalid_request_error", "unsupported_media_type"},
        {"POST /v1/messages HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Content-Length: 2000000000\r\n\r\n", 413,
         "request_too_large", "body_too_large"},
        {"POST /v1/messages HTTP/1.1\r\nHost: a\r\n" WIRE_KEY "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
         400, "invalid_request_error",
         "bad_request"}, /* refused by the connection, in the middle of the body */
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct scene s;
        char want[128];

        scene_begin(&s, &SUBJECTS[SURFACE_MESSAGES], NULL);
        wire_send(&s.c, ROWS[i].request);
        world_run(s.w, STORY_S);
        CHECK_INT(wire_status(&s.c), ROWS[i].status);
        snprintf(want, sizeof want, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"",
                 ROWS[i].type);
        CHECK(wire_expect(&s.c, want));
        snprintf(want, sizeof want, "\"code\":\"%s\"},\"request_id\":\"req_", ROWS[i].code);
        CHECK(wire_expect(&s.c, want));
        CHECK(wire_expect(&s.c, "\r\nRequest-Id: req_") && wire_expect(&s.c, "\r\nX-Request-Id: req_"));
        scene_end(&s);
    }
}

TEST(an_overload_is_529_to_anthropics_clients_and_503_to_others)
{
    EACH_SUBJECT(subject)
    {
        bool anthropic = subject->surface == SURFACE_MESSAGES;
        struct scene s;

        scene_begin(&s, subject, NULL);
        s.origin.reply =
            respond(s.reply, "529 Busy", "application/json",
                    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Full\"}}");
        CHECK_INT(ask(&s, false), anthropic ? 529 : 503);
        CHECK_INT(s.origin.asked_n, 2);
        CHECK(wire_expect(&s.c, "\"code\":\"upstream_busy\"") && wire_expect(&s.c, "Retry-After: 1\r\n"));
        CHECK_INT(wire_has(&s.c, "\"overloaded_error\""), anthropic);
        CHECK_INT(world_metric(s.w, METRIC_RESPONSES, stats_code(anthropic ? 529 : 503)), 1);
        scene_end(&s);
    }
}

/* -- who speaks what ------------------------------------------------------------------------------------- */

#define MIXED                                                                       \
    "listen: 10.0.0.9:80\n"                                                         \
    "keys: [{name: tester, key: key-for-tests}]\n"                                  \
    "endpoints:\n"                                                                  \
    "  - {name: plain, provider: openai, url: 'http://10.0.0.4/v1', key: none}\n"   \
    "  - {name: claude, provider: anthropic, url: 'http://10.0.0.3', key: sk-up}\n" \
    "models:\n"                                                                     \
    "  - {name: both, tiers: [[{endpoint: plain}, {endpoint: claude}]]}\n"          \
    "  - {name: chat, tiers: [[{endpoint: plain}]]}\n"

TEST(an_endpoint_that_does_not_speak_the_route_is_passed_over)
{
    struct story story;
    struct scene s = {.subject = &SUBJECTS[SURFACE_MESSAGES]};

    story_init(&story, MIXED);
    s.w = story_begin(&story);
    origin_open(&s.origin, s.w, "");
    s.origin.reply = respond(s.reply, "200 OK", "application/json", s.subject->answer);
    for (int i = 0; i < 4; i++) { /* weights would share them out */
        wire_open(&s.c, s.w);
        wire_post(&s.c, "/v1/messages", "anthropic-version: 2023-06-01\r\n",
                  SLICE("{\"model\":\"both\",\"max_tokens\":1,\"messages\":[{}]}"));
        world_run(s.w, STORY_S);
        CHECK_INT(wire_status(&s.c), 200);
        CHECK(wire_expect(&s.c, "X-Tidegate-Endpoint: claude\r\nX-Tidegate-Attempts: 1\r\n"));
        CHECK(origin_was_asked(&s.origin, "POST /v1/messages HTTP/1.1\r\n"));
        CHECK(origin_was_asked(&s.origin, "\r\nX-Api-Key: sk-up\r\n"));
        CHECK(!origin_was_asked(&s.origin, "Authorization"));
        wire_close(&s.c);
    }
    wire_open(&s.c, s.w);
    scene_end(&s);
}

TEST(a_model_that_nobody_speaks_on_this_route_is_refused_by_name)
{
    struct story story;
    struct scene s = {.subject = &SUBJECTS[SURFACE_MESSAGES]};

    story_init(&story, MIXED);
    s.w = story_begin(&story);
    origin_open(&s.origin, s.w, "");
    wire_open(&s.c, s.w);
    wire_post(&s.c, "/v1/messages", "", SLICE("{\"model\":\"chat\",\"max_tokens\":1,\"messages\":[{}]}"));
    world_run(s.w, STORY_S);
    CHECK_INT(wire_status(&s.c), 404);
    CHECK(wire_expect(&s.c, "\"type\":\"not_found_error\"") &&
          wire_expect(&s.c, "\"code\":\"route_not_spoken\""));
    CHECK(wire_expect(&s.c, "No endpoint of the model 'chat' has a provider that speaks /messages."));
    CHECK(wire_expect(&s.c, "X-Should-Retry: false\r\n"));
    CHECK_INT(s.origin.asked_n, 0);
    CHECK_INT(results(&s, RESULT_REFUSED), 1);
    scene_end(&s);
}

/* -- pings ----------------------------------------------------------------------------------------------- */

TEST(pings_are_no_progress)
{
    struct scene s;
    char head[512];

    scene_begin(&s, &SUBJECTS[SURFACE_MESSAGES], "timeouts: {transport: 30s, progress: 10s}\n");
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n%s%s",
             s.subject->prefix, s.subject->text);
    s.origin.reply = slice_of(head);
    ask(&s, true);
    for (int i = 0; i < 6; i++) {
        origin_say(&s.origin, 0, EV("ping", ""));
        world_run(s.w, STORY_S);
    }
    CHECK(!s.c.closed);
    CHECK_INT(wire_count(&s.c, "event: ping\n"), 6); /* they show the client a living stream */
    world_run(s.w, 2 * STORY_S);
    CHECK(
        wire_expect(&s.c, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"timeout_error\"") &&
        wire_expect(&s.c, "\"code\":\"upstream_stalled\""));
    scene_end(&s);
}
