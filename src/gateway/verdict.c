/* SPDX-License-Identifier: MIT */
/* Judging the response of one call.
 *
 * A plain answer is held back until it is whole, because only then is it known to be one: it may break off,
 * be no JSON, say nothing, or carry a finish_reason by which the server gives up, and another endpoint can
 * still answer. DeepSeek sends blank lines while a plain request is queued (conventions 1.6): they are no
 * progress, are not counted against any limit and do not reach the client. */
#include "gateway/verdict.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "llm/refusal.h"

#define ERROR_BODY_MAX (64 * 1024)

static void relay_first(void *ud)
{
    struct verdict *v = ud;

    v->begun = true;
    v->sink->on_begin(v->ud, -1);
}

static void relay_event(void *ud, struct slice event)
{
    struct verdict *v = ud;

    v->sink->on_event(v->ud, event);
}

static void relay_done(void *ud)
{
    struct verdict *v = ud;

    v->done = true;
    v->outcome = OUTCOME_OK;
    v->usage = v->relay.usage;
    v->sink->on_done(v->ud);
}

static void give_away(struct verdict *v, struct judging *j)
{
    v->judging = j;
    v->sink->on_large(v->ud, j);
}

static const struct relay_sink RELAY_SINK = {relay_first, relay_event, relay_done};

void verdict_init(struct verdict *v, const struct verdict_opts *opts, const struct verdict_sink *sink,
                  void *ud)
{
    memset(v, 0, sizeof *v);
    v->opts = *opts;
    v->sink = sink;
    v->ud = ud;
    v->retry_after_us = -1;
    v->outcome = OUTCOME_N;
    buf_init(&v->body, 0, opts->relay.budget);
    relay_init(&v->relay, &opts->relay, &RELAY_SINK, v);
}

void verdict_fini(struct verdict *v)
{
    verdict_forget(v);
    relay_fini(&v->relay);
    buf_fini(&v->body);
}

void verdict_forget(struct verdict *v)
{
    judging_forget(&v->judging);
}

uint64_t verdict_keepalive_bytes(const struct verdict *v)
{
    return v->blank_bytes + relay_keepalive_bytes(&v->relay);
}

static enum err fail(struct verdict *v, enum outcome o)
{
    v->outcome = o;
    return ERR_CANCELLED;
}

/* -- head ------------------------------------------------------------------------------------------------ */

enum err verdict_head(struct verdict *v, const struct http_response *rs)
{
    struct slice type = http_header(rs->headers, rs->headers_n, "content-type");
    struct slice coding = http_header(rs->headers, rs->headers_n, "content-encoding");
    bool events = slice_istarts(slice_trim(type), SLICE("text/event-stream"));
    bool compressed = coding.n > 0 && !slice_ieq(coding, SLICE("identity"));

    v->status = rs->status;
    v->content_length = rs->content_length;
    v->retry_after_us = http_retry_after_us(rs->headers, rs->headers_n, v->opts.wall_us);
    if (rs->status < 200 || rs->status > 299) { /* a refusal counts by its status, readable or not */
        v->mode = VERDICT_ERROR;
        v->body.max = compressed ? 0 : ERROR_BODY_MAX;
    } else if (compressed) {
        v->detail = SLICE("The endpoint compressed its answer although it was asked not to.");
        return fail(v, OUTCOME_MALFORMED);
    } else if (v->opts.stream && events) {
        v->mode = VERDICT_RELAY;
    } else {
        v->mode = VERDICT_PLAIN;
        v->unexpected = v->opts.stream || events;
        v->body.max = v->opts.answer_max;
    }
    return ERR_OK;
}

/* -- body ------------------------------------------------------------------------------------------------ */

static enum outcome unexpected_form(struct verdict *v)
{
    v->detail = SLICE("The endpoint answered in a form that was not asked for.");
    return OUTCOME_MALFORMED;
}

static void begin_plain(struct verdict *v, int64_t length)
{
    v->begun = true;
    v->sink->on_begin(v->ud, length);
}

