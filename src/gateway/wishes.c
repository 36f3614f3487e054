/* SPDX-License-Identifier: MIT */
/* Reading priority, deadline and patience. What is not understood is refused, except the patience: that
 * header is the SDK's, and not meant for us. */
#include "gateway/wishes.h"

#include <stdlib.h>

#define DEADLINE_MAX_MS UINT64_C(86400000)

static struct slice header(const struct http_request *rq, const char *name)
{
    return http_header(rq->headers, rq->headers_n, name);
}

/* The class of the request: the key's, or a lower one that the client asks for. False: it names none. */
static bool read_priority(struct slice asked, const struct config_key *key, enum priority *out)
{
    enum priority best = key != NULL ? key->priority : PRIORITY_NORMAL, p = best;

    if (asked.n > 0 && !config_priority_parse(asked, &p))
        return false;
    *out = p > best ? p : best;
    return true;
}

static bool read_deadline(struct slice asked, int64_t *out_ms)
{
    uint64_t ms = 0;

    if (asked.n > 0 && (!slice_to_u64(asked, DEADLINE_MAX_MS, &ms) || ms == 0))
        return false;
    *out_ms = (int64_t)ms;
    return true;
}

static bool read_why(struct slice asked, bool *out)
{
    *out = slice_eq(asked, SLICE("1")) || slice_ieq(asked, SLICE("true"));
    return *out || asked.n == 0 || slice_eq(asked, SLICE("0")) || slice_ieq(asked, SLICE("false"));
}

/* Anything but a number is somebody else's header. */
static int read_number(struct slice v)
{
    uint64_t n = 0;

    return slice_to_u64(v, 1000, &n) ? (int)n : 0;
}

static double read_seconds(struct slice v)
{
    char text[32] = "";

    if (v.n == 0 || v.n >= sizeof text)
        return 0;
    memcpy(text, v.p, v.n);
    return strtod(text, NULL);
}

/* OpenAI's SDK for Python says how long it waits for bytes; the one for Node, for requests
 * with a limit of their own, in whole seconds how long for the head of an answer. */
static double read_timeout(const struct http_request *rq)
{
    struct slice python = header(rq, "x-stainless-read-timeout");

    return read_seconds(python.n > 0 ? python : header(rq, "x-stainless-timeout"));
}

/* It can only tighten, so it has one value; who writes another one, or two, means something that would not be
 * done. */
static bool read_sensitive(const struct http_request *rq, bool *out)
{
    *out = slice_eq(header(rq, "x-tidegate-sensitive"), SLICE("local-only"));
    return http_header_count(rq->headers, rq->headers_n, "x-tidegate-sensitive") == (*out ? 1 : 0);
}

enum err wishes_read(const struct http_request *rq, const struct config_key *key, struct wishes *out,
                     const char **why, const char **param)
{
    out->hops = read_number(header(rq, "x-tidegate-hops"));
    if (out->hops >= WISHES_HOPS_MAX)
        return ERR_LOOP;
    if (!read_priority(header(rq, "x-tidegate-priority"), key, &out->priority)) {
        *why = "x-tidegate-priority must be critical, high, normal or bulk.";
        *param = "x-tidegate-priority";
        return ERR_BAD_FIELD;
    }
    if (!read_deadline(header(rq, "x-tidegate-deadline-ms"), &out->deadline_ms)) {
        *why = "x-tidegate-deadline-ms must be a whole number of milliseconds from 1 to 86400000.";
        *param = "x-tidegate-deadline-ms";
        return ERR_BAD_FIELD;
    }
    if (!read_sensitive(rq, &out->sensitive)) {
        *why = "x-tidegate-sensitive must be local-only, or left out.";
        *param = "x-tidegate-sensitive";
        return ERR_BAD_FIELD;
    }
    out->retries = (unsigned)read_number(header(rq, "x-stainless-retry-count"));
    if (!read_why(header(rq, "x-tidegate-why"), &out->why)) {
        *why = "x-tidegate-why must be 1 or 0.";
        *param = "x-tidegate-why";
        return ERR_BAD_FIELD;
    }
    out->timeout_s = read_timeout(rq);
    return ERR_OK;
}
