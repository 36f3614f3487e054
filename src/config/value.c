/* SPDX-License-Identifier: MIT */
/* Parses and prints the scalar values of a configuration: durations, sizes, counts, names. */
#include "config/value.h"

#include <stdio.h>

#include "base/assert.h"

#define SHOWN_MAX_BYTES 15
#define MILLION 1000000

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: a compound such as 2m30s must go down this list. */
static const struct unit durations[] = {
    {"h", INT64_C(3600000000)}, {"m", 60000000}, {"s", 1000000}, {"ms", 1000}, {"us", 1},
};
static const struct unit sizes[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", 1024},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
};

/* What stands where a number, a time, a size or a yes belongs. Nothing that was meant as one of them is long;
 * what is long may be a secret in the wrong place. The name of a variable is shown, a default beside it is
 * not. */
static const char *show(const struct node *n, char out[NODE_SHOW_BYTES])
{
    bool named = n->env && slice_find(n->raw, SLICE(":-")) < 0;

    if (n->raw.n <= SHOWN_MAX_BYTES || named)
        return node_show(n, out);
    return node_show_text(SLICE("this"), out);
}

bool value_is(struct notes *notes, const struct node *n, enum node_kind kind, const char *example)
{
    static const char *const names[] = {"a text", "a list", "a mapping"};

    if (n->bad)
        return false;
    if (n->kind == kind && !(kind == NODE_TEXT && node_is_empty(n)))
        return true;
    notes_error(notes, n->at, "%.*s must be %s%s%s%s, this is %s", SLICE_ARG(n->label), names[kind],
                *example ? " (" : "", example, *example ? ")" : "", node_kind_name(n));
    return false;
}

