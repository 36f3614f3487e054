/* SPDX-License-Identifier: MIT */
/* URLs, addresses, dates and the PROXY protocol's header: what is taken has a form that is taken again. */
#include "base/arena.h"
#include "config/address.h"
#include "config/origin.h"
#include "fuzz/fuzz.h"
#include "http/date.h"
#include "http/message.h"
#include "http/url.h"
#include "io/addr.h"
#include "io/proxy_header.h"

#define NOW_US (INT64_C(1800000000) * 1000000)

static void decode(struct slice s, struct arena *arena)
{
    struct slice once = url_decode(s, arena);

    FUZZ_CHECK(once.n <= s.n);
    if (memchr(s.p, '%', s.n) == NULL)
        FUZZ_CHECK(slice_eq(once, s));
}

static void origin(struct slice s, struct arena *arena)
{
    struct origin o, again;
    struct slice url;

    if (origin_parse(s, arena, &o) != NULL)
        return;
    FUZZ_CHECK(o.host[0] != '\0' && o.port != 0);
    FUZZ_CHECK(o.base_path.n == 0 || (o.base_path.p[0] == '/' && o.base_path.p[o.base_path.n - 1] != '/'));
    url = arena_printf(arena, "%s://%.*s%.*s", o.tls ? "https" : "http", SLICE_ARG(o.authority),
                       SLICE_ARG(o.base_path));
    FUZZ_CHECK(origin_parse(url, arena, &again) == NULL);
    FUZZ_CHECK(again.tls == o.tls && strcmp(again.host, o.host) == 0 && again.port == o.port);
    FUZZ_CHECK(slice_eq(again.base_path, o.base_path) && slice_eq(again.authority, o.authority));
    FUZZ_CHECK(again.is_loopback == o.is_loopback);
}

static void address(struct slice s, struct arena *arena)
{
    char text[ADDR_TEXT_BYTES];
    struct address a;
    struct addr at, again;

    if (addr_parse(s, &at) == ERR_OK && addr_inherited(&at).n == 0) {
        addr_format(&at, text, sizeof text);
        FUZZ_CHECK(addr_parse(slice_of(text), &again) == ERR_OK && addr_eq(&at, &again));
    }
    if (address_parse(s, arena, &a) == NULL)
        FUZZ_CHECK(addr_parse(slice_of(a.text), &at) == ERR_OK);
}

static void proxy_header(struct slice s)
{
    struct proxy_header whole, part;
    enum proxy_verdict v = proxy_header_parse(s, &whole);

    if (v != PROXY_ADDRESS && v != PROXY_NO_ADDRESS)
        return;
    FUZZ_CHECK(whole.n > 0 && whole.n <= s.n && whole.n <= PROXY_HEADER_MAX);
    for (size_t n = 0; n < whole.n; n++) /* no beginning of it is anything yet */
        FUZZ_CHECK(proxy_header_parse((struct slice){s.p, n}, &part) == PROXY_MORE);
    FUZZ_CHECK(proxy_header_parse((struct slice){s.p, whole.n}, &part) == v && part.n == whole.n);
}

static void date(struct slice s)
{
    char text[DATE_BYTES];
    int64_t at_s, again_s;
    struct header h = {SLICE("retry-after"), s};
    int64_t wait_us = http_retry_after_us(&h, 1, NOW_US);

    FUZZ_CHECK(wait_us >= -1 && wait_us <= INT64_C(366) * 86400 * 1000000);
    if (!date_parse(s, NOW_US, &at_s) || at_s < 0 || at_s > INT64_C(253402300799))
        return;
    date_format(at_s * 1000000, text);
    FUZZ_CHECK(date_parse((struct slice){text, DATE_BYTES}, NOW_US, &again_s) && again_s == at_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct slice s = {(const char *)data, n};
    uint8_t which = fuzz_byte(&s);
    char *copy = fuzz_copy(s);
    struct arena arena;

    s.p = copy;
    arena_init(&arena, NULL, 0, 1024);
    switch (which % 5) {
    case 0:
        decode(s, &arena);
        break;
    case 1:
        origin(s, &arena);
        break;
    case 2:
        address(s, &arena);
        break;
    case 3:
        proxy_header(s);
        break;
    default:
        date(s);
        break;
    }
    arena_fini(&arena);
    free(copy);
    return 0;
}
