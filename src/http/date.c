/* SPDX-License-Identifier: MIT */
/* HTTP dates without locale, time zone or printf: every response head carries one.
 *
 * Days and civil dates are converted by Howard Hinnant's algorithms ("chrono-compatible low-level date
 * algorithms"): years begin in March, so that the leap day is the last of its year, and repeat every 400
 * years (an era). */
#include "http/date.h"

#include "base/clock.h"

#define DAY_S 86400
#define ERA_DAYS 146097
#define DAYS_TO_1970 719468 /* from 0000-03-01 */

static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char DAYS[] = "ThuFriSatSunMonTueWed"; /* 1970-01-01 was a Thursday */

struct civil {
    int64_t year;
    unsigned month, day; /* from 1 */
};

static struct civil civil_of_days(int64_t days)
{
    int64_t z = days + DAYS_TO_1970, era = z / ERA_DAYS;
    unsigned of_era = (unsigned)(z - era * ERA_DAYS);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned m = (5 * of_year + 2) / 153;
    struct civil c;

    c.day = of_year - (153 * m + 2) / 5 + 1;
    c.month = m < 10 ? m + 3 : m - 9;
    c.year = (int64_t)year + era * 400 + (c.month <= 2);
    return c;
}

static int64_t days_of_civil(struct civil c)
{
    int64_t y = c.month <= 2 ? c.year - 1 : c.year, era = y / 400;
    unsigned year = (unsigned)(y - era * 400);
    unsigned of_year = (153 * (c.month > 2 ? c.month - 3 : c.month + 9) + 2) / 5 + c.day - 1;
    unsigned of_era = year * 365 + year / 4 - year / 100 + of_year;

    return era * ERA_DAYS + (int64_t)of_era - DAYS_TO_1970;
}

static void two(char *out, unsigned n)
{
    out[0] = (char)('0' + n / 10);
    out[1] = (char)('0' + n % 10);
}

void date_format(int64_t wall_us, char *out)
{
    int64_t s = wall_us / CLOCK_SECOND_US, days = s / DAY_S;
    unsigned t = (unsigned)(s % DAY_S);
    struct civil c = civil_of_days(days);

    memcpy(out, "ddd, dd mmm yyyy hh:mm:ss GMT", DATE_BYTES);
    memcpy(out, DAYS + days % 7 * 3, 3);
    two(out + 5, c.day);
    memcpy(out + 8, MONTHS + (size_t)(c.month - 1) * 3, 3);
    two(out + 12, (unsigned)(c.year / 100));
    two(out + 14, (unsigned)(c.year % 100));
    two(out + 17, t / 3600);
    two(out + 20, t / 60 % 60);
    two(out + 23, t % 60);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * Matches text against a form: D a digit into the number being read, a blank into it as 0 where asctime
 * pads (_), m three letters of a month, W a letter of a day's name (any number of them), anything else
 * itself.
 */
static bool match(struct slice text, const char *form, unsigned *numbers, unsigned *month)
{
    size_t i = 0;
    bool in_number = false;

    for (; *form != 0; form++) {
        if (*form == 'W') {
            while (i < text.n && ((text.p[i] | 32) >= 'a' && (text.p[i] | 32) <= 'z'))
                i++;
            continue;
        }
        if (i >= text.n)
            return false;
        if (*form == 'm') {
            if (text.n - i < 3)
                return false;
            for (*month = 0; *month < 12 && memcmp(MONTHS + (size_t)*month * 3, text.p + i, 3) != 0;)
                (*month)++;
            i += 3;
            continue;
        }
        if (*form != 'D' && *form != '_') {
            numbers += in_number;
            in_number = false;
            if (text.p[i++] != *form)
                return false;
            continue;
        }
        if (!is_digit(text.p[i]) && !(*form == '_' && text.p[i] == ' '))
            return false;
        *numbers = (in_number ? *numbers * 10 : 0) + (is_digit(text.p[i]) ? (unsigned)(text.p[i] - '0') : 0);
        in_number = true;
        i++;
    }
    return i == text.n;
}

/* The year with these last two digits that is at most 50 years ahead (RFC 9110 5.6.7). */
static unsigned full_year(unsigned two_digits, int64_t wall_us)
{
    unsigned now = (unsigned)civil_of_days(wall_us / CLOCK_SECOND_US / DAY_S).year;
    unsigned year = now / 100 * 100 + two_digits;

    return year > now + 50 ? year - 100 : year;
}

bool date_parse(struct slice text, int64_t wall_us, int64_t *out_s)
{
    unsigned n[5], month = 12, day, year, h, m, s; /* n: in the order of the form */

    if (match(text, "W, DD m DDDD DD:DD:DD GMT", n, &month)) {
        day = n[0], year = n[1], h = n[2], m = n[3], s = n[4];
    } else if (match(text, "W, DD-m-DD DD:DD:DD GMT", n, &month)) {
        day = n[0], year = full_year(n[1], wall_us), h = n[2], m = n[3], s = n[4];
    } else if (match(text, "W m _D DD:DD:DD DDDD", n, &month)) {
        day = n[0], h = n[1], m = n[2], s = n[3], year = n[4];
    } else {
        return false;
    }
    if (month >= 12 || day < 1 || day > 31 || year < 1970 || h > 23 || m > 59 || s > 60)
        return false;
    *out_s = days_of_civil((struct civil){year, month + 1, day}) * DAY_S + h * 3600 + m * 60 + s;
    return true;
}
