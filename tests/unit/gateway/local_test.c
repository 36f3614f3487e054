/* SPDX-License-Identifier: MIT */
/* Answers that the gateway gives by itself, and the plain HTTP around them. */
#include "gateway/local.h"

#include "base/json.h"
#include "wire_kit.h"

static const char YAML[] =
    "listen: 10.0.0.9:80\n"
    "keys:\n"
    "  - {name: tester, key: key-for-tests}\n"
    "  - {name: narrow, key: key-for-one-model, models: [small]}\n"
    "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
    "models:\n"
    "  - {name: small, aliases: [{name: tiny}, {name: 'odd\"one\"'}], tiers: [[{endpoint: one}]]}\n"
    "  - {name: large, tiers: [[{endpoint: one}]]}\n"
    "  - {name: '*', tiers: [[{endpoint: one}]]}\n";

static struct world *begin(void)
{
    struct story s;

    story_init(&s, YAML);
    return story_begin(&s);
}

/* One request on a connection of its own, and all that comes within 100 ms. */
static void get(struct wire *c, struct world *w, const char *line, const char *headers)
{
    char request[512];

    snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line, headers);
    wire_open(c, w);
    wire_send(c, request);
    world_run(w, 100 * STORY_MS);
}

/* The names in a list of models, joined by commas. */
static void names(const struct wire *c, char *out, size_t n)
{
    struct json_doc *doc;
    struct json_value data;
    size_t at = 0;

    out[0] = '\0';
    if (!CHECK_INT(json_parse(wire_body(c), NULL, &doc, NULL), ERR_OK))
        return;
    data = json_get(json_root(doc), "data");
    CHECK(slice_eq(json_string(json_get(json_root(doc), "object")), SLICE("list")));
    for (size_t i = 0; i < json_count(data) && at < n; i++) {
        struct json_value m = json_at(data, i);

        CHECK(slice_eq(json_string(json_get(m, "object")), SLICE("model")));
        CHECK(json_int(json_get(m, "created"), 0) >= 1793318400);
        CHECK(json_string(json_get(m, "owned_by")).n > 0);
        at += (size_t)snprintf(out + at, n - at, "%s%.*s", i > 0 ? "," : "",
                               SLICE_ARG(json_string(json_get(m, "id"))));
    }
    json_free(&doc);
}

TEST(models_are_those_that_the_key_may_use_aliases_included_the_wildcard_not)
{
    static const struct {
        const char *key, *names;
    } ROWS[] = {{"key-for-tests", "small,tiny,odd\"one\",large"},
                {"key-for-one-model", "small,tiny,odd\"one\""}};
    struct world *w = begin();

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char header[128], got[256];
        struct wire c;

        snprintf(header, sizeof header, "X-Api-Key: %s\r\n", ROWS[i].key);
        get(&c, w, i % 2 ? "GET /models" : "GET /v1/models", header);
        CHECK_INT(wire_status(&c), 200);
        CHECK(wire_expect(&c, "Content-Type: application/json\r\n"));
        names(&c, got, sizeof got);
        CHECK_STR(got, ROWS[i].names);
        wire_close(&c);
    }
    story_end(&w);
}

TEST(models_need_a_key_and_health_does_not)
{
    static const struct {
        const char *line;
        int status;
    } ROWS[] = {
        {"GET /v1/models", 401}, {"GET /healthz", 200}, {"GET /readyz", 200}, {"GET /healthz?x=1", 200}};
    struct world *w = begin();

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct wire c;

        get(&c, w, ROWS[i].line, "");
        CHECK_INT(wire_status(&c), ROWS[i].status);
        wire_close(&c);
    }
    story_end(&w);
}

TEST(head_is_get_without_the_body)
{
    static const char *const PATHS[] = {"/healthz", "/readyz", "/v1/models"};
    struct world *w = begin();

    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        char head[64], full[64], length[64];
        struct wire a, b;

        snprintf(head, sizeof head, "HEAD %s", PATHS[i]);
        snprintf(full, sizeof full, "GET %s", PATHS[i]);
        get(&a, w, head, WIRE_KEY);
        get(&b, w, full, WIRE_KEY);
        snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", wire_body(&b).n);
        CHECK_INT(wire_status(&a), 200);
        CHECK(wire_body(&b).n > 0);
        CHECK_INT(wire_body(&a).n, 0);
        CHECK(wire_expect(&a, length) && wire_expect(&b, length));
        wire_close(&a);
        wire_close(&b);
    }
    story_end(&w);
}