static bool is_blank(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

/* A part of an answer that is too large to be checked whole: of that one only the brackets are looked at. */
static void pass_on(struct verdict *v, struct slice bytes)
{
    json_nest_feed(&v->nest, bytes);
    v->sink->on_event(v->ud, bytes);
}

/* The answer is larger than what may be held back: what there is goes, and the rest as it comes. */
static enum err overflow(struct verdict *v, struct slice bytes, enum err why)
{
    int64_t length = v->content_length >= 0 && v->blank_bytes == 0 ? v->content_length : -1;
    char *copy;

    if (v->unexpected)
        return fail(v, why == ERR_TOO_LARGE ? unexpected_form(v) : outcome_of_error(why, PHASE_BODY));
    copy = why == ERR_EXHAUSTED ? NULL : arena_try_bytes(v->opts.relay.scratch, v->body.n);
    if (copy == NULL)
        return fail(v, OUTCOME_EXHAUSTED);
    begin_plain(v, length);
    if (v->body.n > 0) {
        memcpy(copy, v->body.p, v->body.n);
        pass_on(v, (struct slice){copy, v->body.n});
        buf_fini(&v->body);
    }
    pass_on(v, bytes);
    return ERR_OK;
}

static struct slice skip_blank(struct verdict *v, struct slice bytes)
{
    size_t i = 0;

    while (i < bytes.n && is_blank(bytes.p[i]))
        i++;
    v->blank_bytes += i;
    return slice_from(bytes, i);
}

static enum err plain_body(struct verdict *v, struct slice bytes, bool *payload_seen)
{
    enum err e;

    if (!v->payload)
        bytes = skip_blank(v, bytes);
    if (bytes.n == 0)
        return ERR_OK;
    v->payload = *payload_seen = true;
    if (v->begun) {
        pass_on(v, bytes);
        return ERR_OK;
    }
    e = buf_add(&v->body, bytes);
    return e == ERR_OK ? ERR_OK : overflow(v, bytes, e);
}

#define SECRET_MIN 6 /* shorter pieces are words */

/* llm/redact.h knows the usual shapes of credentials; ours may have another. `words` are a copy in the arena,
 * perhaps cut in the middle of it. */
static void hide_secret(const struct verdict *v, struct slice words)
{
    struct slice secret = v->opts.secret;

    for (size_t i = 0; i < words.n; i++) {
        size_t n = words.n - i < secret.n ? words.n - i : secret.n;

        if (n >= SECRET_MIN && memcmp(words.p + i, secret.p, n) == 0)
            memset((char *)(uintptr_t)words.p + i, '*', n);
    }
}

_Static_assert((int)SIGN_LOADING == (int)REFUSAL_LOADING && (int)SIGN_BUSY == (int)REFUSAL_BUSY &&
                   (int)SIGN_QUOTA == (int)REFUSAL_QUOTA && (int)SIGN_CREDENTIAL == (int)REFUSAL_CREDENTIAL &&
                   (int)SIGN_CREDENTIAL + 1 == (int)REFUSAL_N,
               "what a dialect reads is the sign of the same number");

/* An error inside a success counts as the status and the words that it names; otherwise it is `o`. */
static enum outcome inside(struct verdict *v, int status, enum refusal refusal, enum outcome o)
{
    if (status != 0)
        v->status = status;
    if (status == 0 && refusal == REFUSAL_PLAIN)
        return o;
    return outcome_of_refusal(status, (enum outcome_sign)refusal, v->opts.client_key);
}

static void give_event(struct verdict *v)
{
    struct judging *j = judging_new(&v->opts.relay, true);

    relay_take(&v->relay, &j->text);
    give_away(v, j);
}

/* o: of what was fed or judged; short_n: of the thread before. */
static enum err relay_result(struct verdict *v, enum outcome o, uint64_t short_n, bool payload_seen)
{
    if (o != OUTCOME_OK && mem_short_n() != short_n) /* it could not be read for want of memory */
        return fail(v, OUTCOME_EXHAUSTED);
    v->payload |= payload_seen;
    if (o == OUTCOME_OK) {
        if (relay_has_large(&v->relay))
            give_event(v);
        return ERR_OK;
    }
    v->detail = arena_dup(v->opts.arena, slice_of(v->relay.detail));
    hide_secret(v, v->detail);
    return fail(v, inside(v, v->relay.failure_status, v->relay.refusal, o));
}

static enum err relay_body(struct verdict *v, struct slice bytes, bool *payload_seen)
{
    uint64_t short_n = mem_short_n();
    enum outcome o = relay_feed(&v->relay, bytes, payload_seen);

    return relay_result(v, o, short_n, *payload_seen);
}

static enum err event_judged(struct verdict *v, struct judging *j, bool *payload_seen)
{
    uint64_t short_n = mem_short_n();
    enum outcome o;

    if (j->err != ERR_OK)
        return fail(v, outcome_of_error(j->err, v->begun ? PHASE_BODY : PHASE_HEAD));
    o = relay_judged(&v->relay, &j->ev, &j->event, j->rendered, payload_seen);
    return relay_result(v, o, short_n, *payload_seen);
}

enum err verdict_body(struct verdict *v, struct slice bytes, bool *payload_seen)
{
    struct slice room;

    *payload_seen = false;
    switch (v->mode) {
    case VERDICT_RELAY:
        return relay_body(v, bytes, payload_seen);
    case VERDICT_PLAIN:
        return plain_body(v, bytes, payload_seen);
    case VERDICT_WAITING:
    case VERDICT_ERROR:
        break;
    }
    room = (struct slice){bytes.p, v->body.max - v->body.n < bytes.n ? v->body.max - v->body.n : bytes.n};
    (void)!buf_add(&v->body, room); /* what does not fit is only part of a message */
    return ERR_OK;
}

/* -- end
 * ---------------------------------------------------------------------------------------------------------
 */

static void read_words(struct verdict *v)
{
    v->detail =
        answer_error_text(buf_slice(&v->body), v->opts.relay.json, v->opts.arena, &v->param, &v->code);
    hide_secret(v, v->detail);
    hide_secret(v, v->param);
    hide_secret(v, v->code);
}

static enum outcome judged_plain(struct verdict *v, const struct answer *a)
{
    if (a->err != ERR_OK)
        return inside(v, a->error_status, a->refusal, outcome_of_error(a->err, PHASE_HEAD));
    if (v->unexpected)
        return unexpected_form(v);
    v->usage = a->usage;
    begin_plain(v, (int64_t)(v->body.n - a->skip));
    v->sink->on_event(v->ud, slice_from(buf_slice(&v->body), a->skip));
    v->sink->on_done(v->ud);
    return OUTCOME_OK;
}

static bool is_large(const struct verdict *v)
{
    size_t *spent = v->opts.relay.parsed_bytes;

    if (spent == NULL || *spent + v->body.n > TURN_PARSED_BYTES)
        return spent != NULL;
    *spent += v->body.n;
    return false;
}

/* The body's bytes come back with the judgement. */
static enum outcome give_answer(struct verdict *v)
{
    struct judging *j = judging_new(&v->opts.relay, false);

    j->text = v->body;
    buf_init(&v->body, j->text.max, j->text.budget);
    give_away(v, j);
    return OUTCOME_N;
}

static struct slice told(struct verdict *v, struct slice words)
{
    struct slice copy = words.p != NULL ? arena_dup(v->opts.arena, words) : SLICE_NONE;

    hide_secret(v, copy);
    return copy;
}

static void answer_judged(struct verdict *v, struct judging *j)
{
    v->body = j->text;
    buf_init(&j->text, 0, NULL);
    v->detail = told(v, j->words);
    v->param = told(v, j->param);
    v->code = told(v, j->code);
    v->outcome = OUTCOME_EXHAUSTED;
    if (j->err == ERR_OK)
        v->outcome = judged_plain(v, &j->verdict);
}

enum err verdict_judged(struct verdict *v, struct judging *j, bool *payload_seen)
{
    ASSERT(v->judging == j);
    v->judging = NULL;
    if (j->is_event)
        return event_judged(v, j, payload_seen);
    answer_judged(v, j);
    return ERR_OK;
}

static enum outcome end_plain(struct verdict *v)
{
    struct answer a;

    if (v->begun && !json_nest_is_whole(&v->nest)) /* a body until close ends like this when it is cut */
        return OUTCOME_TRUNCATED;
    if (v->begun) {
        v->sink->on_done(v->ud);
        return OUTCOME_OK;
    }
    if (is_large(v))
        return give_answer(v);
    answer_body(&v->opts.relay.answer, buf_slice(&v->body), v->opts.relay.json, &a);
    if (a.err == ERR_UPSTREAM_ERROR) /* an error object inside a success */
        read_words(v);
    return judged_plain(v, &a);
}

static enum outcome end_error(struct verdict *v)
{
    enum refusal means =
        refusal_read(v->opts.relay.answer.dialect, v->status, buf_slice(&v->body), v->opts.relay.json);

    read_words(v);
    if (v->status >= 300 && v->status <= 399)
        v->detail =
            SLICE("The endpoint answered with a redirect, which is not followed: its url must be corrected.");
    return outcome_of_refusal(v->status, (enum outcome_sign)means, v->opts.client_key);
}

static enum outcome broken(const struct verdict *v, enum err why, bool connecting, bool answered)
{
    enum call_phase phase = connecting ? PHASE_CONNECT : answered ? PHASE_HEAD : PHASE_SEND;

    if (v->begun || v->payload)
        phase = PHASE_BODY;
    return outcome_of_error(why, phase);
}

enum outcome verdict_end(struct verdict *v, enum err why, bool connecting, bool answered)
{
    if (v->outcome != OUTCOME_N)
        return v->outcome;
    if (v->mode == VERDICT_ERROR) /* a refusal that breaks off is a refusal all the same */
        v->outcome = end_error(v);
    else if (why != ERR_OK)
        v->outcome = broken(v, why, connecting, answered);
    else if (v->mode == VERDICT_RELAY)
        v->outcome = relay_end(&v->relay);
    else
        v->outcome = end_plain(v);
    return v->outcome;
}
