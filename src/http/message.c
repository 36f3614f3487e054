/* SPDX-License-Identifier: MIT */
/* Looking things up in the heads of HTTP messages. */
#include "http/message.h"

#include "base/clock.h"
#include "http/date.h"

#define RETRY_AFTER_MAX_S (INT64_C(366) * 24 * 3600)

struct slice http_header(const struct header *headers, size_t n, const char *name)
{
    struct slice want = slice_of(name);

    for (size_t i = 0; i < n; i++) {
        if (slice_ieq(headers[i].name, want))
            return headers[i].value;
    }
    return SLICE_NONE;
}

size_t http_header_count(const struct header *headers, size_t n, const char *name)
{
    struct slice want = slice_of(name);
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += slice_ieq(headers[i].name, want);
    return found;
}

bool http_has_token(struct slice value, const char *token)
{
    struct slice want = slice_of(token);

    while (value.p != NULL) {
        struct slice item = slice_cut(value, ',', &value), parameters;

        if (slice_ieq(slice_trim(slice_cut(item, ';', &parameters)), want))
            return true;
    }
    return false;
}

/* A decimal number with an optional fraction, in units of unit_us; -1 for anything else or more than max_us.
 * Python and JavaScript providers write fractions, and their SDKs read them. */
static int64_t decimal_us(struct slice text, int64_t unit_us, int64_t max_us)
{
    struct slice fraction, whole = slice_cut(text, '.', &fraction);
    uint64_t n;
    int64_t us;

    if (!slice_to_u64(whole, (uint64_t)(max_us / unit_us), &n))
        return -1;
    us = (int64_t)n * unit_us;
    if (fraction.p != NULL && fraction.n == 0)
        return -1;
    for (size_t i = 0; fraction.p != NULL && i < fraction.n; i++) {
        if (fraction.p[i] < '0' || fraction.p[i] > '9')
            return -1;
        unit_us /= 10;
        us += (fraction.p[i] - '0') * unit_us;
    }
    return us <= max_us ? us : -1;
}

int64_t http_retry_after_us(const struct header *headers, size_t n, int64_t wall_us)
{
    const int64_t max_us = RETRY_AFTER_MAX_S * CLOCK_SECOND_US;
    struct slice ms = http_header(headers, n, "retry-after-ms"), value;
    int64_t us = ms.p != NULL ? decimal_us(slice_trim(ms), CLOCK_MS_US, max_us) : -1, at_s, wait_us;

    if (us >= 0)
        return us;
    value = slice_trim(http_header(headers, n, "retry-after"));
    if (value.p == NULL || value.n == 0)
        return -1;
    if (value.p[0] >= '0' && value.p[0] <= '9')
        return decimal_us(value, CLOCK_SECOND_US, max_us);
    if (!date_parse(value, wall_us, &at_s))
        return -1;
    wait_us = at_s * CLOCK_SECOND_US - wall_us; /* a date that has passed: the wait is over */
    return wait_us < 0 ? 0 : wait_us <= max_us ? wait_us : -1;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } REASONS[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not "
              "Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {529, "Site Is Overloaded"},
    };

    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++) {
        if (REASONS[i].status == status)
            return REASONS[i].text;
    }
    return "Unknown";
}
