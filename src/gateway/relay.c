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
#include "gateway/render.h"

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
    buf_init(&r->later, opts->event_max + TURN_STREAM_BYTES, opts->budget);
}

void relay_fini(struct relay *r)
{
    sse_fini(&r->sse);
    buf_fini(&r->prefix);
    buf_fini(&r->later);
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

/* SLICE_NONE: there is no memory. */
static struct slice keep(struct relay *r, struct slice bytes)
{
    char *copy = arena_try_bytes(r->opts.scratch, bytes.n);

    if (copy == NULL)
        return SLICE_NONE;
    if (bytes.n > 0)
        memcpy(copy, bytes.p, bytes.n);
    return (struct slice){copy, bytes.n};
}

/* An event that came in several reads was put together in memory of the parser, which is used again before
 * the client's connection has sent it. */
static bool was_fed(const struct relay *r, struct slice raw)
{
    uintptr_t at = (uintptr_t)raw.p, from = (uintptr_t)r->fed.p;

    return at >= from && at - from < r->fed.n;
}

static struct slice as_it_came(struct relay *r, struct slice raw)
{
    return was_fed(r, raw) ? raw : keep(r, raw);
}

/* SLICE_NONE: there is no memory. */
static struct slice render(struct relay *r, const struct sse_event *ev, struct slice data)
{
    struct slice out;

    if (r->rendered.p != NULL) /* by a helper */
        return r->rendered;
    out = render_event(r->opts.answer.surface, ev, data, r->opts.scratch);
    return out.p == ev->raw.p ? as_it_came(r, out) : out;
}

/* Lets go what was held back, so that order is kept. */
static enum err begin(struct relay *r)
{
    struct slice held = SLICE_NONE;

    if (r->begun)
        return ERR_OK;
    if (r->prefix.n > 0 && (held = keep(r, buf_slice(&r->prefix))).p == NULL)
        return fail(r, OUTCOME_EXHAUSTED);
    r->begun = true;
    r->sink->on_first(r->ud);
    if (held.n > 0)
        r->sink->on_event(r->ud, held);
    buf_fini(&r->prefix);
    return ERR_OK;
}

static enum err pass_on(struct relay *r, struct slice event, bool says_something)
{
    enum err e = ERR_OK;

    if (event.p == NULL)
        return fail(r, OUTCOME_EXHAUSTED);
    if (says_something || r->prefix.n > PREFIX_MAX)
        e = begin(r);
    if (e != ERR_OK)
        return e;
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

bool relay_must_strip(const struct relay_opts *o, const struct event *e)
{
    return e->usage_member && !o->include_usage;
}

static enum err on_payload(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    struct slice data = ev->data;

    r->events_n++;
    note(r, e);
    if (relay_must_strip(&r->opts, e) && r->rendered.p == NULL)
        data = answer_strip_usage(data, e->usage_behind, r->opts.scratch);
    if (data.p == NULL)
        return fail(r, OUTCOME_EXHAUSTED);
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

static enum err take(struct relay *r, const struct sse_event *ev, const struct event *e)
{
    switch (e->kind) {
    case EVENT_PAYLOAD:
        return on_payload(r, ev, e);
    case EVENT_USAGE:
        return on_usage(r, ev, e);
    case EVENT_DONE:
        return on_end_mark(r, ev, e);
    case EVENT_WAITING:
        return on_waiting(r, ev);
    case EVENT_ERROR:
        return on_error(r, e);
    case EVENT_BUSY:
        return fail(r, OUTCOME_SERVER_BUSY);
    case EVENT_MALFORMED:
        break;
    }
    return fail(r, OUTCOME_MALFORMED);
}

static enum err on_event(void *ud, const struct sse_event *ev)
{
    struct relay *r = ud;
    struct event e;

    if (r->done || ev->data.p == NULL)
        return ERR_OK;
    answer_event(&r->opts.answer, ev->data, r->opts.json, &e);
    return take(r, ev, &e);
}

static enum outcome result(struct relay *r, enum err e)
{
    if (e != ERR_OK && r->failure == OUTCOME_OK)
        r->failure = outcome_of_error(e, r->begun ? PHASE_BODY : PHASE_HEAD);
    return r->failure;
}

/* The kept part of an event is parsed with the bytes that end it, so it counts for the turn's work; what
 * begins and ends in the bytes of one read is bounded by that. */
static enum err feed(struct relay *r, struct slice bytes)
{
    size_t *spent = r->opts.parsed_bytes, kept_n = r->sse.kept.n;
    enum err e;

    if (kept_n > 0 && spent != NULL)
        r->sse.shown_max = TURN_PARSED_BYTES > *spent ? TURN_PARSED_BYTES - *spent : 0;
    r->fed = bytes;
    e = sse_feed(&r->sse, bytes, on_event, r);
    r->fed = SLICE_NONE;
    if (e != ERR_OK) /* r->sse may be gone */
        return e;
    if (r->sse.whole)
        return buf_add(&r->later, r->sse.rest);
    if (kept_n > 0 && spent != NULL && r->sse.kept.n < kept_n)
        *spent += kept_n;
    return ERR_OK;
}

enum outcome relay_feed(struct relay *r, struct slice bytes, bool *payload_seen)
{
    uint64_t before = r->events_n;
    enum err e;

    if (r->failure != OUTCOME_OK || r->done)
        return r->failure;
    e = relay_waits(r) ? buf_add(&r->later, bytes) : feed(r, bytes);
    if (payload_seen != NULL)
        *payload_seen = r->events_n > before;
    return result(r, e);
}

enum outcome relay_judged(struct relay *r, const struct sse_event *ev, const struct event *e,
                          struct slice rendered, bool *payload_seen)
{
    struct slice later = keep(r, buf_slice(&r->later));
    uint64_t before = r->events_n;
    enum err err = ERR_OK;

    ASSERT(r->away);
    if (later.p == NULL)
        return result(r, fail(r, OUTCOME_EXHAUSTED));
    r->away = false;
    buf_fini(&r->later);
    r->sse.comment_bytes += sse_comment_bytes(ev);
    if (ev->data.p != NULL) {
        r->rendered = rendered;
        err = take(r, ev, e);
        r->rendered = SLICE_NONE;
    }
    if (err == ERR_OK && !r->done && later.n > 0)
        err = feed(r, later);
    *payload_seen = r->events_n > before;
    return result(r, err);
}

void relay_take(struct relay *r, struct buf *out)
{
    sse_take(&r->sse, out);
    r->away = true;
}

enum outcome relay_end(struct relay *r)
{
    if (r->failure == OUTCOME_OK && !r->done)
        r->failure = r->payload || sse_unfinished(&r->sse) > 0 ? OUTCOME_TRUNCATED : OUTCOME_EMPTY;
    return r->failure;
}
