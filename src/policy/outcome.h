/* SPDX-License-Identifier: MIT */
/* How a call ended: one row of outcome.def; everything that reacts to failures reads that row. Pure. */
#ifndef POLICY_OUTCOME_H
#define POLICY_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum outcome {
#define OUTCOME(name, ...) OUTCOME_##name,
#include "policy/outcome.def"
#undef OUTCOME
    OUTCOME_N
};

enum outcome_kind { KIND_OK, KIND_BUSY, KIND_FAULT, KIND_CLIENT, KIND_CREDENTIAL, KIND_GONE };
enum outcome_breaker { BREAKER_SUCCESS, BREAKER_FAILURE, BREAKER_NOTHING };
enum outcome_slots { SLOTS_OK, SLOTS_FULL, SLOTS_NOTHING };
enum outcome_retry { OUTCOME_HERE, OUTCOME_ELSEWHERE, OUTCOME_NEVER };
enum outcome_attempt { ATTEMPT_REAL, ATTEMPT_BRIEF, ATTEMPT_INSTANT, ATTEMPT_NONE };
enum outcome_pace { PACE_TAKEN, PACE_REFUSED, PACE_NOTHING };
enum outcome_cool { COOL_NOT, COOL_ENDPOINT, COOL_ACCOUNT };
enum outcome_park { PARK_NOT, PARK_CREDENTIAL, PARK_ACCOUNT };

struct outcome_row {
    const char *label; /* for metrics and logs */
    enum outcome_kind kind;
    enum outcome_breaker breaker;
    enum outcome_slots slots;
    enum outcome_retry retry;
    enum outcome_attempt attempt;
    enum outcome_pace pace;
    enum outcome_cool cool;
    enum outcome_park park;
    bool cacheable, billed;
    enum err err; /* what the client gets when this is final */
};

const struct outcome_row *outcome_row(enum outcome o);

/* How a call ended, for all that learns from it. */
struct call_report {
    enum outcome outcome;
    int64_t retry_after_us;               /* below 0: nothing was said */
    int64_t prompt_tokens, answer_tokens; /* as the endpoint counted; both 0: it did not say */
};

/* Where a call was when it failed. */
enum call_phase {
    PHASE_CONNECT, /* name, TCP, TLS */
    PHASE_SEND,    /* request not yet sent whole, or no byte of an answer yet */
    PHASE_HEAD,    /* some bytes of the answer's head, or the head, but no payload */
    PHASE_BODY     /* after the first payload event */
};

/* The outcome of a call that ended without an HTTP answer, by internal error (ERR_EOF, ERR_RESET,
 * ERR_REFUSED, ERR_DNS, ERR_TLS, ERR_TIMEOUT, ERR_MALFORMED, ERR_TOO_LARGE, ERR_CANCELLED, ERR_UPSTREAM_*)
 * and phase. */
enum outcome outcome_of_error(enum err e, enum call_phase phase);

/* The outcome of an HTTP status other than 2xx. client_key: the credential was the client's (key: client). */
enum outcome outcome_of_status(int status, bool client_key);

/* What the endpoint said besides, in words that stand for more than its status. */
enum outcome_sign { SIGN_NONE, SIGN_LOADING, SIGN_BUSY, SIGN_QUOTA, SIGN_CREDENTIAL };
/* The same with such words; status 0: only the words are known. */
enum outcome outcome_of_refusal(int status, enum outcome_sign sign, bool client_key);

#endif
