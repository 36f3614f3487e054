/* SPDX-License-Identifier: MIT */
/* The table of headers that pass, up and down: what is not in it never leaves, whatever the endpoint's key.
 */
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
    struct headers_ask ask = {&ep, authorization, SLICE("req_1"), CLIENT, COUNT_OF(CLIENT), stream,
                              0,   SURFACE_CHAT,  false};

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

/* -- the table, row by row ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *way, *rule;
} TABLE[] = {
#define HEADER(name, way, rule, doc) {name, #way, #rule},
#include "gateway/headers.def"
#undef HEADER
};

static bool rule_is(size_t i, const char *way, const char *rule)
{
    return strcmp(TABLE[i].way, way) == 0 && strcmp(TABLE[i].rule, rule) == 0;
}

/* All rows of one way, each with its own name as its value. */
static size_t all_rows(const char *way, struct header *out)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(TABLE); i++) {
        if (strcmp(TABLE[i].way, way) == 0)
            out[n++] = (struct header){slice_of(TABLE[i].name), slice_of(TABLE[i].name)};
    }
    return n;
}

static void check_rows_up(enum provider provider, enum key_mode mode, enum surface_id surface)
{
    struct config_endpoint ep = {.provider = provider, .key_mode = mode, .secret = SLICE("own")};
    struct header client[COUNT_OF(TABLE)], kept[HEADERS_KEPT_MAX], up[HEADERS_UP_MAX];
    struct headers_ask ask = {&ep, SLICE_NONE, SLICE("id"), kept, 0, false, 0, surface, false};
    bool api_key = dialect_takes_api_key(dialect_get((enum dialect_id)provider), surface);
    struct arena arena;
    size_t n;

    arena_init(&arena, NULL, 0, 4096);
    ask.client_n = headers_keep(client, all_rows("UP", client), &arena, kept);
    n = headers_up(&ask, &arena, up);
    for (size_t i = 0; i < COUNT_OF(TABLE); i++) {
        struct slice got = http_header(up, n, TABLE[i].name);
        bool forwarded = rule_is(i, "UP", "FORWARD") ||
                         (rule_is(i, "UP", "KEY_CLIENT") && mode == KEY_CLIENT) ||
                         (rule_is(i, "UP", "MESSAGES") && surface == SURFACE_MESSAGES);

        if (strcmp(TABLE[i].way, "UP") != 0 || rule_is(i, "UP", "CREDENTIAL"))
            continue;
        CHECK_INT(slice_eq(got, slice_of(TABLE[i].name)), forwarded);
        CHECK_INT(got.n > 0, forwarded || rule_is(i, "UP", "OURS"));
    }
    CHECK(slice_eq(http_header(up, n, "authorization"),
                   slice_of(mode == KEY_OWN && !api_key ? "Bearer own" : "")));
    CHECK(slice_eq(http_header(up, n, "x-api-key"), slice_of(mode == KEY_OWN && api_key ? "own"
                                                             : mode == KEY_CLIENT       ? "x-api-key"
                                                                                        : "")));
    for (size_t i = 0; i < n; i++) { /* and nothing that has no row */
        struct header table[COUNT_OF(TABLE)];
        char name[64];

        snprintf(name, sizeof name, "%.*s", SLICE_ARG(up[i].name));
        CHECK_INT(http_header_count(table, all_rows("UP", table), name), 1);
        CHECK_INT(http_header_count(up, n, name), 1);
    }
    arena_fini(&arena);
}

TEST(every_row_goes_up_where_its_rule_says_and_nowhere_else)
{
    for (int p = 0; p < PROVIDER_N; p++) {
        for (int mode = KEY_NONE; mode <= KEY_OWN; mode++) {
            for (int surface = 0; surface < SURFACE_N; surface++)
                check_rows_up((enum provider)p, (enum key_mode)mode, (enum surface_id)surface);
        }
    }
}

