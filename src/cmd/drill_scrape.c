/* SPDX-License-Identifier: MIT */
/* Reading /metrics. */
#include "cmd/drill_scrape.h"

#include <string.h>

#include "base/clock.h"
#include "policy/outcome.h"

#define PAGE_MAX ((size_t)8 << 20)
#define HEAD_MAX ((size_t)64 << 10)
#define CALLS SLICE("tidegate_upstream_calls_total{")

/* -- the page -------------------------------------------------------------------------------------------- */

/* The text of a label in `name="text",...`; names here need no escapes. */
static struct slice label(struct slice labels, struct slice name)
{
    while (labels.n > 0) {
        struct slice value, one = slice_cut(labels, ',', &labels);
        struct slice key = slice_cut(one, '=', &value);

        if (slice_eq(key, name) && value.n >= 2)
            return (struct slice){value.p + 1, value.n - 2};
    }
    return SLICE_NONE;
}

static enum outcome outcome_named(struct slice name)
{
    int o = 0;

    while (o < OUTCOME_N && !slice_eq(name, slice_of(outcome_row((enum outcome)o)->label)))
        o++;
    return (enum outcome)o;
}

static void read_sample(const struct drill_scenario *s, struct slice line, struct drill_sight *sights)
{
    struct slice rest, labels = slice_cut(line, '}', &rest);
    struct slice endpoint = label(labels, SLICE("endpoint"));
    enum outcome o = outcome_named(label(labels, SLICE("outcome")));
    uint64_t n;

    if (o == OUTCOME_N || !slice_to_u64(slice_trim(rest), INT64_MAX, &n))
        return;
    for (size_t i = 0; i < drill_providers_n(s); i++) {
        if (!slice_eq(endpoint, slice_of(s->providers[i].name)))
            continue;
        sights[i].failed_n += drill_is_bad(o) ? (int64_t)n : 0;
        sights[i].refused_n += o == OUTCOME_ACCOUNT_BUSY ? (int64_t)n : 0;
    }
}

void drill_scrape_read(const struct drill_scenario *scenario, struct slice page, struct drill_sight *sights)
{
    for (size_t i = 0; i < DRILL_PROVIDERS_MAX; i++)
        sights[i] = (struct drill_sight){.limit = -1};
    while (page.n > 0) {
        struct slice line = slice_cut(page, '\n', &page);

        if (slice_starts(line, CALLS))
            read_sample(scenario, slice_from(line, CALLS.n), sights);
    }
}

/* -- asking for it --------------------------------------------------------------------------------------- */

static enum err on_head(void *ud, const struct http_response *rs)
{
    (void)ud;
    return rs->status == 200 ? ERR_OK : ERR_MALFORMED;
}

static enum err on_body(void *ud, struct slice bytes)
{
    struct drill_scrape *s = ud;

    return buf_add(&s->page, bytes);
}

static void on_end(void *ud, enum err why, enum call_step step)
{
    struct drill_scrape *s = ud;

    (void)step;
    s->call = NULL;
    if (why == ERR_OK) {
        drill_scrape_read(s->scenario, buf_slice(&s->page), s->sights);
        s->scraped = true;
    }
    s->page.n = 0;
}

static const struct call_cb CALL_CB = {on_head, on_body, on_end};

void drill_scrape_init(struct drill_scrape *s, struct loop *l, const struct drill_scenario *scenario,
                       const struct addr *admin)
{
    struct pool_opts o = {.host = "localhost",
                          .port = 80,
                          .at = *admin,
                          .connect_us = CLOCK_SECOND_US,
                          .idle_us = 30 * CLOCK_SECOND_US,
                          .idle_max = 1};

    memset(s, 0, sizeof *s);
    s->scenario = scenario;
    pool_init(&s->pool, l, &o);
    buf_init(&s->page, PAGE_MAX, NULL);
}

void drill_scrape_fini(struct drill_scrape *s)
{
    call_cancel(&s->call);
    pool_fini(&s->pool);
    buf_fini(&s->page);
}

void drill_scrape_look(struct drill_scrape *s, struct drill_sight *sights)
{
    struct call_opts o = {
        .request = {.method = SLICE("GET"), .path = SLICE("/metrics"), .authority = SLICE("localhost")},
        .head_max = HEAD_MAX};

    if (s->call == NULL)
        s->call = call_start(&s->pool, &o, &CALL_CB, s);
    if (s->scraped)
        memcpy(sights, s->sights, sizeof s->sights);
}
