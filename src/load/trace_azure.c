/* SPDX-License-Identifier: MIT */
/* Azure's LLM inference traces (2023, 2024): "2023-11-16 18:15:46.6805900,374,44". */
#include "base/clock.h"
#include "load/trace_private.h"

#define FRACTION_DIGITS 6 /* of a second that count: microseconds */

bool trace_azure_is(struct slice line)
{
    return slice_ieq(line, SLICE("TIMESTAMP,ContextTokens,GeneratedTokens"));
}

/* A whole number of exactly n digits at the front of *s, which moves behind it and behind `end` (0: none). */
static bool take_number(struct slice *s, size_t n, char end, uint64_t *out)
{
    struct slice digits = {s->p, n};

    if (s->n < n || !slice_to_u64(digits, UINT64_MAX, out))
        return false;
    *s = slice_from(*s, n);
    if (end == 0)
        return true;
    if (s->n == 0 || (s->p[0] != end && !(end == ' ' && s->p[0] == 'T')))
        return false;
    *s = slice_from(*s, 1);
    return true;
}

/* Days since 1970-01-01 (Howard Hinnant's days_from_civil); year 1970 or later. */
static int64_t days(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

/* Digits behind the point; what follows the sixth is cut off. */
static bool take_fraction(struct slice *s, int64_t *us)
{
    size_t n = 0;
    int64_t unit = CLOCK_SECOND_US / 10;

    *us = 0;
    if (s->n == 0 || s->p[0] != '.')
        return true;
    *s = slice_from(*s, 1);
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        if (n < FRACTION_DIGITS)
            *us += (s->p[n] - '0') * unit;
        unit /= 10;
        n++;
    }
    *s = slice_from(*s, n);
    return n > 0;
}

static bool is_utc(struct slice zone)
{
    return zone.n == 0 || slice_eq(zone, SLICE("Z")) || slice_eq(zone, SLICE("+00:00"));
}

static bool read_time(struct slice s, int64_t *out_us)
{
    uint64_t year, month, day, hour, minute, second;
    int64_t us;

    if (!take_number(&s, 4, '-', &year) || !take_number(&s, 2, '-', &month) ||
        !take_number(&s, 2, ' ', &day) || !take_number(&s, 2, ':', &hour) ||
        !take_number(&s, 2, ':', &minute) || !take_number(&s, 2, 0, &second) || !take_fraction(&s, &us))
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60 || !is_utc(s))
        return false;
    *out_us = ((days((int64_t)year, (int64_t)month, (int64_t)day) * 24 + (int64_t)hour) * 3600 +
               (int64_t)minute * 60 + (int64_t)second) *
                  CLOCK_SECOND_US +
              us;
    return true;
}

const char *trace_azure_line(struct trace *t, struct slice line)
{
    struct slice prompt, answer, time = slice_cut(line, ',', &prompt);
    struct trace_row row = {0};
    uint64_t prompt_n, answer_n;

    prompt = slice_cut(prompt, ',', &answer);
    if (!read_time(slice_trim(time), &row.at_us))
        return "The time must look like 2023-11-16 18:15:46.6805900.";
    if (!slice_to_u64(slice_trim(prompt), TRACE_TOKENS_MAX, &prompt_n) ||
        !slice_to_u64(slice_trim(answer), TRACE_TOKENS_MAX, &answer_n))
        return "Behind the time there must be two numbers of tokens, at most 10,000,000 each.";
    row.prompt_tokens = (uint32_t)prompt_n;
    row.answer_tokens = (uint32_t)answer_n;
    t->rows = trace_grow(t->rows, t->rows_n, sizeof row);
    t->rows[t->rows_n++] = row;
    return NULL;
}
