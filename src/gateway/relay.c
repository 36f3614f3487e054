/* SPDX-License-Identifier: MIT */
/* Relaying one streamed answer, event by event.
 *
 * What leaves: an event that is one data line ended by two LF leaves as it came, byte for byte; anything else
 * (comments inside an event, several data lines, CR) leaves as plain data lines, because SDKs know nothing
 * else. Event names leave where the surface has them, in the one form "event: NAME". The CRLF of an empty
 * line may arrive in two pieces: what has left by then must not be an end that SDKs wait on. Comments and
 * blank lines never leave: the gateway sends its own.
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

static const char LEAD[] = "data: ", NAME[] = "event: ", BLANK[] = "\n\n";

/* The line with the event's name, which goes before its data; empty where clients do not read it. */
static size_t name_bytes(const struct relay *r, const struct sse_event *ev)
{
    return r->opts.answer.surface->names_events && ev->event.n > 0 ? sizeof NAME - 1 + ev->event.n + 1 : 0;
}

static char *put(char *at, const void *bytes, size_t n)
{
    if (n > 0)
        memcpy(at, bytes, n);
    return at + n;
}

/* Whether an event can leave as it came: a CR among its line ends is a byte more, or stands at the end. */
static bool is_canonical(const struct sse_event *ev, size_t name_n)
{
    size_t lead_n = name_n + sizeof LEAD - 1;

    if (ev->raw.n != lead_n + ev->data.n + sizeof BLANK - 1 || ev->raw.p[ev->raw.n - 1] != '\n')
        return false;
    if (name_n == 0)
        return ev->plain;
    return ev->data.p == ev->raw.p + lead_n && memcmp(ev->raw.p, NAME, sizeof NAME - 1) == 0 &&
           memcmp(ev->raw.p + name_n - 1, "\n", 1) == 0 &&
           memcmp(ev->raw.p + name_n, LEAD, sizeof LEAD - 1) == 0;
}

/* The bytes of an event as the client gets them: valid until the end of the turn. */
static struct slice render(struct relay *r, const struct sse_event *ev, struct slice data)
{
    size_t lines = 1, name_n = name_bytes(r, ev), n;
    char *out, *at;

    if (data.p == ev->data.p && data.n == ev->data.n && is_canonical(ev, name_n))
        return as_it_came(r, ev->raw);
    for (const char *lf = data.p, *end = data.p + data.n; (lf = memchr(lf, '\n', (size_t)(end - lf))) != NULL;
         lf++)
        lines++;
    n = name_n + data.n + lines * (sizeof LEAD - 1) + sizeof BLANK - 1;
    out = at = arena_bytes(r->opts.scratch, n);
    if (name_n > 0) {
        at = put(at, NAME, sizeof NAME - 1);
        at = put(at, ev->event.p, ev->event.n);
        *at++ = '\n';
    }
    for (struct slice rest = data; rest.p != NULL;) {
        struct slice line = slice_cut(rest, '\n', &rest);

        at = put(at, LEAD, sizeof LEAD - 1);
        at = put(at, line.p, line.n);
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

/* What an event says besides its text. */
static void note(struct relay *r, const struct event *e)
{
    r->payload = true;
    if (e->finished)
        r->finished = true;
    if (e->has_usage)
        usage_update(&r->usage, &e->usage);
}

static bool says_something(const struct event *e)
{
    return e->has_text || (e->finished && !e->plain_stop);
}

static enum err on_payload(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    struct slice data = ev->data;

    r->events_n++;
    note(r, e);
    if (e->usage_member && !r->opts.include_usage)
        data = answer_strip_usage(data, e->usage_behind, r->opts.scratch);
    /* An ordinary end without any text is decided at the end mark: it may be an empty answer. */
    return pass_on(r, render(r, ev, data), says_something(e));
}

static enum err on_usage(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    note(r, e);
    return r->opts.include_usage ? pass_on(r, render(r, ev, ev->data), false) : ERR_OK;
}

/* [DONE] is written with and without blanks around it; SDKs know one form. */
static struct slice end_mark(struct relay *r, const struct sse_event *ev)
{
    return r->opts.answer.surface->names_events ? render(r, ev, ev->data) : SLICE("data: [DONE]\n\n");
}

static enum err on_end_mark(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    bool something = r->payload;
    enum err err;

    if (e->finished) /* an end mark that carries the answer */
        note(r, e);
    if (!r->finished)
        return fail(r, something ? OUTCOME_TRUNCATED : OUTCOME_EMPTY);
    if (!r->begun && !says_something(e) && !r->opts.answer.surface->may_be_empty)
        return fail(r, OUTCOME_EMPTY);
    err = pass_on(r, end_mark(r, ev), true);
    if (err != ERR_OK)
        return err;
    r->done = true;
    r->sink->on_done(r->ud);
    return ERR_OK;
}

/* The endpoint's pings show the client a living stream, but are no part of an answer: they are no progress
 * and are not kept. */
static enum err on_waiting(struct relay *r, const struct sse_event *ev)
{
    return r->begun ? pass_on(r, render(r, ev, ev->data), false) : ERR_OK;
}

static enum err on_error(struct relay *r, const struct event *e)
{
    if (e->has_usage)
        usage_update(&r->usage, &e->usage);
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
    answer_event(&r->opts.answer, ev->data, r->opts.json, &e);
    switch (e.kind) {
    case EVENT_PAYLOAD:
        return on_payload(r, ev, &e);
    case EVENT_USAGE:
        return on_usage(r, ev, &e);
    case EVENT_DONE:
        return on_end_mark(r, ev, &e);
    case EVENT_WAITING:
        return on_waiting(r, ev);
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