TEST(anthropic_gets_its_key_and_version_in_headers_of_its_own)
{
    struct config_endpoint ep = {.provider = PROVIDER_ANTHROPIC, .key_mode = KEY_OWN, .secret = SLICE("own")};
    struct header client = {SLICE("Anthropic-Version"), SLICE("2099-01-01")}, up[HEADERS_UP_MAX];
    struct headers_ask ask = {&ep, SLICE("Bearer c"), SLICE("id"), &client, 0, false,
                              0,   SURFACE_MESSAGES,  false};
    struct arena arena;
    size_t n;

    arena_init(&arena, NULL, 0, 4096);
    n = headers_up(&ask, &arena, up);
    CHECK(slice_eq(http_header(up, n, "x-api-key"), SLICE("own")));
    CHECK(slice_eq(http_header(up, n, "anthropic-version"), SLICE("2023-06-01")));
    CHECK_INT(http_header_count(up, n, "authorization"), 0);
    ask.client_n = 1;
    n = headers_up(&ask, &arena, up);
    CHECK(slice_eq(http_header(up, n, "anthropic-version"), SLICE("2099-01-01")));
    ask.surface = SURFACE_CHAT; /* its compatibility layer is OpenAI's API */
    n = headers_up(&ask, &arena, up);
    CHECK(slice_eq(http_header(up, n, "authorization"), SLICE("Bearer own")));
    CHECK_INT(http_header_count(up, n, "x-api-key") + http_header_count(up, n, "anthropic-version"), 0);
    arena_fini(&arena);
}

TEST(the_secret_is_what_goes_up)
{
    static const struct header KEY[] = {{{"x-api-key", 9}, {"client-key", 10}}};
    static const struct {
        enum key_mode mode;
        const char *authorization;
        size_t key_n;
        const char *secret;
    } ROWS[] = {
        {KEY_NONE, "Bearer a", 1, ""}, {KEY_OWN, "Bearer a", 1, "own"},   {KEY_CLIENT, "Bearer  a ", 1, "a"},
        {KEY_CLIENT, "a", 1, "a"},     {KEY_CLIENT, "", 1, "client-key"}, {KEY_CLIENT, "", 0, ""},
    };

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct config_endpoint ep = {.key_mode = ROWS[i].mode, .secret = SLICE("own")};

        CHECK(slice_eq(headers_secret(&ep, slice_of(ROWS[i].authorization), KEY, ROWS[i].key_n),
                       slice_of(ROWS[i].secret)));
    }
}

static const struct header *down(const struct config_endpoint *ep, const struct header *h, size_t h_n,
                                 struct arena *arena, size_t *n)
{
    const struct http_response rs = {.status = 200, .headers = h, .headers_n = h_n};

    return headers_down(ep, SLICE("own-secret"), &rs, arena, n);
}

TEST(every_row_comes_down_where_its_rule_says_and_nowhere_else)
{
    for (int p = 0; p < PROVIDER_N * 3; p++) {
        struct config_endpoint ep = {.provider = (enum provider)(p / 3), .key_mode = (enum key_mode)(p % 3)};
        struct header sent[COUNT_OF(TABLE)];
        const struct header *got;
        struct arena arena;
        size_t n, forwarded_n = 1; /* the id */

        arena_init(&arena, NULL, 0, 4096);
        got = down(&ep, sent, all_rows("DOWN", sent), &arena, &n);
        for (size_t i = 0; i < COUNT_OF(TABLE); i++) {
            bool forwarded = rule_is(i, "DOWN", "FORWARD") ||
                             (rule_is(i, "DOWN", "KEY_CLIENT") && ep.key_mode == KEY_CLIENT);

            if (strcmp(TABLE[i].way, "DOWN") == 0 && strcmp(TABLE[i].name, "x-tidegate-upstream-id") != 0)
                CHECK_INT(http_header(got, n, TABLE[i].name).n > 0, forwarded);
            forwarded_n += forwarded;
        }
        CHECK(slice_ends(http_header(got, n, "x-tidegate-upstream-id"), SLICE("request-id")));
        CHECK_INT(n, forwarded_n);
        arena_fini(&arena);
    }
}

TEST(the_providers_id_is_found_under_its_own_name)
{
    static const struct header IDS[] = {{{"X-DeepSeek-Request-Id", 21}, {"ds", 2}},
                                        {{"Request-Id", 10}, {"req_a", 5}},
                                        {{"x-request-id", 12}, {"x", 1}}};
    static const struct {
        enum provider provider;
        size_t n; /* of IDS */
        const char *id;
    } ROWS[] = {{PROVIDER_DEEPSEEK, 3, "x"},      {PROVIDER_DEEPSEEK, 2, "ds"}, {PROVIDER_OPENAI, 2, ""},
                {PROVIDER_ANTHROPIC, 3, "req_a"}, {PROVIDER_VLLM, 3, "x"},      {PROVIDER_VLLM, 0, ""}};

    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        struct config_endpoint ep = {.provider = ROWS[i].provider};
        const struct header *got;
        struct arena arena;
        size_t n;

        arena_init(&arena, NULL, 0, 4096);
        got = down(&ep, IDS, ROWS[i].n, &arena, &n);
        CHECK_INT(n, ROWS[i].id[0] != '\0');
        CHECK(slice_eq(http_header(got, n, "x-tidegate-upstream-id"), slice_of(ROWS[i].id)));
        arena_fini(&arena);
    }
}

