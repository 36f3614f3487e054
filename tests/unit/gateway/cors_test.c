/* SPDX-License-Identifier: MIT */
/* Pages of other origins: who is answered with what, in a table and in a whole gateway. */
#include "gateway/cors.h"

#include "wire_kit.h"

/* -- the headers ----------------------------------------------------------------------------------------- */

static const struct slice LISTED[] = {{"https://app.example.com", 23}, {"http://localhost:3000", 21}};
static const struct slice ANY[] = {{"*", 1}};

static struct slice added(const struct slice *origins, size_t origins_n, const char *origin, const char *name)
{
    struct config cfg = {.cors_origins = origins, .cors_origins_n = origins_n};
    struct header from[1] = {{SLICE("Origin"), slice_of(origin)}}, h[CORS_HEADERS_MAX];
    struct http_request rq = {.method = HTTP_POST, .headers = from, .headers_n = origin != NULL};
    size_t n = cors_add(&cfg, &rq, h, 0);

    CHECK(n <= CORS_HEADERS_MAX);
    CHECK(n == 0 || origins_n > 0);
    return http_header(h, n, name);
}

TEST(only_listed_origins_are_answered)
{
    static const char *const NAME = "access-control-allow-origin";
    static const char *const OTHERS[] = {"https://app.example.com.evil.test",
                                         "https://app.example.com/",
                                         "http://app.example.com",
                                         "https://app.example.com:8443",
                                         "null",
                                         "https://xapp.example.com",
                                         "*",
                                         ""};

    CHECK(slice_eq(added(LISTED, 2, "https://app.example.com", NAME), LISTED[0]));
    CHECK(slice_eq(added(LISTED, 2, "http://localhost:3000", NAME), LISTED[1]));
    CHECK(slice_eq(added(LISTED, 2, "https://app.example.com", "vary"), SLICE("Origin")));
    CHECK(added(LISTED, 2, "https://app.example.com", "access-control-expose-headers").n > 100);
    CHECK(added(LISTED, 2, "https://app.example.com", "access-control-allow-credentials").p == NULL);
    for (size_t i = 0; i < COUNT_OF(OTHERS); i++)
        CHECK(added(LISTED, 2, OTHERS[i], NAME).n == 0);
    CHECK(slice_eq(added(LISTED, 2, "null", "vary"), SLICE("Origin")));
    CHECK(slice_eq(added(LISTED, 2, NULL, "vary"), SLICE("Origin")));
    CHECK(added(LISTED, 2, NULL, "access-control-expose-headers").p == NULL);
    CHECK(added(LISTED, 2, NULL, NAME).n == 0);
    CHECK(added(NULL, 0, "https://app.example.com", NAME).n == 0);
    CHECK(slice_eq(added(ANY, 1, "https://who.ever", NAME), SLICE("*")));
    CHECK(added(ANY, 1, "https://who.ever", "vary").n == 0);
    CHECK(added(ANY, 1, NULL, NAME).n == 0);
}

/* -- a whole gateway ------------------------------------------------------------------------------------- */

#define PAGE "Origin: https://app.example.com\r\n"
#define OTHER "Origin: https://evil.test\r\n"
#define ALLOWED "\r\nVary: Origin\r\nAccess-Control-Allow-Origin: https://app.example.com\r\n"

struct scene {
    struct world *w;
    struct wire c;
};

static void scene_begin(struct scene *s, bool on)
{
    struct story story;

    story_init(&story, STORY_TWO);
    story.more = on ? "cors: {origins: ['https://app.example.com']}\n" : NULL;
    s->w = story_begin(&story);
}

