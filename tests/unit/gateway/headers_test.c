/* SPDX-License-Identifier: MIT */
/* The table of headers that go up: what is not in it never leaves, whatever the endpoint's key. */
#include "gateway/headers.h"

#include "base/arena.h"
#include "base/assert.h"
#include "tap.h"

#define FIXED_N 6 /* content type, accept, accept-encoding, user agent, request id, hops */

/* Everything a client can think of. */
static const struct header CLIENT[] = {
    {{"Host", 4}, {"gateway", 7}},
    {{"Authorization", 13}, {"Bearer client-secret", 20}},
    {{"X-Api-Key", 9}, {"client-secret", 13}},
    {{"Api-Key", 7}, {"client-secret", 13}},
    {{"Cookie", 6}, {"session=client-secret", 21}},
    {{"Proxy-Authorization", 19}, {"Basic client-secret", 19}},
    {{"Content-Length", 14}, {"12", 2}},
    {{"Transfer-Encoding", 17}, {"chunked", 7}},
    {{"Connection", 10}, {"close", 5}},
    {{"Content-Type", 12}, {"text/plain", 10}},
    {{"Accept", 6}, {"*/*", 3}},
    {{"Accept-Encoding", 15}, {"gzip", 4}},
    {{"User-Agent", 10}, {"OpenAI/Python", 13}},
    {{"X-Request-Id", 12}, {"theirs", 6}},
    {{"X-Forwarded-For", 15}, {"192.0.2.1", 9}},
    {{"X-Tidegate-Priority", 19}, {"high", 4}},
    {{"X-Stainless-Lang", 16}, {"python", 6}},
    {{"X-Unknown", 9}, {"anything", 8}},
    {{"X-CLIENT-Request-ID", 19}, {"c-1", 3}},
    {{"TraceParent", 11}, {"00-a-b-01", 9}},
    {{"tracestate", 10}, {"k=v", 3}},
    {{"OpenAI-Organization", 19}, {"org", 3}},
    {{"OpenAI-Project", 14}, {"proj", 4}},
    {{"OpenAI-Beta", 11}, {"b=1", 3}},
    {{"traceparent", 11}, {"a second one", 12}},
};

struct up {
    struct arena arena;
    struct header rows[HEADERS_UP_MAX];
    size_t n;
};

static void up_make(struct up *u, enum key_mode mode, bool stream, struct slice authorization)
{
    struct config_endpoint ep = {.name = "e", .key_mode = mode, .secret = SLICE("own-secret")};
    struct headers_ask ask = {&ep, authorization, SLICE("req_1"), CLIENT, COUNT_OF(CLIENT), stream, 0};

    arena_init(&u->arena, NULL, 0, 4096);
    u->n = headers_up(&ask, &u->arena, u->rows);
}

static void check_row(const struct up *u, const char *name, const char *want)
{
    struct slice got = http_header(u->rows, u->n, name);

    CHECK_MEM(got.p, got.n, want, want != NULL ? strlen(want) : 0);
    CHECK_INT(http_header_count(u->rows, u->n, name), want != NULL);
}

TEST(each_key_mode_sends_its_rows_and_no_others)
{
    static const struct {
        enum key_mode mode;
        const char *authorization, *organization, *project;
        size_t n;
    } ROWS[] = {{KEY_NONE, NULL, NULL, NULL, FIXED_N + 4},
                {KEY_OWN, "Bearer own-secret", NULL, NULL, FIXED_N + 5},
                {KEY_CLIENT, "Bearer client-secret", "org", "proj", FIXED_N + 7}};

    for (size_t i = 0; i < COUNT_OF(ROWS) * 2; i++) {
        struct up u;

        up_make(&u, ROWS[i / 2].mode, i % 2, SLICE("Bearer client-secret"));
        CHECK_INT(u.n, ROWS[i / 2].n);
        check_row(&u, "content-type", "application/json");
        check_row(&u, "accept", i % 2 ? "text/event-stream" : "application/json");
        check_row(&u, "accept-encoding", "identity");
        check_row(&u, "user-agent", "tidegate");
        check_row(&u, "x-request-id", "req_1");
        check_row(&u, "x-tidegate-hops", "1");
        check_row(&u, "authorization", ROWS[i / 2].authorization);
        check_row(&u, "x-client-request-id", "c-1");
        check_row(&u, "traceparent", "00-a-b-01");
        check_row(&u, "tracestate", "k=v");
        check_row(&u, "openai-beta", "b=1");
        check_row(&u, "openai-organization", ROWS[i / 2].organization);
        check_row(&u, "openai-project", ROWS[i / 2].project);
        arena_fini(&u.arena);
    }
}

