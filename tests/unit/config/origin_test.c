/* SPDX-License-Identifier: MIT */
/* Base URLs and listener addresses: what is taken apart how, and what is refused. */
#include "config/origin.h"

#include "config/address.h"
#include "tap.h"

TEST(urls_are_taken_apart)
{
    static const struct {
        const char *url, *host, *authority, *path;
        int port;
        bool tls, loopback;
    } rows[] = {
        {"https://api.deepseek.com", "api.deepseek.com", "api.deepseek.com", "", 443, true, false},
        {"HTTPS://API.DeepSeek.com:443/", "api.deepseek.com", "api.deepseek.com", "", 443, true, false},
        {"http://127.0.0.1:9101/v1", "127.0.0.1", "127.0.0.1:9101", "/v1", 9101, false, true},
        {"http://localhost/v1///", "localhost", "localhost", "/v1", 80, false, true},
        {"http://[::1]:8080/a/b", "::1", "[::1]:8080", "/a/b", 8080, false, true},
        {"https://[2001:DB8::1]", "2001:db8::1", "[2001:db8::1]", "", 443, true, false},
        {"http://llm_1.lan:65535", "llm_1.lan", "llm_1.lan:65535", "", 65535, false, false},
        {"https://host.example./v1", "host.example.", "host.example.", "/v1", 443, true, false},
        {"https://h:80/%7Ea;b=c/v1", "h", "h:80", "/%7Ea;b=c/v1", 80, true, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct origin o;

        arena_init(&arena, NULL, 0, 512);
        if (CHECK_STR(origin_parse(slice_of(rows[i].url), &arena, &o), NULL)) {
            CHECK_STR(o.host, rows[i].host);
            CHECK_STR(o.authority.p, rows[i].authority);
            CHECK_STR(o.base_path.p, rows[i].path);
            CHECK_INT(o.port, rows[i].port);
            CHECK_INT(o.tls, rows[i].tls);
            CHECK_INT(o.is_loopback, rows[i].loopback);
        }
        arena_fini(&arena);
    }
}

static const char *const bad[] = {
    "",
    "h",
    "ftp://h",
    "http:/h",
    "http://",
    "http:///v1",
    "http://:80",
    "http://h:",
    "http://h:0",
    "http://h:65536",
    "http://h:8x",
    "http://h:-1",
    "http://::1",
    "http://[::1",
    "http://[::1]x",
    "http://[::1]:",
    "http://[]",
    "http://[1.2.3.4]",
    "http://[fe80::1%25eth0]",
    "http://1.2.3",
    "http://1.2.3.256",
    "http://127.1",
    "http://1.2.3.4.5",
    "http://a..b",
    "http://.a",
    "http://a b",
    "http://a\r\nb",
    "http://a\x7f",
    "http://u@h",
    "http://u:p@h",
    "http://h/a@b",
    "http://h?x",
    "http://h/#x",
    "http://h/a//b",
    "http://h/../b",
    "http://h/./b",
    "http://h/a\\b",
    "http://h\\b",
    "http://h/v1/chat/completions",
    "http://h/\xc3\xa9",
    "http://\xc3\xa9",
    "http://h/<x>",
};

TEST(urls_that_could_mean_two_things_are_refused)
{
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arena arena;
        struct origin o;
        size_t n = strlen(bad[i]);
        char *copy = tap_guard(bad[i], n);

        arena_init(&arena, NULL, 0, 512);
        if (!CHECK(origin_parse((struct slice){copy, n}, &arena, &o) != NULL))
            printf("# %s\n", bad[i]);
        arena_fini(&arena);
        tap_guard_free(copy, n);
    }
}

TEST(labels_of_names_have_63_bytes_at_most)
{
    char label[100] = "http://";
    struct arena arena;
    struct origin o;

    memset(label + 7, 'a', 64);
    arena_init(&arena, NULL, 0, 512);
    CHECK(origin_parse(slice_of(label), &arena, &o) != NULL);
    label[7 + 63] = 0;
    CHECK_STR(origin_parse(slice_of(label), &arena, &o), NULL);
    arena_fini(&arena);
}

TEST(addresses_of_listeners)
{
    static const struct {
        const char *text, *want; /* NULL: refused */
        bool loopback;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1:8080", true},
        {"127.9.9.9:0", "127.9.9.9:0", true},
        {"[::1]:1", "[::1]:1", true},
        {"[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:1", true},
        {"localhost:80", "127.0.0.1:80", true},
        {"0.0.0.0:80", "0.0.0.0:80", false},
        {":80", "0.0.0.0:80", false},
        {"*:80", "0.0.0.0:80", false},
        {"[::]:80", "[::]:80", false},
        {"192.168.1.1:80", "192.168.1.1:80", false},
        {"", NULL, false},
        {"80", NULL, false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1:8o", NULL, false},
        {"::1:80", NULL, false},
        {"[::1]80", NULL, false},
        {"[::1]", NULL, false},
        {"[]:80", NULL, false},
        {"[127.0.0.1]:80", NULL, false},
        {"example.com:80", NULL, false},
        {"127.0.0.1:80 ", NULL, false},
        {"/run/x.sock", NULL, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct address a = {0};

        arena_init(&arena, NULL, 0, 512);
        if (!CHECK_INT(address_parse(slice_of(rows[i].text), &arena, &a) == NULL, rows[i].want != NULL))
            printf("# %s\n", rows[i].text);
        CHECK_STR(a.text, rows[i].want);
        if (rows[i].want)
            CHECK_INT(a.is_loopback, rows[i].loopback);
        arena_fini(&arena);
    }
}

TEST(an_address_with_a_nul_byte_is_none)
{
    static const struct slice TEXTS[] = {{"127.0.0.1\0x:80", 14}, {"unix:/run/a\0b", 13}, {"fd:a\0", 5}};
    struct address a;
    struct arena arena;

    arena_init(&arena, NULL, 0, 256);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        CHECK(address_parse(TEXTS[i], &arena, &a) != NULL);
    arena_fini(&arena);
}