bool value_text(struct notes *notes, const struct node *n, size_t max, struct slice *out)
{
    if (!value_is(notes, n, NODE_TEXT, ""))
        return false;
    if (n->text.n == 0 || n->text.n > max) {
        notes_error(notes, n->at, "%.*s must have 1 to %zu bytes, this has %zu", SLICE_ARG(n->label), max,
                    n->text.n);
        return false;
    }
    for (size_t i = 0; i < n->text.n; i++) {
        unsigned char c = (unsigned char)n->text.p[i];

        if (c < 0x20 || c == 0x7f) {
            notes_error(notes, n->at, "%.*s holds a control character", SLICE_ARG(n->label));
            return false;
        }
    }
    *out = n->text;
    return true;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

bool value_name(struct notes *notes, const struct node *n, struct slice *out)
{
    if (!value_text(notes, n, 64, out))
        return false;
    for (size_t i = 0; i < out->n; i++) {
        if (is_name_byte(out->p[i]))
            continue;
        notes_error(notes, n->at, "%.*s may have letters, digits, '.', '_' and '-' only",
                    SLICE_ARG(n->label));
        return false;
    }
    return true;
}

bool value_model(struct notes *notes, const struct node *n, struct slice *out)
{
    if (!value_text(notes, n, 256, out))
        return false;
    if (slice_find(*out, SLICE(" ")) < 0)
        return true;
    notes_error(notes, n->at, "%.*s: a model's name has no blanks", SLICE_ARG(n->label));
    return false;
}

static size_t digits_at(struct slice s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

/* The row of `units` that `s` begins with, the longest name first where one begins another (m, ms), or -1. */
static int unit_at(const struct unit *units, size_t units_n, struct slice s, size_t *len)
{
    int found = -1;

    *len = 0;
    for (size_t i = 0; i < units_n; i++) {
        struct slice name = slice_of(units[i].name);

        if (name.n > *len && slice_starts(s, name)) {
            found = (int)i;
            *len = name.n;
        }
    }
    return found;
}

/* whole.fraction * factor, or false past INT64_MAX or when the fraction is no whole number of the smallest
 * unit. */
static bool scale(struct slice whole, struct slice fraction, int64_t factor, int64_t *out)
{
    uint64_t n;
    int64_t part = factor, sum;

    if (!slice_to_u64(whole, INT64_MAX, &n) || __builtin_mul_overflow((int64_t)n, factor, &sum))
        return false;
    for (size_t i = 0; i < fraction.n; i++) {
        if (part % 10 != 0 && fraction.p[i] != '0')
            return false;
        part /= 10;
        if (__builtin_add_overflow(sum, (fraction.p[i] - '0') * part, &sum))
            return false;
    }
    *out = sum;
    return true;
}

enum amount { AMOUNT_OK, AMOUNT_NO_UNIT, AMOUNT_WRONG };

/* Numbers with units that go down the list; a size is one of them, a duration may be several. */
static enum amount read_amount(struct slice s, const struct unit *units, size_t units_n, int64_t *out)
{
    int last = -1;
    int64_t sum = 0;

    do {
        struct slice whole = {s.p, digits_at(s)}, fraction = SLICE_NONE;
        size_t len;
        int64_t part;
        int row;

        s = slice_from(s, whole.n);
        if (whole.n > 0 && s.n > 0 && s.p[0] == '.') {
            fraction = (struct slice){s.p + 1, digits_at(slice_from(s, 1))};
            if (fraction.n == 0)
                return AMOUNT_WRONG;
            s = slice_from(s, fraction.n + 1);
        }
        row = unit_at(units, units_n, s, &len);
        if (whole.n > 0 && s.n == 0)
            return AMOUNT_NO_UNIT;
        if (whole.n == 0 || row <= last || !scale(whole, fraction, units[row].factor, &part))
            return AMOUNT_WRONG;
        if (__builtin_add_overflow(sum, part, &sum))
            return AMOUNT_WRONG;
        last = row;
        s = slice_from(s, len);
    } while (s.n > 0);
    *out = sum;
    return AMOUNT_OK;
}

bool value_duration(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out)
{
    char shown[NODE_SHOW_BYTES], low[32], high[32];
    enum amount a;

    if (!value_is(notes, n, NODE_TEXT, "5s"))
        return false;
    show(n, shown);
    a = read_amount(n->text, durations, COUNT_OF(durations), out);
    if (a == AMOUNT_NO_UNIT) {
        notes_error(notes, n->at, "%.*s: %s has no unit; write %ss for seconds or %sms for milliseconds",
                    SLICE_ARG(n->label), shown, shown, shown);
        return false;
    }
    if (a == AMOUNT_WRONG) {
        notes_error(notes, n->at, "%.*s: %s is not a duration; write 5s, 200ms, 1m, 1h or 2m30s",
                    SLICE_ARG(n->label), shown);
        return false;
    }
    if (*out < bounds.min || *out > bounds.max) {
        notes_error(notes, n->at, "%.*s is %s, it must be from %s to %s", SLICE_ARG(n->label), shown,
                    value_print_duration(bounds.min, low), value_print_duration(bounds.max, high));
        return false;
    }
    return true;
}

bool value_size(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out)
{
    char shown[NODE_SHOW_BYTES], low[32], high[32];
    enum amount a;

    if (!value_is(notes, n, NODE_TEXT, "48MiB"))
        return false;
    show(n, shown);
    a = read_amount(n->text, sizes, COUNT_OF(sizes), out);
    if (a == AMOUNT_NO_UNIT) {
        notes_error(notes, n->at, "%.*s: %s has no unit; write %sB for bytes, %sKiB or %sMiB",
                    SLICE_ARG(n->label), shown, shown, shown, shown);
        return false;
    }
    if (a == AMOUNT_WRONG) {
        notes_error(notes, n->at, "%.*s: %s is not a size; write 100B, 64KiB, 48MiB, 1GiB, 10kB or 10MB",
                    SLICE_ARG(n->label), shown);
        return false;
    }
    if (*out < bounds.min || *out > bounds.max) {
        notes_error(notes, n->at, "%.*s is %s, it must be from %s to %s", SLICE_ARG(n->label), shown,
                    value_print_size(bounds.min, low), value_print_size(bounds.max, high));
        return false;
    }
    return true;
}

bool value_count(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out)
{
    char shown[NODE_SHOW_BYTES];
    uint64_t u;

    if (!value_is(notes, n, NODE_TEXT, "a whole number"))
        return false;
    show(n, shown);
    if (n->text.n == 0 || digits_at(n->text) != n->text.n) {
        notes_error(notes, n->at, "%.*s: %s is not a whole number", SLICE_ARG(n->label), shown);
        return false;
    }
    if (!slice_to_u64(n->text, (uint64_t)bounds.max, &u) || (int64_t)u < bounds.min) {
        notes_error(notes, n->at, "%.*s is %s, it must be from %lld to %lld", SLICE_ARG(n->label), shown,
                    (long long)bounds.min, (long long)bounds.max);
        return false;
    }
    *out = (int64_t)u;
    return true;
}

bool value_decimal(struct notes *notes, const struct node *n, struct value_bounds bounds, int64_t *out)
{
    char shown[NODE_SHOW_BYTES], low[32], high[32];
    struct slice whole, fraction;
    bool point;

    if (!value_is(notes, n, NODE_TEXT, "a number"))
        return false;
    show(n, shown);
    point = slice_find(n->text, SLICE(".")) >= 0;
    whole = slice_cut(n->text, '.', &fraction);
    if (whole.n == 0 || digits_at(whole) != whole.n || digits_at(fraction) != fraction.n ||
        point != (fraction.n > 0) || !scale(whole, fraction, MILLION, out)) {
        notes_error(notes, n->at, "%.*s: %s is not a number of at most six decimals, as 0.28",
                    SLICE_ARG(n->label), shown);
        return false;
    }
    if (*out < bounds.min || *out > bounds.max) {
        notes_error(notes, n->at, "%.*s is %s, it must be from %s to %s", SLICE_ARG(n->label), shown,
                    value_print_decimal(bounds.min, low), value_print_decimal(bounds.max, high));
        return false;
    }
    return true;
}

bool value_bool(struct notes *notes, const struct node *n, int64_t *out)
{
    char shown[NODE_SHOW_BYTES];

    if (!value_is(notes, n, NODE_TEXT, "true or false"))
        return false;
    *out = slice_eq(n->text, SLICE("true"));
    if (*out || slice_eq(n->text, SLICE("false")))
        return true;
    notes_error(notes, n->at, "%.*s: %s is neither true nor false", SLICE_ARG(n->label), show(n, shown));
    return false;
}

const char *value_print_duration(int64_t us, char out[32])
{
    size_t at = 0;

    out[0] = 0;
    for (size_t i = 0; i < COUNT_OF(durations) && at < 32; i++) {
        int64_t n = us / durations[i].factor;

        us %= durations[i].factor;
        if (n > 0)
            at += (size_t)snprintf(out + at, 32 - at, "%lld%s", (long long)n, durations[i].name);
    }
    if (at == 0)
        snprintf(out, 32, "0s");
    return out;
}

const char *value_print_size(int64_t bytes, char out[32])
{
    size_t i = 0;

    /* Binary units only, down to the first that divides it. */
    while (i < 4 && (bytes == 0 || bytes % sizes[i].factor != 0))
        i++;
    if (i == 4)
        i = COUNT_OF(sizes) - 1;
    snprintf(out, 32, "%lld%s", (long long)(bytes / sizes[i].factor), sizes[i].name);
    return out;
}

const char *value_print_decimal(int64_t millionths, char out[32])
{
    size_t n = (size_t)snprintf(out, 32, "%lld.%06lld", (long long)(millionths / MILLION),
                                (long long)(millionths % MILLION));

    while (out[n - 1] == '0')
        n--;
    if (out[n - 1] == '.')
        n--;
    out[n] = '\0';
    return out;
}
