/* SPDX-License-Identifier: MIT */
/* Socket addresses as text and back. */
#include "io/addr.h"

#include "tap.h"

static const char *round_trip(const char *text, char out[ADDR_TEXT_BYTES])
{
    struct addr a;

    out[0] = '\0';
    if (addr_parse(slice_of(text), &a) == ERR_OK)
        addr_format(&a, out, ADDR_TEXT_BYTES);
    return out;
}

TEST(parses_what_a_listen_option_holds)
{
    char out[ADDR_TEXT_BYTES];

    CHECK_STR(round_trip("127.0.0.1:8080", out), "127.0.0.1:8080");
    CHECK_STR(round_trip("[::1]:8080", out), "[::1]:8080");
    CHECK_STR(round_trip("[2001:db8:0:0::7]:65535", out), "[2001:db8::7]:65535");
    CHECK_STR(round_trip(":8080", out), "0.0.0.0:8080");
    CHECK_STR(round_trip("*:80", out), "0.0.0.0:80");
    CHECK_STR(round_trip("10.0.0.1:0", out), "10.0.0.1:0");
}

TEST(refuses_everything_else)
{
    static const char *const BAD[] = {
        "",
        "8080",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:80",
        "[::1]",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[127.0.0.1]:80",
        "[[::1]]:8",
        "host:80",
        "127.0.0.1:8x",
        " 127.0.0.1:80",
        "127.0.0.1: 80",
        "127.1:80",
        "1.2.3.4.5:6",
        "[::1%lo]:80",
        "*.*:80",
        "127.0.0.1:80:80",
        ":",
        "unix:",
        "unix:/",
        "unix:@",
        "unix:run/x.sock",
        "/run/x.sock",
    };
    char out[ADDR_TEXT_BYTES];

    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        CHECK_STR(round_trip(BAD[i], out), "");
}

TEST(reads_no_byte_behind_the_text)
{
    static const char *const TEXTS[] = {"127.0.0.1:80", "[::1]:80", ":80", "127.0.0.1", "[", "1:"};
    struct addr a;

    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        size_t n = strlen(TEXTS[i]);
        char *copy = tap_guard(TEXTS[i], n);

        CHECK_INT(addr_parse((struct slice){copy, n}, &a) == ERR_OK, i < 3);
        CHECK_INT(addr_of_ip((struct slice){copy, n}, 1, &a), i == 3);
        tap_guard_free(copy, n);
    }
}

TEST(knows_numbers_from_names)
{
    char longest[100];
    struct addr a;

    CHECK(addr_of_ip(SLICE("10.0.0.1"), 443, &a));
    CHECK_INT(addr_port(&a), 443);
    CHECK(addr_of_ip(SLICE("::ffff:127.0.0.1"), 1, &a));
    CHECK(addr_of_ip(SLICE("[fe80::1]"), 1, &a));
    CHECK(!addr_of_ip(SLICE("api.deepseek.com"), 1, &a));
    CHECK(!addr_of_ip(SLICE(""), 1, &a));
    CHECK(!addr_of_ip(SLICE("::1\0"), 1, &a));
    CHECK(!addr_of_ip(SLICE_NONE, 1, &a));
    memset(longest, ':', sizeof longest);
    CHECK(!addr_of_ip((struct slice){longest, sizeof longest}, 1, &a));
}

static bool is_loopback(const char *host)
{
    struct addr a;

    return CHECK(addr_of_ip(slice_of(host), 1, &a)) && addr_is_loopback(&a);
}

TEST(knows_loopback)
{
    struct addr none = {.n = 0};

    CHECK(is_loopback("127.0.0.1"));
    CHECK(is_loopback("127.255.255.254"));
    CHECK(is_loopback("::1"));
    CHECK(is_loopback("::ffff:127.0.0.1"));
    CHECK(!is_loopback("0.0.0.0"));
    CHECK(!is_loopback("128.0.0.1"));
    CHECK(!is_loopback("::"));
    CHECK(!is_loopback("::2"));
    CHECK(!is_loopback("::ffff:10.0.0.1"));
    CHECK(!addr_is_loopback(&none));
}

TEST(compares_and_changes_ports)
{
    struct addr a, b, six, none = {.n = 0};
    char out[64], few[5];

    addr_of_ip(SLICE("127.0.0.1"), 80, &a);
    addr_of_ip(SLICE("127.0.0.1"), 81, &b);
    addr_of_ip(SLICE("::1"), 80, &six);
    CHECK(!addr_eq(&a, &b));
    CHECK(!addr_eq(&a, &six));
    addr_set_port(&b, 80);
    CHECK(addr_eq(&a, &b));
    addr_set_port(&six, 9);
    CHECK_INT(addr_port(&six), 9);
    CHECK(!addr_eq(&none, &none));
    CHECK_INT(addr_port(&none), 0);
    addr_format(&none, out, sizeof out);
    CHECK_STR(out, "unknown");
    addr_format(&a, few, sizeof few);
    CHECK_STR(few, "127.");
}

TEST(unix_sockets_are_addresses_too)
{
    char longest[110] = "/", out[ADDR_TEXT_BYTES];
    struct addr path, name, other, nameless = {.n = sizeof nameless.ss.ss_family};

    CHECK_STR(round_trip("unix:/run/tidegate.sock", out), "unix:/run/tidegate.sock");
    CHECK_STR(round_trip("unix:@tidegate", out), "unix:@tidegate");
    CHECK(addr_of_unix(SLICE("/run/x"), &path) && addr_of_unix(SLICE("@run/x"), &name));
    CHECK(addr_is_unix(&path) && addr_is_loopback(&path) && addr_port(&path) == 0);
    addr_set_port(&path, 80);
    addr_format(&path, out, sizeof out);
    CHECK_STR(out, "unix:/run/x");
    CHECK(addr_of_unix(SLICE("/run/x"), &other) && addr_eq(&path, &other));
    CHECK(!addr_eq(&path, &name));
    CHECK(addr_of_unix(SLICE("/run/y"), &other) && !addr_eq(&path, &other));
    CHECK(!addr_of_unix(SLICE("run/x"), &other) && !addr_of_unix(SLICE("/a\0b"), &other));
    memset(longest + 1, 'x', 107);
    CHECK(addr_of_unix((struct slice){longest, 107}, &other));
    addr_format(&other, out, sizeof out);
    CHECK_INT(strlen(out), 112);
    CHECK(!addr_of_unix((struct slice){longest, 108}, &other));

    nameless.ss.ss_family = path.ss.ss_family;
    addr_format(&nameless, out, sizeof out);
    CHECK_STR(out, "unix:");
    CHECK(!addr_eq(&nameless, &nameless));
}
