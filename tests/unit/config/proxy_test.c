/* SPDX-License-Identifier: MIT */
/* Proxy URLs, NO_PROXY, and what of the environment an endpoint gets. */
#include "config/proxy.h"

#include "base/mem.h"
#include "tap.h"
#include "unit/config/reading.h"

static struct arena arena;

static const char *parsed(const char *url, struct config_proxy *p)
{
    memset(p, 0, sizeof *p);
    return proxy_parse(slice_of(url), &arena, p);
}

TEST(a_url_is_taken_apart)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        const char *authorization;
    } cases[] = {
        {"http://proxy.example:3128", "proxy.example", 3128, ""},
        {"proxy.example:3128", "proxy.example", 3128, ""},
        {"HTTP://Proxy.Example/", "proxy.example", 80, ""},
        {"http://[fd00::1]:8080", "fd00::1", 8080, ""},
        {"http://user:pass@10.0.0.9:3128", "10.0.0.9", 3128, "Basic dXNlcjpwYXNz"},
        {"http://user@10.0.0.9", "10.0.0.9", 80, "Basic dXNlcjo="},
        {"http://Aladdin:open%20sesame@proxy", "proxy", 80, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
        {"http://me:p%40ss@w%3ard@proxy:1", "proxy", 1, "Basic bWU6cEBzc0B3OnJk"},
        {"http://:secret@proxy", "proxy", 80, "Basic OnNlY3JldA=="},
    };

    arena_init(&arena, NULL, 0, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_proxy p;
        const char *why = parsed(cases[i].url, &p);

        if (!CHECK(why == NULL)) {
            printf("# %s: %s\n", cases[i].url, why);
            continue;
        }
        CHECK_STR(p.host, cases[i].host);
        CHECK_INT(p.port, cases[i].port);
        CHECK(slice_eq(p.authorization, slice_of(cases[i].authorization)));
    }
    arena_fini(&arena);
}

TEST(what_is_no_proxy_is_refused_without_repeating_it)
{
    static const char *const cases[] = {
        "https://canary:canary@proxy:3128",
        "socks5://canary@proxy",
        "ftp://canary",
        "http://",
        "http://canary@",
        "http://proxy:99999",
        "http://proxy/canary",
        "http://can%ary@proxy",
        "http://can%0aary@proxy",
        "http://can ary",
        "http://proxy?canary",
        "http://a%3acanary:b@proxy",
        "",
    };

    arena_init(&arena, NULL, 0, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_proxy p;
        const char *why = parsed(cases[i], &p);

        if (!CHECK(why != NULL))
            printf("# %s\n", cases[i]);
        else
            CHECK(strstr(why, "canary") == NULL && strstr(why, "ary") == NULL);
    }
    arena_fini(&arena);
}