TEST(one_model_is_found_by_its_name_encoded_or_not)
{
    static const struct {
        const char *path, *key, *says;
        int status;
    } ROWS[] = {
        {"/v1/models/small", "key-for-tests", "{\"id\":\"small\",\"object\":\"model\",\"created\":", 200},
        {"/models/small/", "key-for-tests", "{\"id\":\"small\",", 200},
        {"/v1/models/tiny", "key-for-one-model", "{\"id\":\"tiny\",", 200}, /* an alias */
        {"/v1/models/odd%22one%22", "key-for-tests", "{\"id\":\"odd\\\"one\\\"\",", 200},
        {"/v1/models/org/name:7b", "key-for-tests", "{\"id\":\"org/name:7b\",", 200}, /* through "*" */
        {"/v1/models/org%2Fname%3A7b?x=y", "key-for-tests", "{\"id\":\"org/name:7b\",", 200},
        {"/v1/models/large", "key-for-one-model", "\"code\":\"model_not_allowed\"", 403},
        {"/v1/models/other", "key-for-one-model", "\"code\":\"model_not_allowed\"", 403},
        {"/v1/models/small", "wrong", "\"code\":\"invalid_api_key\"", 401},
    };
    struct world *w = begin();

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char line[128], headers[128];
        struct wire c;

        snprintf(line, sizeof line, "GET %s", ROWS[i].path);
        snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\n", ROWS[i].key);
        get(&c, w, line, headers);
        if (!CHECK_INT(wire_status(&c), ROWS[i].status))
            printf("# %s\n", ROWS[i].path);
        CHECK(wire_expect(&c, ROWS[i].says));
        wire_close(&c);
    }
    story_end(&w);
}

TEST(without_a_wildcard_a_model_that_is_not_listed_is_not_found)
{
    struct story s;
    struct world *w;
    struct wire c;

    story_init(&s, "listen: 10.0.0.9:80\nkeys: [{name: tester, key: key-for-tests}]\n"
                   "endpoints: [{name: one, provider: openai, url: 'http://10.0.0.1/v1', key: none}]\n"
                   "models: [{name: org/small, tiers: [[{endpoint: one}]]}]\n");
    w = story_begin(&s);
    get(&c, w, "GET /v1/models/org%2fsmall", WIRE_KEY);
    CHECK_INT(wire_status(&c), 200);
    wire_close(&c);
    get(&c, w, "GET /v1/models/small", WIRE_KEY);
    CHECK_INT(wire_status(&c), 404);
    CHECK(wire_expect(&c, "\"code\":\"model_not_found\""));
    wire_close(&c);
    story_end(&w);
}

TEST(another_method_or_path_is_told_so)
{
    static const struct {
        const char *line;
        int status;
        const char *says;
    } ROWS[] = {
        {"GET /v1/chat/completions", 405, "\r\nAllow: POST, OPTIONS\r\n"},
        {"HEAD /chat/completions", 405, "\r\nAllow: POST, OPTIONS\r\n"},
        {"DELETE /v1/models", 405, "\r\nAllow: GET, HEAD, OPTIONS\r\n"},
        {"POST /healthz", 405, "\r\nAllow: GET, HEAD, OPTIONS\r\n"},
        {"PROPFIND /readyz", 405, "\r\nAllow: GET, HEAD, OPTIONS\r\n"},
        {"GET /v1/v1/models", 404, "\"code\":\"route_not_found\""},
        {"GET //v1/models", 404, "\"code\":\"route_not_found\""},
        {"GET /v1/%6dodels", 404, "\"code\":\"route_not_found\""},
        {"GET /metrics", 404, "\"code\":\"route_not_found\""},
    };
    struct world *w = begin();

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct wire c;

        get(&c, w, ROWS[i].line, WIRE_KEY);
        if (!CHECK_INT(wire_status(&c), ROWS[i].status))
            printf("# %s\n", ROWS[i].line);
        CHECK(wire_expect(&c, ROWS[i].says));
        CHECK(wire_expect(&c, "X-Should-Retry: false\r\n"));
        wire_close(&c);
    }
    story_end(&w);
}

TEST(many_requests_on_one_connection_are_answered_in_order)
{
    struct world *w = begin();
    struct wire c;

    wire_open(&c, w);
    for (int round = 0; round < 3; round++) {
        wire_send(&c, "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Request-Id: first\r\n\r\n"
                      "GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Request-Id: second\r\n\r\n");
        wire_ask(&c, "X-Request-Id: third\r\n", story_body("small", round % 2, "hello", NULL));
        wire_send(&c, "GET /readyz HTTP/1.1\r\nHost: a\r\nX-Request-Id: fourth\r\n\r\n");
        world_run(w, STORY_S);
        CHECK_INT(wire_count(&c, "HTTP/1.1 "), 4);
        CHECK(slice_find(buf_slice(&c.got), SLICE("first")) < slice_find(buf_slice(&c.got), SLICE("second")));
        CHECK(slice_find(buf_slice(&c.got), SLICE("second")) < slice_find(buf_slice(&c.got), SLICE("third")));
        CHECK(slice_find(buf_slice(&c.got), SLICE("third")) < slice_find(buf_slice(&c.got), SLICE("fourth")));
        CHECK(slice_ends(buf_slice(&c.got), SLICE("\r\n\r\nready\n")));
        c.got.n = 0;
    }
    CHECK_INT(world_metric(w, METRIC_CONNS_ACCEPTED, 0), 1);
    wire_close(&c);
    story_end(&w);
}

TEST(readyz_says_so_when_a_drain_has_begun_and_healthz_does_not)
{
    struct world *w = begin();
    struct wire ready, health;

    control_drain(w->control);
    get(&ready, w, "GET /readyz", "");
    get(&health, w, "GET /healthz", "");
    CHECK_INT(wire_status(&ready), 503);
    CHECK(wire_expect(&ready, "\"code\":\"gateway_draining\""));
    CHECK(wire_expect(&ready, "Retry-After: 1\r\n"));
    CHECK_INT(wire_status(&health), 200);
    wire_close(&ready);
    wire_close(&health);
    story_end(&w);
}