TEST(no_header_goes_up_twice_and_none_that_frames_the_message)
{
    static const char *const NEVER[] = {"host",
                                        "content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "cookie",
                                        "x-api-key",
                                        "api-key",
                                        "proxy-authorization",
                                        "x-forwarded-for",
                                        "x-unknown",
                                        "x-stainless-lang",
                                        "x-tidegate-priority"};

    for (int mode = KEY_NONE; mode <= KEY_OWN; mode++) {
        struct up u;

        up_make(&u, (enum key_mode)mode, true, SLICE("Bearer client-secret"));
        for (size_t i = 0; i < u.n; i++) {
            for (size_t j = 0; j < i; j++)
                CHECK(!slice_ieq(u.rows[i].name, u.rows[j].name));
        }
        for (size_t i = 0; i < COUNT_OF(NEVER); i++)
            CHECK_INT(http_header_count(u.rows, u.n, NEVER[i]), 0);
        arena_fini(&u.arena);
    }
}

TEST(the_clients_secret_goes_up_only_when_the_endpoint_takes_the_clients_key)
{
    for (int mode = KEY_NONE; mode <= KEY_OWN; mode++) {
        struct up u;
        bool found = false;

        up_make(&u, (enum key_mode)mode, false, SLICE("Bearer client-secret"));
        for (size_t i = 0; i < u.n; i++)
            found |= slice_find(u.rows[i].value, SLICE("client-secret")) >= 0;
        CHECK_INT(found, mode == KEY_CLIENT);
        arena_fini(&u.arena);
    }
}

TEST(a_client_without_a_credential_sends_none_up)
{
    struct up u;

    up_make(&u, KEY_CLIENT, false, SLICE_NONE);
    CHECK_INT(http_header_count(u.rows, u.n, "authorization"), 0);
    arena_fini(&u.arena);
}

TEST(kept_headers_are_copies_of_the_rows_of_the_table)
{
    struct header kept[HEADERS_UP_MAX];
    struct arena arena;
    char value[] = "00-a-b-01";
    struct header client[] = {{SLICE("traceparent"), slice_of(value)}, {SLICE("cookie"), SLICE("a=b")}};
    size_t n;

    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(headers_keep(CLIENT, COUNT_OF(CLIENT), &arena, kept), 6);
    n = headers_keep(client, 2, &arena, kept);
    CHECK_INT(n, 1);
    memset(value, 'x', sizeof value - 1); /* the request's memory goes while the flight goes on */
    CHECK(slice_eq(http_header(kept, n, "traceparent"), SLICE("00-a-b-01")));
    arena_fini(&arena);
}

TEST(a_value_past_a_thousand_bytes_is_nobodys_trace)
{
    struct header kept[HEADERS_UP_MAX];
    struct arena arena;
    char value[1025];

    memset(value, 'v', sizeof value);
    arena_init(&arena, NULL, 0, 4096);
    for (size_t n = 1024; n <= 1025; n++) {
        struct header client = {SLICE("tracestate"), {value, n}};

        CHECK_INT(headers_keep(&client, 1, &arena, kept), n == 1024);
    }
    arena_fini(&arena);
}
