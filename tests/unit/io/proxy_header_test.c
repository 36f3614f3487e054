/* SPDX-License-Identifier: MIT */
/* PROXY headers: each at every cut and from a guard page, and what only looks like one. */
#include "io/proxy_header.h"

#include <stdlib.h>

#include "tap.h"

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])
#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define ADDRESSES_4 "\xcb\0\x71\x09\x0a\0\0\x01\x10\xe1\0\x50"
#define NET_6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
#define ADDRESSES_6 NET_6 NET_6 "\0\x05\0\x50"

static enum proxy_verdict parse(struct slice bytes, struct proxy_header *out)
{
    char *copy = tap_guard(bytes.p, bytes.n);
    enum proxy_verdict v = proxy_header_parse((struct slice){copy, bytes.n}, out);

    tap_guard_free(copy, bytes.n);
    return v;
}

static const struct {
    struct slice bytes;
    enum proxy_verdict verdict;
    const char *from;
} GOOD[] = {
    {SLICE("PROXY TCP4 203.0.113.9 10.0.0.1 4321 80\r\n"), PROXY_ADDRESS, "203.0.113.9:4321"},
    {SLICE("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), PROXY_ADDRESS,
     "255.255.255.255:65535"},
    {SLICE("PROXY TCP6 2001:db8::7 ::1 0 80\r\n"), PROXY_ADDRESS, "[2001:db8::7]:0"},
    {SLICE("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 "
           "65535\r\n"),
     PROXY_ADDRESS, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {SLICE("PROXY UNKNOWN\r\n"), PROXY_NO_ADDRESS, "unknown"},
    {SLICE("PROXY UNKNOWN what ever it says\r\n"), PROXY_NO_ADDRESS, "unknown"},
    {SLICE(V2 "\x21\x11\0\x0c" ADDRESSES_4), PROXY_ADDRESS, "203.0.113.9:4321"},
    {SLICE(V2 "\x21\x21\0\x24" ADDRESSES_6), PROXY_ADDRESS, "[2001:db8::7]:5"},
    {SLICE(V2 "\x21\x11\0\x12" ADDRESSES_4 "\xea\0\3abc"), PROXY_ADDRESS, "203.0.113.9:4321"},
    {SLICE(V2 "\x20\0\0\0"), PROXY_NO_ADDRESS, "unknown"},
    {SLICE(V2 "\x20\x11\0\x0c" ADDRESSES_4), PROXY_NO_ADDRESS, "unknown"},
    {SLICE(V2 "\x20\xff\0\3abc"), PROXY_NO_ADDRESS, "unknown"},
    {SLICE(V2 "\x21\0\0\0"), PROXY_NO_ADDRESS, "unknown"},
    {SLICE(V2 "\x21\x31\0\2ab"), PROXY_NO_ADDRESS, "unknown"},
};

TEST(headers_are_read_whole_and_nothing_behind_them)
{
    for (size_t i = 0; i < COUNT_OF(GOOD); i++) {
        struct slice whole = GOOD[i].bytes;
        struct proxy_header h;
        char more[256], from[ADDR_TEXT_BYTES];

        for (size_t n = 0; n < whole.n; n++) {
            if (!CHECK_INT(parse((struct slice){whole.p, n}, &h), PROXY_MORE))
                printf("# header %zu cut at %zu\n", i, n);
        }
        memcpy(more, whole.p, whole.n);
        memcpy(more + whole.n, "GET /", 5);
        for (size_t behind = 0; behind <= 5; behind += 5) {
            CHECK_INT(parse((struct slice){more, whole.n + behind}, &h), GOOD[i].verdict);
            CHECK_INT(h.n, whole.n);
            addr_format(&h.from, from, sizeof from);
            CHECK_STR(from, GOOD[i].from);
        }
    }
}

TEST(what_only_looks_like_a_header_is_refused)
{
    static const struct slice BAD[] = {
        SLICE("GET / HTTP/1.1\r\n"),
        SLICE("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"),
        SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"),
        SLICE("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"),
        SLICE("PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n"),
        SLICE("PROXY TCP4 ::1 ::1 1 2\r\n"),
        SLICE("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"),
        SLICE("PROXY TCP6 ::1 1.2.3.4 1 2\r\n"),
        SLICE("PROXY TCP6 [::1] ::1 1 2\r\n"),
        SLICE("PROXY TCP4 host 1.2.3.4 1 2\r\n"),
        SLICE("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        SLICE("PROXY UNKNOWNX\r\n"),
        SLICE("PROXY \r\n"),
        SLICE(V2 "\x11\x11\0\x0c" ADDRESSES_4),
        SLICE(V2 "\x22\x11\0\x0c" ADDRESSES_4),
        SLICE(V2 "\x21\x12\0\x0c" ADDRESSES_4),
        SLICE(V2 "\x21\x11\0\x0b" ADDRESSES_4),
        SLICE(V2 "\x21\x21\0\x0c" ADDRESSES_4),
        SLICE(V2 "\x21\x11\xff\xff" ADDRESSES_4),
    };
    struct proxy_header h;

    for (size_t i = 0; i < COUNT_OF(BAD); i++) {
        if (!CHECK_INT(parse(BAD[i], &h), PROXY_MALFORMED))
            printf("# header %zu\n", i);
    }
}

TEST(nothing_grows_past_its_bound)
{
    static char bytes[PROXY_HEADER_MAX + 1] = "PROXY ";
    struct proxy_header h;

    memset(bytes + 6, 'x', sizeof bytes - 6);
    CHECK_INT(parse((struct slice){bytes, 106}, &h), PROXY_MORE);
    CHECK_INT(parse((struct slice){bytes, 107}, &h), PROXY_MALFORMED);
    memcpy(bytes, V2 "\x20\0\x0f\xf0", 16); /* 4096 with its fixed part */
    CHECK_INT(parse((struct slice){bytes, 4095}, &h), PROXY_MORE);
    CHECK_INT(parse((struct slice){bytes, 4096}, &h), PROXY_NO_ADDRESS);
    bytes[15] = '\xf1';
    CHECK_INT(parse((struct slice){bytes, 16}, &h), PROXY_MALFORMED);
}

TEST(no_bytes_do_harm)
{
    static char bytes[64];
    struct proxy_header h;
    int wrong_n = 0;

    srandom(7);
    for (int i = 0; i < 20000; i++) {
        size_t n = (size_t)random() % sizeof bytes;

        memcpy(bytes, i % 2 != 0 ? V2 : "PROXY TCP4 1.1.", 12);
        for (size_t k = i % 3 == 0 ? 0 : 12; k < n; k++)
            bytes[k] = (char)random();
        if (parse((struct slice){bytes, n}, &h) != PROXY_MALFORMED && h.n > PROXY_HEADER_MAX)
            wrong_n++;
    }
    CHECK_INT(wrong_n, 0);
}