/* One request on a connection of its own; the status. The wire is to be closed. */
static int ask(struct scene *s, const char *line, const char *headers, const char *body)
{
    char all[2048];

    snprintf(all, sizeof all, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n%s", line, headers, body);
    wire_open(&s->c, s->w);
    wire_send(&s->c, all);
    world_run(s->w, STORY_S);
    return wire_status(&s->c);
}

#define ASKS "Access-Control-Request-Method: POST\r\n"
#define SDK_HEADERS                                                                                      \
    "authorization,content-type,x-stainless-lang,x-stainless-retry-count,x-tidegate-priority,x-api-key," \
    "anthropic-version,anthropic-dangerous-direct-browser-access"

static const char *const POSTS[] = {"/v1/chat/completions", "/v1/completions", "/embeddings", "/v1/responses",
                                    "/v1/messages"};
static const char *const GETS[] = {"/v1/models", "/models/any", "/healthz", "/readyz"};

static void check_preflight(struct scene *s, const char *path, const char *methods)
{
    char line[128], want[128];

    snprintf(line, sizeof line, "OPTIONS %s", path);
    snprintf(want, sizeof want, "\r\nAccess-Control-Allow-Methods: %s\r\n", methods);
    CHECK_INT(ask(s, line, PAGE ASKS "Access-Control-Request-Headers: " SDK_HEADERS "\r\n", ""), 204);
    CHECK(wire_expect(&s->c, ALLOWED) && wire_expect(&s->c, want));
    CHECK(wire_expect(&s->c, "\r\nAccess-Control-Allow-Headers: " SDK_HEADERS "\r\n"));
    CHECK(wire_expect(&s->c, "\r\nAccess-Control-Max-Age: 7200\r\n"));
    CHECK(!wire_has(&s->c, "Content-Length") && !wire_has(&s->c, "Allow-Credentials"));
    CHECK_INT(wire_body(&s->c).n, 0);
    wire_close(&s->c);
    CHECK_INT(ask(s, line, OTHER ASKS, ""), 204);
    CHECK(!wire_has(&s->c, "Access-Control"));
    wire_close(&s->c);
}

/* Browsers ask without the key that they will send. */
TEST(a_preflight_is_answered_on_every_route_without_a_key)
{
    struct scene s;

    scene_begin(&s, true);
    for (size_t i = 0; i < COUNT_OF(POSTS); i++)
        check_preflight(&s, POSTS[i], "POST, OPTIONS");
    for (size_t i = 0; i < COUNT_OF(GETS); i++)
        check_preflight(&s, GETS[i], "GET, HEAD, OPTIONS");
    CHECK_INT(ask(&s, "OPTIONS /v1/nothing", PAGE ASKS, ""), 404);
    CHECK(wire_expect(&s.c, ALLOWED));
    wire_close(&s.c);
    story_end(&s.w);
}

TEST(every_answer_to_a_page_carries_its_origin_errors_too)
{
    static const struct {
        const char *line, *headers, *body;
        int status;
    } ROWS[] = {
        {"GET /v1/models", WIRE_KEY, "", 200},
        {"HEAD /v1/models", WIRE_KEY, "", 200},
        {"GET /v1/models", "", "", 401},
        {"GET /v1/models/x", "Authorization: Bearer wrong\r\n", "", 401},
        {"POST /v1/messages", "Content-Length: 2\r\n", "{}", 401},
        {"POST /v1/completions", WIRE_KEY "Content-Length: 2\r\n", "{}", 400},
        {"PUT /v1/embeddings", WIRE_KEY "Content-Length: 0\r\n", "", 405},
        {"POST /v1/responses", WIRE_KEY "Content-Length: 2000000000\r\n", "", 413},
        {"POST /v1/responses", WIRE_KEY "Transfer-Encoding: chunked\r\n", "xyz\r\n", 400},
        {"GET /nothing", "", "", 404},
        {"POST /v1/chat/completions", WIRE_KEY "Content-Length: 62\r\n",
         "{\"model\":\"m~429\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}   ", 429},
        {"POST /v1/chat/completions", WIRE_KEY "Content-Length: 73\r\n",
         "{\"model\":\"m\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}    ", 200},
    };
    struct scene s;

    scene_begin(&s, true);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char headers[512];

        snprintf(headers, sizeof headers, PAGE "%s", ROWS[i].headers);
        if (!CHECK_INT(ask(&s, ROWS[i].line, headers, ROWS[i].body), ROWS[i].status))
            printf("# %s\n", ROWS[i].line);
        CHECK(wire_expect(&s.c, ALLOWED));
        CHECK(wire_expect(&s.c, "\r\nAccess-Control-Expose-Headers: x-request-id, "));
        wire_close(&s.c);
        snprintf(headers, sizeof headers, OTHER "%s", ROWS[i].headers);
        CHECK_INT(ask(&s, ROWS[i].line, headers, ROWS[i].body), ROWS[i].status);
        CHECK(!wire_has(&s.c, "Access-Control"));
        wire_close(&s.c);
    }
    story_end(&s.w);
}

TEST(nothing_of_it_is_said_where_it_is_not_configured)
{
    struct scene s;

    scene_begin(&s, false);
    CHECK_INT(ask(&s, "OPTIONS /v1/models", PAGE ASKS, ""), 204);
    CHECK(wire_expect(&s.c, "\r\nAllow: GET, HEAD, OPTIONS\r\n") && !wire_has(&s.c, "Access-Control"));
    wire_close(&s.c);
    CHECK_INT(ask(&s, "GET /v1/models", PAGE WIRE_KEY, ""), 200);
    CHECK(!wire_has(&s.c, "Access-Control") && !wire_has(&s.c, "Vary"));
    wire_close(&s.c);
    CHECK_INT(ask(&s, "OPTIONS /v1/chat/completions", "", ""), 204);
    CHECK(wire_expect(&s.c, "\r\nAllow: POST, OPTIONS\r\n"));
    wire_close(&s.c);
    CHECK_INT(world_metric(s.w, METRIC_REQUESTS, stats_route_result(ROUTE_OPTIONS, RESULT_LOCAL)), 2);
    story_end(&s.w);
}
