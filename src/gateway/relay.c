/* SPDX-License-Identifier: MIT */
/* Relaying one streamed answer, event by event.
 *
 * What leaves: an event that is one data line ended by two LF leaves as it came, byte for byte; anything else
 * (comments inside an event, several data lines, event names, CR) leaves as plain data lines, because SDKs
 * know nothing else. The CRLF of an empty line may arrive in two pieces: what has left by then must not be an
 * end that SDKs wait on. Comments and blank lines never leave: the gateway sends its own.
 *
 * When it begins: with the first event that has text, a tool call or an end that needs none. What comes
 * before (the role, an empty delta) waits in `prefix`, so that an endpoint which then fails or says nothing
 * can still be replaced. */
#include "gateway/relay.h"

#include <string.h>

#include "base/assert.h"

#define PREFIX_MAX (64 * 1024) /* past this an answer has begun, whatever it says */

void relay_init(struct relay *r, const struct relay_opts *opts, const struct relay_sink *sink, void *ud)
{
    memset(r, 0, sizeof *r);
    r->opts = *opts;
    r->sink = sink;
    r->ud = ud;
    r->failure = OUTCOME_OK;
    sse_init(&r->sse, opts->event_max, opts->budget);
    buf_init(&r->prefix, PREFIX_MAX + opts->event_max, opts->budget);
}

void relay_fini(struct relay *r)
{
    sse_fini(&r->sse);
    buf_fini(&r->prefix);
}

uint64_t relay_keepalive_bytes(const struct relay *r)
{
    return r->sse.comment_bytes;
}

static enum err fail(struct relay *r, enum outcome o)
{
    r->failure = o;
    return ERR_CANCELLED;
}

static struct slice keep(struct relay *r, struct slice bytes)
{
    char *copy = arena_bytes(r->opts.scratch, bytes.n);

    memcpy(copy, bytes.p, bytes.n);
    return (struct slice){copy, bytes.n};
}

/* An event that came in several reads was put together in memory of the parser, which is used again before
 * the client's connection has sent it. */
static struct slice as_it_came(struct relay *r, struct slice raw)
{
    uintptr_t at = (uintptr_t)raw.p, from = (uintptr_t)r->fed.p;

    return at >= from && at - from < r->fed.n ? raw : keep(r, raw);
}

static const char LEAD[] = "data: ", BLANK[] = "\n\n";

/* Whether an event can leave as it came: a CR among its line ends is a byte more, or stands at the end. */
static bool is_canonical(const struct sse_event *ev)
{
    return ev->plain && ev->raw.n == sizeof LEAD - 1 + ev->data.n + sizeof BLANK - 1 &&
           ev->raw.p[ev->raw.n - 1] == '\n';
}

/* The bytes of an event as the client gets them: valid until the end of the turn. */
static struct slice render(struct relay *r, const struct sse_event *ev, struct slice data)
{
    size_t lines = 1, n;
    char *out, *at;

    if (data.p == ev->data.p && data.n == ev->data.n && is_canonical(ev))
        return as_it_came(r, ev->raw);
    for (size_t i = 0; i < data.n; i++)
        lines += data.p[i] == '\n';
    n = data.n + lines * (sizeof LEAD - 1) + sizeof BLANK - 1;
    out = at = arena_bytes(r->opts.scratch, n);
    for (struct slice rest = data; rest.p != NULL;) {
        struct slice line = slice_cut(rest, '\n', &rest);

        memcpy(at, LEAD, sizeof LEAD - 1);
        at += sizeof LEAD - 1;
        if (line.n > 0)
            memcpy(at, line.p, line.n);
        at += line.n;
        *at++ = '\n';
    }
    *at++ = '\n';
    ASSERT((size_t)(at - out) <= n);
    return (struct slice){out, (size_t)(at - out)};
}