TEST(the_list_of_exclusions)
{
    static const struct {
        const char *list, *host;
        uint16_t port;
        bool excluded;
    } cases[] = {
        {"*", "api.deepseek.com", 443, true},
        {"", "api.deepseek.com", 443, false},
        {" , ,", "api.deepseek.com", 443, false},
        {"api.deepseek.com", "api.deepseek.com", 443, true},
        {"API.DeepSeek.com", "api.deepseek.com", 443, true},
        {"deepseek.com", "api.deepseek.com", 443, true},
        {".deepseek.com", "api.deepseek.com", 443, true},
        {"*.deepseek.com", "api.deepseek.com", 443, true},
        {".deepseek.com", "deepseek.com", 443, true},
        {"seek.com", "api.deepseek.com", 443, false},
        {"api.deepseek.com.", "api.deepseek.com", 443, false},
        {"api.deepseek.com", "api.deepseek.com.", 443, true},
        {"deepseek.com", "com", 443, false},
        {"a.example, b.example", "b.example", 80, true},
        {"a.example b.example", "b.example", 80, true},
        {"deepseek.com:443", "api.deepseek.com", 443, true},
        {"deepseek.com:8443", "api.deepseek.com", 443, false},
        {"deepseek.com:", "api.deepseek.com", 443, false},
        {"10.1.2.3", "10.1.2.3", 80, true},
        {"10.1.2.3:80", "10.1.2.3", 80, true},
        {"10.1.2.3:81", "10.1.2.3", 80, false},
        {"1.2.3", "10.1.2.3", 80, false}, /* not a name's end: it is an address */
        {"10.0.0.0/8", "10.1.2.3", 80, true},
        {"10.0.0.0/8", "11.1.2.3", 80, false},
        {"10.1.2.0/23", "10.1.3.255", 80, true},
        {"10.1.2.0/23", "10.1.4.0", 80, false},
        {"0.0.0.0/0", "10.1.4.0", 80, true},
        {"0.0.0.0/0", "fd00::1", 80, false},
        {"10.1.2.3/32", "10.1.2.3", 80, true},
        {"10.1.2.3/33", "10.1.2.3", 80, false},
        {"10.0.0.0/", "10.1.2.3", 80, false},
        {"10.0.0.0/8", "host.10.example", 80, false},
        {"fd00::/8", "fd12::1", 80, true},
        {"fd00::/8", "fe80::1", 80, false},
        {"fd00::1", "fd00:0::1", 80, true},
        {"[fd00::1]:443", "fd00::1", 443, true},
        {"[fd00::1]:443", "fd00::1", 80, false},
        {"[fd00::1]", "fd00::1", 80, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool got = proxy_is_excluded(slice_of(cases[i].list), slice_of(cases[i].host), cases[i].port);

        if (!CHECK_INT(got, cases[i].excluded))
            printf("# \"%s\" and %s:%u\n", cases[i].list, cases[i].host, cases[i].port);
    }
}

/* -- the environment ------------------------------------------------------------------------------------- */

/* "NAME=value" lines. */
static const char *get(void *ud, const char *name)
{
    static char value[8][256];
    static unsigned turn;
    struct slice rest = slice_of(ud), want = slice_of(name);

    while (rest.n > 0) {
        struct slice line = slice_cut(rest, '\n', &rest), v;

        if (!slice_eq(slice_cut(line, '=', &v), want))
            continue;
        snprintf(value[++turn % 8], sizeof value[0], "%.*s", SLICE_ARG(v));
        return value[turn % 8];
    }
    return NULL;
}

#define ENDPOINT(more)                                              \
    "endpoints: [{name: e, provider: openai, key: none" more "}]\n" \
    "models: [{name: \"*\", tiers: [[{endpoint: e}]]}]\n"

static struct config *read_with(const char *yaml, const char *vars, struct config_report *report)
{
    struct config_env env = {get, (void *)(uintptr_t)vars};
    struct config *c;

    (void)!config_parse(slice_of(yaml), "t", &env, &c, report);
    return c;
}

TEST(who_gets_the_environments_proxy)
{
    static const struct {
        const char *yaml, *vars, *host, *from;
    } cases[] = {
        {ENDPOINT(", url: https://api.example"), "HTTPS_PROXY=http://up:1", "up", "HTTPS_PROXY"},
        {ENDPOINT(", url: https://api.example"), "https_proxy=low:1\nHTTPS_PROXY=http://up:1", "low",
         "https_proxy"},
        {ENDPOINT(", url: https://api.example"), "https_proxy=\nHTTPS_PROXY=http://up:1", "up",
         "HTTPS_PROXY"},
        {ENDPOINT(", url: https://api.example"), "HTTP_PROXY=http://up:1", NULL, NULL},
        {ENDPOINT(", url: http://api.example/v1"), "HTTP_PROXY=http://up:1", "up", "HTTP_PROXY"},
        {ENDPOINT(", url: http://api.example/v1"), "HTTPS_PROXY=http://up:1", NULL, NULL},
        {ENDPOINT(", url: https://api.example"), "HTTPS_PROXY=up:1\nNO_PROXY=.example", NULL, NULL},
        {ENDPOINT(", url: https://api.example"), "HTTPS_PROXY=up:1\nno_proxy=other\nNO_PROXY=*", "up",
         "HTTPS_PROXY"},
        {ENDPOINT(", url: http://127.0.0.1:1/v1"), "HTTP_PROXY=up:1", NULL, NULL},
        {ENDPOINT(", url: http://localhost:1/v1"), "HTTP_PROXY=up:1", NULL, NULL},
        {ENDPOINT(", url: \"http://[::1]:1/v1\""), "HTTP_PROXY=up:1", NULL, NULL},
        {ENDPOINT(", url: https://api.example, proxy: none"), "HTTPS_PROXY=up:1", NULL, NULL},
        {ENDPOINT(", url: https://api.example, proxy: \"http://own:2\""), "HTTPS_PROXY=up:1", "own", "proxy"},
        {ENDPOINT(", url: http://127.0.0.1:1/v1, proxy: \"http://own:2\""), "NO_PROXY=*", "own", "proxy"},
        {ENDPOINT(", url: http://engine/v1, socket: /run/engine.sock"), "HTTP_PROXY=up:1", NULL, NULL},
        {ENDPOINT(", url: https://api.example, proxy: none"), "HTTPS_PROXY=ftp://x", NULL, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_report report;
        struct config *c = read_with(cases[i].yaml, cases[i].vars, &report);
        const struct config_proxy *p;

        if (!CHECK(c != NULL)) {
            printf("# case %zu: %s\n", i, report.text);
            continue;
        }
        p = c->endpoints[0].proxy;
        if (!CHECK_INT(p != NULL, cases[i].host != NULL))
            printf("# case %zu\n", i);
        else if (p != NULL) {
            CHECK_STR(p->host, cases[i].host);
            CHECK_STR(p->from, cases[i].from);
        }
        config_unref(&c);
    }
}

TEST(a_password_never_shows)
{
    struct config_report report;
    struct config *c = read_with(ENDPOINT(", url: https://api.example"),
                                 "HTTPS_PROXY=http://user:canary@proxy:3128", &report);
    char *text;

    CHECK(c != NULL);
    text = config_describe(c);
    CHECK(strstr(text, "through the proxy proxy:3128 (HTTPS_PROXY) with a password") != NULL);
    CHECK(strstr(text, "canary") == NULL && strstr(text, "dXNl") == NULL);
    mem_free(text);
    config_unref(&c);
    c = read_with(ENDPOINT(", url: https://api.example"), "HTTPS_PROXY=http://user:canary@proxy:x", &report);
    CHECK(c == NULL);
    CHECK(strstr(report.text,
                 "t:1:57: error: the environment's HTTPS_PROXY cannot be used: the port must be a "
                 "number from 1 to 65535; proxy: none goes without it\n") == report.text);
    CHECK(strstr(report.text, "canary") == NULL);
}
