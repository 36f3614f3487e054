/* SPDX-License-Identifier: MIT */
/* Prices per million tokens, with windows by time of day. */
#include "config/prices.h"

#include <stdio.h>

#include "base/assert.h"
#include "config/fields.h"
#include "config/nearest.h"
#include "config/value.h"

#define PRICE_MAX (INT64_C(1000000) * 1000000) /* a million of whatever unit, in millionths */
#define WINDOWS_MAX 32
#define DAYS_N 7
#define EVERY_DAY ((1u << DAYS_N) - 1)
#define DAY_MIN (24 * 60)

static const char *const DAYS[DAYS_N] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static void read_rate(struct draft *d, const struct node *n, int64_t *into)
{
    value_decimal(d->notes, n, (struct value_bounds){0, PRICE_MAX}, into);
}

/* -- windows --------------------------------------------------------------------------------------------- */

static void read_window_input(struct draft *d, const struct node *n, void *into)
{
    read_rate(d, n, &((struct config_price_window *)into)->rate.input);
}

static void read_window_output(struct draft *d, const struct node *n, void *into)
{
    read_rate(d, n, &((struct config_price_window *)into)->rate.output);
}

/* "16:30"; "24:00" is the end of the day. */
static void read_time(struct draft *d, const struct node *n, int *into)
{
    char shown[NODE_SHOW_BYTES];
    struct slice text, minutes;
    uint64_t h, m;

    if (!value_text(d->notes, n, 64, &text))
        return;
    if (text.n == 5 && slice_to_u64(slice_cut(text, ':', &minutes), 24, &h) && minutes.n == 2 &&
        slice_to_u64(minutes, 59, &m) && h * 60 + m <= DAY_MIN) {
        *into = (int)(h * 60 + m);
        return;
    }
    notes_error(d->notes, n->at, "%.*s: %s is no time of day; write \"16:30\" (UTC)", SLICE_ARG(n->label),
                node_show(n, shown));
}

static void read_from(struct draft *d, const struct node *n, void *into)
{
    read_time(d, n, &((struct config_price_window *)into)->from_min);
}

static void read_to(struct draft *d, const struct node *n, void *into)
{
    read_time(d, n, &((struct config_price_window *)into)->to_min);
}

static void read_day(struct draft *d, const struct node *n, unsigned *days)
{
    char shown[NODE_SHOW_BYTES], unknown[NODE_SHOW_BYTES + 32];
    struct nearest near;
    struct slice text;

    if (!value_text(d->notes, n, 64, &text))
        return;
    nearest_init(&near, text);
    for (int i = 0; i < DAYS_N; i++) {
        if (slice_eq(text, slice_of(DAYS[i]))) {
            *days |= 1u << i;
            return;
        }
        nearest_try(&near, slice_of(DAYS[i]));
    }
    snprintf(unknown, sizeof(unknown), "unknown day \"%s\"", node_show(n, shown));
    nearest_complain(&near, d->notes, n->at, unknown);
}

static void read_days(struct draft *d, const struct node *n, void *into)
{
    struct config_price_window *w = into;

    if (!fields_list(d, n, DAYS_N, "of days: [mon, tue]"))
        return;
    w->days = 0;
    for (const struct node *child = n->first; child; child = child->next)
        read_day(d, child, &w->days);
    if (n->n == 0)
        notes_error(d->notes, n->at, "days is empty; leave it out for every day");
}

static const struct field window_fields[] = {
    {"days", read_days, NULL, false},
    {"from", read_from, NULL, true},
    {"to", read_to, NULL, true},
    {"input", read_window_input, NULL, true},
    {"output", read_window_output, NULL, true},
};

static void read_windows(struct draft *d, const struct node *n, void *into)
{
    struct config_price *p = into;
    struct config_price_window *windows;
    size_t i = 0;

    if (!fields_list(d, n, WINDOWS_MAX, "of {from, to, input, output}"))
        return;
    windows = arena_zalloc(d->arena, (n->n + 1) * sizeof(*windows));
    p->windows = windows;
    p->windows_n = n->n;
    for (const struct node *child = n->first; child; child = child->next, i++) {
        int errors_n = d->notes->errors_n;

        windows[i].days = EVERY_DAY;
        if (fields_read(d, child, "a window", window_fields, COUNT_OF(window_fields), &windows[i]) &&
            d->notes->errors_n == errors_n && windows[i].from_min == windows[i].to_min)
            notes_error(d->notes, child->at, "this window ends when it begins");
    }
}

/* -- a price --------------------------------------------------------------------------------------------- */

static void read_input(struct draft *d, const struct node *n, void *into)
{
    read_rate(d, n, &((struct config_price *)into)->rate.input);
}

static void read_output(struct draft *d, const struct node *n, void *into)
{
    read_rate(d, n, &((struct config_price *)into)->rate.output);
}

static const struct field fields[] = {
    {"input", read_input, NULL, true},
    {"output", read_output, NULL, true},
    {"windows", read_windows, NULL, false},
};

void prices_read(struct draft *d, const struct node *n, const struct config_price **out)
{
    struct config_price *p = ARENA_NEW(d->arena, struct config_price);

    fields_read(d, n, "a price", fields, COUNT_OF(fields), p);
    *out = p;
}

/* -- words ----------------------------------------------------------------------------------------------- */

#define SAY(out, ...) ((void)buf_printf((out), __VA_ARGS__))

static void say_rate(const struct config_rate *r, struct buf *out)
{
    char in[32], answer[32];

    SAY(out, "%s in, %s out", value_print_decimal(r->input, in), value_print_decimal(r->output, answer));
}

static void say_days(unsigned days, struct buf *out)
{
    const char *comma = "";

    for (int i = 0; days != EVERY_DAY && i < DAYS_N; i++) {
        if (days >> i & 1) {
            SAY(out, "%s%s", comma, DAYS[i]);
            comma = ",";
        }
    }
    if (days != EVERY_DAY)
        SAY(out, " ");
}

void prices_describe(const struct config_price *p, struct buf *out)
{
    say_rate(&p->rate, out);
    for (size_t i = 0; i < p->windows_n; i++) {
        const struct config_price_window *w = &p->windows[i];

        SAY(out, "; ");
        say_days(w->days, out);
        SAY(out, "%02d:%02d-%02d:%02d ", w->from_min / 60, w->from_min % 60, w->to_min / 60, w->to_min % 60);
        say_rate(&w->rate, out);
    }
}