/* Lets go what was held back, so that order is kept. */
static void begin(struct relay *r)
{
    struct slice held = buf_slice(&r->prefix);

    if (r->begun)
        return;
    r->begun = true;
    r->sink->on_first(r->ud);
    if (held.n > 0)
        r->sink->on_event(r->ud, keep(r, held));
    buf_fini(&r->prefix);
}

static enum err pass_on(struct relay *r, struct slice event, bool says_something)
{
    enum err e;

    if (says_something || r->prefix.n > PREFIX_MAX)
        begin(r);
    if (r->begun) {
        r->sink->on_event(r->ud, event);
        return ERR_OK;
    }
    e = buf_add(&r->prefix, event);
    return e == ERR_OK ? ERR_OK : fail(r, outcome_of_error(e, PHASE_HEAD));
}

static enum err on_payload(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    struct slice data = ev->data;

    r->payload = true;
    r->events_n++;
    if (e->finished)
        r->finished = true;
    if (e->has_usage)
        r->usage = e->usage;
    if (e->usage_member && !r->opts.include_usage)
        data = answer_strip_usage(data, r->opts.scratch);
    /* An ordinary end without any text is decided at the end mark: it may be an empty answer. */
    return pass_on(r, render(r, ev, data), e->has_text || (e->finished && !e->plain_stop));
}

static enum err on_usage(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    r->usage = e->usage;
    r->payload = true;
    return r->opts.include_usage ? pass_on(r, render(r, ev, ev->data), false) : ERR_OK;
}

/* Servers write it with and without blanks around it; SDKs know one form. */
static enum err on_end_mark(struct relay *r)
{
    enum err e;

    if (!r->finished)
        return fail(r, r->payload ? OUTCOME_TRUNCATED : OUTCOME_EMPTY);
    if (!r->begun)
        return fail(r, OUTCOME_EMPTY);
    e = pass_on(r, SLICE("data: [DONE]\n\n"), true);
    if (e != ERR_OK)
        return e;
    r->done = true;
    r->sink->on_done(r->ud);
    return ERR_OK;
}

static enum err on_error(struct relay *r, const struct event *e)
{
    r->failure_status = e->error_status;
    r->refusal = e->refusal;
    memcpy(r->detail, e->error_text, sizeof r->detail);
    return fail(r, e->error_status != 0 ? outcome_of_status(e->error_status, false) : OUTCOME_SERVER_ERROR);
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    struct relay *r = ud;
    struct event e;

    if (r->done || ev->data.p == NULL)
        return ERR_OK;
    answer_event(r->opts.dialect, ev->data, r->opts.json, &e);
    switch (e.kind) {
    case EVENT_PAYLOAD:
        return on_payload(r, ev, &e);
    case EVENT_USAGE:
        return on_usage(r, ev, &e);
    case EVENT_DONE:
        return on_end_mark(r);
    case EVENT_ERROR:
        return on_error(r, &e);
    case EVENT_BUSY:
        return fail(r, OUTCOME_SERVER_BUSY);
    case EVENT_MALFORMED:
        break;
    }
    return fail(r, OUTCOME_MALFORMED);
}

enum outcome relay_feed(struct relay *r, struct slice bytes, bool *payload_seen)
{
    uint64_t before = r->events_n;
    enum err e;

    if (r->failure != OUTCOME_OK || r->done)
        return r->failure;
    r->fed = bytes;
    e = sse_feed(&r->sse, bytes, on_event, r);
    r->fed = SLICE_NONE;
    if (payload_seen != NULL)
        *payload_seen = r->events_n > before;
    if (e != ERR_OK && r->failure == OUTCOME_OK)
        r->failure = outcome_of_error(e, r->begun ? PHASE_BODY : PHASE_HEAD);
    return r->failure;
}

enum outcome relay_end(struct relay *r)
{
    if (r->failure == OUTCOME_OK && !r->done)
        r->failure = r->payload || sse_unfinished(&r->sse) > 0 ? OUTCOME_TRUNCATED : OUTCOME_EMPTY;
    return r->failure;
}
