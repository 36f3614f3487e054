/* SPDX-License-Identifier: MIT */
/* Looking things up in heads; dates; Retry-After. */
#include "http/message.h"

#include "base/clock.h"
#include "http/date.h"
#include "tap.h"

#define NOW_S INT64_C(1795335330) /* Sun, 22 Nov 2026 08:15:30 GMT */

static const struct header HEADERS[] = {
    {SLICE("Content-Type"), SLICE("text/event-stream")},
    {SLICE("connection"), SLICE("keep-alive, Upgrade;x=1 ,close")},
    {SLICE("X-Twice"), SLICE("one")},
    {SLICE("x-twice"), SLICE("two")},
};

TEST(headers_are_found_in_any_case)
{
    struct slice s = http_header(HEADERS, 4, "CONTENT-TYPE");

    CHECK_MEM(s.p, s.n, "text/event-stream", 17);
    CHECK(http_header(HEADERS, 4, "content-typ").p == NULL);
    CHECK(http_header(HEADERS, 4, "content-typed").p == NULL);
    CHECK(http_header(NULL, 0, "x").p == NULL);
    s = http_header(HEADERS, 4, "X-TWICE");
    CHECK_MEM(s.p, s.n, "one", 3);
    CHECK_INT(http_header_count(HEADERS, 4, "x-Twice"), 2);
    CHECK_INT(http_header_count(HEADERS, 4, "x-thrice"), 0);
}

TEST(tokens_of_a_list)
{
    struct slice v = http_header(HEADERS, 4, "Connection");

    CHECK(http_has_token(v, "close"));
    CHECK(http_has_token(v, "Keep-Alive"));
    CHECK(http_has_token(v, "upgrade"));
    CHECK(!http_has_token(v, "keep"));
    CHECK(!http_has_token(v, "x=1"));
    CHECK(!http_has_token(SLICE_NONE, "close"));
    CHECK(!http_has_token(SLICE(""), "close"));
    CHECK(http_has_token(SLICE(",, close"), "close"));
}

/* -- dates -------------------------------------------------------------------------------------------------
 */

static void check_date(int64_t at_s, const char *text)
{
    char out[DATE_BYTES];
    int64_t back_s = -1;

    date_format(at_s * CLOCK_SECOND_US, out);
    CHECK_MEM(out, sizeof out, text, strlen(text));
    CHECK(date_parse(slice_of(text), at_s * CLOCK_SECOND_US, &back_s));
    CHECK_INT(back_s, at_s);
}

TEST(dates_both_ways)
{
    check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    check_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
    check_date(951782399, "Mon, 28 Feb 2000 23:59:59 GMT");
    check_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
    check_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
    check_date(NOW_S, "Sun, 22 Nov 2026 08:15:30 GMT");
    check_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
    check_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
    check_date(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(every_day_of_a_cycle_of_years)
{
    int64_t wrong_n = 0;

    for (int64_t day = 0; day < 146097; day++) {
        char out[DATE_BYTES];
        int64_t back_s = -1;

        date_format(day * 86400 * CLOCK_SECOND_US, out);
        wrong_n += !date_parse((struct slice){out, sizeof out}, 0, &back_s) || back_s != day * 86400;
    }
    CHECK_INT(wrong_n, 0);
}

TEST(the_old_forms_of_dates)
{
    int64_t s = 0;

    CHECK(date_parse(SLICE("Sunday, 06-Nov-94 08:49:37 GMT"), NOW_S * CLOCK_SECOND_US, &s));
    CHECK_INT(s, 784111777);
    CHECK(date_parse(SLICE("Sun Nov  6 08:49:37 1994"), NOW_S * CLOCK_SECOND_US, &s));
    CHECK_INT(s, 784111777);
    CHECK(date_parse(SLICE("Wed Nov 16 08:49:37 1994"), NOW_S * CLOCK_SECOND_US, &s));
    CHECK_INT(s, 784111777 + 10 * 86400);
    CHECK(date_parse(SLICE("Sunday, 22-Nov-76 08:15:30 GMT"), NOW_S * CLOCK_SECOND_US,
                     &s)); /* 50 years ahead */
    CHECK_INT(s, INT64_C(3373258530));
}

TEST(what_is_no_date)
{
    static const char *const TEXTS[] = {
        "",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun, 06 Nev 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 No",
        "Sun, 06 Nov 199",
        "1994-11-06T08:49:37Z",
        "Sun, xx Nov 1994 08:49:37 GMT",
    };

    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        size_t n = strlen(TEXTS[i]);
        char *copy = tap_guard(TEXTS[i], n);
        int64_t s;

        if (!CHECK(!date_parse((struct slice){copy, n}, 0, &s)))
            printf("# %s\n", TEXTS[i]);
        tap_guard_free(copy, n);
    }
}

/* -- Retry-After -------------------------------------------------------------------------------------------
 */

static int64_t wait_of(const char *name, const char *value)
{
    struct header h = {slice_of(name), slice_of(value)};

    return http_retry_after_us(&h, 1, NOW_S * CLOCK_SECOND_US);
}

TEST(retry_after_in_seconds)
{
    CHECK_INT(wait_of("retry-after", "0"), 0);
    CHECK_INT(wait_of("Retry-After", "30"), 30000000);
    CHECK_INT(wait_of("Retry-After", " 1.5 "), 1500000);
    CHECK_INT(wait_of("Retry-After", "0.0000019"), 1);
    CHECK_INT(wait_of("Retry-After", "31536000"), INT64_C(31536000000000));
}

TEST(retry_after_in_milliseconds_comes_first)
{
    const struct header both[] = {{SLICE("Retry-After"), SLICE("30")},
                                  {SLICE("retry-after-ms"), SLICE("250.5")}};
    const struct header absurd[] = {{SLICE("Retry-After"), SLICE("30")},
                                    {SLICE("retry-after-ms"), SLICE("soon")}};

    CHECK_INT(wait_of("retry-after-ms", "1500"), 1500000);
    CHECK_INT(http_retry_after_us(both, 2, 0), 250500);
    CHECK_INT(http_retry_after_us(absurd, 2, 0), 30000000);
}

TEST(retry_after_as_a_date)
{
    CHECK_INT(wait_of("Retry-After", "Sun, 22 Nov 2026 08:16:00 GMT"), 30000000);
    CHECK_INT(wait_of("Retry-After", "Sun, 22 Nov 2026 08:15:00 GMT"), 0);
}

TEST(retry_after_that_says_nothing)
{
    static const char *const VALUES[] = {
        "",
        "-1",
        "+1",
        "1e3",
        "0x10",
        "1.",
        ".5",
        "1.2.3",
        "soon",
        "NaN",
        "1 2",
        "99999999999999999999",
        "31622401", /* over a year */
        "Sun, 22 Nov 2076 08:15:30 GMT",
    };

    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        if (!CHECK_INT(wait_of("Retry-After", VALUES[i]), -1))
            printf("# %s\n", VALUES[i]);
    }
    CHECK_INT(http_retry_after_us(NULL, 0, 0), -1);
}

TEST(reasons)
{
    CHECK_STR(http_reason(200), "OK");
    CHECK_STR(http_reason(404), "Not Found");
    CHECK_STR(http_reason(431), "Request Header Fields Too Large");
    CHECK_STR(http_reason(299), "Unknown");
}