TEST(what_comes_down_is_short_printable_and_no_credential)
{
    static const struct {
        const char *value;
        bool passes;
    } ROWS[] = {
        {"2020-10-01", true},
        {"a b", true},
        {"", false},
        {"a\tb", false},
        {"caf\xc3\xa9", false},
        {"own-secret", false},
        {"x own-secretx", false},
        {"own-secre", true},
        {"sk-abcdefgh12345", false},
        {"Bearer abcdefgh1", false},
    };
    char longest[258];

    memset(longest, 'v', sizeof longest);
    for (size_t i = 0; i < COUNT_OF(ROWS) + 2; i++) {
        struct config_endpoint ep = {.provider = PROVIDER_OPENAI};
        struct slice value =
            i < COUNT_OF(ROWS) ? slice_of(ROWS[i].value) : (struct slice){longest, 256 + i - COUNT_OF(ROWS)};
        struct header h[] = {{SLICE("OpenAI-Version"), value}, {SLICE("X-Request-Id"), value}};
        bool passes = i < COUNT_OF(ROWS) ? ROWS[i].passes : i == COUNT_OF(ROWS);
        struct arena arena;
        size_t n;

        arena_init(&arena, NULL, 0, 4096);
        CHECK((down(&ep, h, 2, &arena, &n) != NULL) == passes);
        CHECK_INT(n, passes ? 2 : 0);
        arena_fini(&arena);
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
    struct header kept[HEADERS_KEPT_MAX];
    struct arena arena;
    char value[] = "00-a-b-01";
    struct header client[] = {{SLICE("traceparent"), slice_of(value)}, {SLICE("cookie"), SLICE("a=b")}};
    size_t n;

    arena_init(&arena, NULL, 0, 4096);
    CHECK_INT(headers_keep(CLIENT, COUNT_OF(CLIENT), &arena, kept), 7); /* six, and x-api-key */
    n = headers_keep(client, 2, &arena, kept);
    CHECK_INT(n, 1);
    memset(value, 'x', sizeof value - 1); /* the request's memory goes while the flight goes on */
    CHECK(slice_eq(http_header(kept, n, "traceparent"), SLICE("00-a-b-01")));
    arena_fini(&arena);
}

TEST(a_value_past_a_thousand_bytes_is_nobodys_trace)
{
    struct header kept[HEADERS_KEPT_MAX];
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

static struct slice up_value(const struct config_endpoint *ep, bool stream, bool sensitive, const char *name)
{
    static struct header rows[HEADERS_UP_MAX];
    static struct arena arena;
    struct headers_ask ask = {.endpoint = ep,
                              .request_id = SLICE("r"),
                              .stream = stream,
                              .surface = SURFACE_CHAT,
                              .sensitive = sensitive};
    struct slice got;

    arena_init(&arena, NULL, 0, 4096);
    got = http_header(rows, headers_up(&ask, &arena, rows), name);
    arena_fini(&arena);
    return got; /* these values are constants */
}

TEST(another_gateway_is_told_that_a_request_is_sensitive)
{
    static const struct config_endpoint gateway = {.provider = PROVIDER_TIDEGATE},
                                        engine = {.provider = PROVIDER_LLAMA};

    CHECK(slice_eq(up_value(&gateway, true, true, "x-tidegate-sensitive"), SLICE("local-only")));
    CHECK(up_value(&gateway, true, false, "x-tidegate-sensitive").n == 0);
    CHECK(up_value(&engine, true, true, "x-tidegate-sensitive").n == 0);
}

TEST(vllm_is_asked_for_its_load_with_plain_answers)
{
    static const struct config_endpoint vllm = {.provider = PROVIDER_VLLM, .signals = true},
                                        silent = {.provider = PROVIDER_VLLM};

    CHECK(slice_eq(up_value(&vllm, false, false, "endpoint-load-metrics-format"), SLICE("TEXT")));
    CHECK(up_value(&vllm, true, false, "endpoint-load-metrics-format").n == 0);
    CHECK(up_value(&silent, false, false, "endpoint-load-metrics-format").n == 0);
}
