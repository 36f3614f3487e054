/* SPDX-License-Identifier: MIT */
/* policy/outcome: every row says what DESIGN 4.2 asks of it, and every way in leads to the right row. */
#include "policy/outcome.h"

#include "tap.h"

/* A second opinion on the table, in the words of the rules: what the breaker and the retry may do with each
 * row. */
struct expected {
    enum outcome outcome;
    enum outcome_kind kind;
    enum outcome_breaker breaker;
    enum outcome_slots slots;
    enum outcome_retry retry;
    bool cacheable, billed;
    int status; /* for the client when it is final; 0: none of its own */
};

static const struct expected table[] = {
    {OUTCOME_OK, KIND_OK, BREAKER_SUCCESS, SLOTS_OK, OUTCOME_NEVER, true, true, 0},
    {OUTCOME_CLIENT_ERROR, KIND_CLIENT, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, false, 400},
    {OUTCOME_CREDENTIAL, KIND_CREDENTIAL, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_ELSEWHERE, false, false,
     502},
    {OUTCOME_CLIENT_CREDENTIAL, KIND_CLIENT, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, false,
     400},
    {OUTCOME_BALANCE, KIND_CREDENTIAL, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_ELSEWHERE, false, false, 502},
    {OUTCOME_ACCOUNT_BUSY, KIND_BUSY, BREAKER_NOTHING, SLOTS_FULL, OUTCOME_HERE, false, false, 429},
    {OUTCOME_CLIENT_BUSY, KIND_BUSY, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_HERE, false, false, 429},
    {OUTCOME_SERVER_BUSY, KIND_BUSY, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_HERE, false, false, 503},
    {OUTCOME_LOADING, KIND_BUSY, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_HERE, false, false, 503},
    {OUTCOME_SERVER_ERROR, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, false, 502},
    {OUTCOME_REFUSED, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, false, 503},
    {OUTCOME_DNS, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, false, 503},
    {OUTCOME_TLS, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_ELSEWHERE, false, false, 503},
    {OUTCOME_PROXY, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_ELSEWHERE, false, false, 502},
    {OUTCOME_CONNECT_TIMEOUT, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, false, 504},
    {OUTCOME_TRANSPORT_TIMEOUT, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, true, 504},
    {OUTCOME_STALLED, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, true, 504},
    {OUTCOME_RESET, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, false, 502},
    {OUTCOME_TRUNCATED, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, true, 502},
    {OUTCOME_MALFORMED, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, true, 502},
    {OUTCOME_OVERSIZE, KIND_FAULT, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, true, 502},
    {OUTCOME_EMPTY, KIND_FAULT, BREAKER_FAILURE, SLOTS_NOTHING, OUTCOME_HERE, false, true, 502},
    {OUTCOME_DEADLINE, KIND_GONE, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, true, 504},
    {OUTCOME_CANCELLED, KIND_GONE, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, true, 499},
    {OUTCOME_MEMORY, KIND_GONE, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, true, 503},
    {OUTCOME_EXHAUSTED, KIND_GONE, BREAKER_NOTHING, SLOTS_NOTHING, OUTCOME_NEVER, false, true, 503},
};

TEST(every_row_says_what_follows)
{
    CHECK_INT(sizeof(table) / sizeof(table[0]), OUTCOME_N);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct expected *x = &table[i];
        const struct outcome_row *r = outcome_row(x->outcome);
        bool held = CHECK_INT(x->outcome, i);
        held &= CHECK_INT(r->kind, x->kind);
        held &= CHECK_INT(r->breaker, x->breaker);
        held &= CHECK_INT(r->slots, x->slots);
        held &= CHECK_INT(r->retry, x->retry);
        held &= CHECK_INT(r->cacheable, x->cacheable);
        held &= CHECK_INT(r->billed, x->billed);
        if (x->status)
            held &= CHECK_INT(err_row(r->err)->status, x->status);
        if (!held)
            printf("# in row %s\n", r->label);
    }
}

/* What a refusal costs the request, and whom it holds off. */
TEST(every_row_says_what_its_calls_cost_and_who_is_left_alone)
{
    static const struct {
        enum outcome outcome;
        enum outcome_attempt attempt;
        enum outcome_pace pace;
        enum outcome_cool cool;
        enum outcome_park park;
    } ROWS[] = {
        {OUTCOME_OK, ATTEMPT_REAL, PACE_TAKEN, COOL_NOT, PARK_NOT},
        {OUTCOME_CLIENT_ERROR, ATTEMPT_REAL, PACE_TAKEN, COOL_NOT, PARK_NOT},
        {OUTCOME_CREDENTIAL, ATTEMPT_REAL, PACE_NOTHING, COOL_NOT, PARK_CREDENTIAL},
        {OUTCOME_CLIENT_CREDENTIAL, ATTEMPT_REAL, PACE_NOTHING, COOL_NOT, PARK_NOT},
        {OUTCOME_BALANCE, ATTEMPT_REAL, PACE_NOTHING, COOL_NOT, PARK_ACCOUNT},
        {OUTCOME_ACCOUNT_BUSY, ATTEMPT_INSTANT, PACE_REFUSED, COOL_ACCOUNT, PARK_NOT},
        {OUTCOME_CLIENT_BUSY, ATTEMPT_INSTANT, PACE_NOTHING, COOL_NOT, PARK_NOT},
        {OUTCOME_SERVER_BUSY, ATTEMPT_INSTANT, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_LOADING, ATTEMPT_INSTANT, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_SERVER_ERROR, ATTEMPT_BRIEF, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_REFUSED, ATTEMPT_INSTANT, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_DNS, ATTEMPT_INSTANT, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_TLS, ATTEMPT_REAL, PACE_REFUSED, COOL_NOT, PARK_NOT},
        {OUTCOME_PROXY, ATTEMPT_REAL, PACE_REFUSED, COOL_NOT, PARK_NOT},
        {OUTCOME_CONNECT_TIMEOUT, ATTEMPT_INSTANT, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_TRANSPORT_TIMEOUT, ATTEMPT_REAL, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_STALLED, ATTEMPT_REAL, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_RESET, ATTEMPT_BRIEF, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_TRUNCATED, ATTEMPT_REAL, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_MALFORMED, ATTEMPT_REAL, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_OVERSIZE, ATTEMPT_NONE, PACE_NOTHING, COOL_NOT, PARK_NOT},
        {OUTCOME_EMPTY, ATTEMPT_REAL, PACE_REFUSED, COOL_ENDPOINT, PARK_NOT},
        {OUTCOME_DEADLINE, ATTEMPT_NONE, PACE_NOTHING, COOL_NOT, PARK_NOT},
        {OUTCOME_CANCELLED, ATTEMPT_NONE, PACE_NOTHING, COOL_NOT, PARK_NOT},
        {OUTCOME_MEMORY, ATTEMPT_NONE, PACE_NOTHING, COOL_NOT, PARK_NOT},
        {OUTCOME_EXHAUSTED, ATTEMPT_NONE, PACE_NOTHING, COOL_NOT, PARK_NOT},
    };

    CHECK_INT(sizeof(ROWS) / sizeof(ROWS[0]), OUTCOME_N);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        const struct outcome_row *r = outcome_row(ROWS[i].outcome);
        bool held = CHECK_INT(ROWS[i].outcome, (long long)i) & CHECK_INT(r->attempt, ROWS[i].attempt) &
                    CHECK_INT(r->pace, ROWS[i].pace) & CHECK_INT(r->cool, ROWS[i].cool) &
                    CHECK_INT(r->park, ROWS[i].park);

        if (!held)
            printf("# in row %s\n", r->label);
    }
}

TEST(labels_differ)
{
    for (int i = 0; i < OUTCOME_N; i++) {
        CHECK(outcome_row((enum outcome)i)->label[0] != '\0');
        for (int k = 0; k < i; k++)
            CHECK(strcmp(outcome_row((enum outcome)i)->label, outcome_row((enum outcome)k)->label) != 0);
    }
}

TEST(busy_is_not_broken_and_only_success_is_cached)
{
    for (int i = 0; i < OUTCOME_N; i++) {
        const struct outcome_row *r = outcome_row((enum outcome)i);
        if (r->kind != KIND_FAULT)
            CHECK(r->breaker != BREAKER_FAILURE);
        CHECK_INT(r->cacheable, r->kind == KIND_OK);
        CHECK_INT(r->err == ERR_OK, r->kind == KIND_OK);
        if (r->kind == KIND_CLIENT || r->kind == KIND_GONE)
            CHECK_INT(r->retry, OUTCOME_NEVER);
    }
}

static const enum call_phase phases[] = {PHASE_CONNECT, PHASE_SEND, PHASE_HEAD, PHASE_BODY};

TEST(a_lost_connection_is_a_reset_before_any_byte_and_a_truncation_after)
{
    static const enum outcome want[] = {OUTCOME_RESET, OUTCOME_RESET, OUTCOME_TRUNCATED, OUTCOME_TRUNCATED};

    for (int i = 0; i < 4; i++) {
        CHECK_INT(outcome_of_error(ERR_EOF, phases[i]), want[i]);
        CHECK_INT(outcome_of_error(ERR_RESET, phases[i]), want[i]);
    }
}

TEST(a_timeout_is_named_after_its_phase)
{
    CHECK_INT(outcome_of_error(ERR_TIMEOUT, PHASE_CONNECT), OUTCOME_CONNECT_TIMEOUT);
    for (int i = 1; i < 4; i++)
        CHECK_INT(outcome_of_error(ERR_TIMEOUT, phases[i]), OUTCOME_TRANSPORT_TIMEOUT);
}

TEST(other_errors_mean_the_same_in_every_phase)
{
    static const struct {
        enum err err;
        enum outcome want;
    } rows[] = {
        {ERR_REFUSED, OUTCOME_REFUSED},
        {ERR_DNS, OUTCOME_DNS},
        {ERR_TLS, OUTCOME_TLS},
        {ERR_MALFORMED, OUTCOME_MALFORMED},
        {ERR_TOO_LARGE, OUTCOME_OVERSIZE},
        {ERR_CANCELLED, OUTCOME_CANCELLED},
        {ERR_UPSTREAM_CONNECT, OUTCOME_REFUSED},
        {ERR_UPSTREAM_DNS, OUTCOME_DNS},
        {ERR_UPSTREAM_TLS, OUTCOME_TLS},
        {ERR_UPSTREAM_CONNECT_TIMEOUT, OUTCOME_CONNECT_TIMEOUT},
        {ERR_UPSTREAM_TRANSPORT_TIMEOUT, OUTCOME_TRANSPORT_TIMEOUT},
        {ERR_UPSTREAM_PROGRESS_TIMEOUT, OUTCOME_STALLED},
        {ERR_UPSTREAM_RESET, OUTCOME_RESET},
        {ERR_UPSTREAM_TRUNCATED, OUTCOME_TRUNCATED},
        {ERR_UPSTREAM_MALFORMED, OUTCOME_MALFORMED},
        {ERR_UPSTREAM_TOO_LARGE, OUTCOME_OVERSIZE},
        {ERR_UPSTREAM_EMPTY, OUTCOME_EMPTY},
        {ERR_UPSTREAM_ERROR, OUTCOME_SERVER_ERROR},
        {ERR_UPSTREAM_BUSY, OUTCOME_SERVER_BUSY},
        {ERR_UPSTREAM_LOADING, OUTCOME_LOADING},
        {ERR_UPSTREAM_RATE_LIMITED, OUTCOME_ACCOUNT_BUSY},
        {ERR_UPSTREAM_CREDENTIAL, OUTCOME_CREDENTIAL},
        {ERR_UPSTREAM_BALANCE, OUTCOME_BALANCE},
        {ERR_UPSTREAM_REFUSED, OUTCOME_CLIENT_ERROR},
        {ERR_DEADLINE_EXCEEDED, OUTCOME_DEADLINE},
        {ERR_CLIENT_GONE, OUTCOME_CANCELLED},
        {ERR_MEMORY_BUDGET, OUTCOME_MEMORY},
        {ERR_EXHAUSTED, OUTCOME_EXHAUSTED},
        {ERR_SYSTEM, OUTCOME_SERVER_ERROR},
        {ERR_INTERNAL, OUTCOME_SERVER_ERROR},
        {ERR_OK, OUTCOME_SERVER_ERROR}, /* a call that failed without a reason is still no success */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int k = 0; k < 4; k++) {
            if (!CHECK_INT(outcome_of_error(rows[i].err, phases[k]), rows[i].want))
                printf("# for %s in phase %d\n", err_row(rows[i].err)->name, k);
        }
    }
}

TEST(no_error_is_ever_a_success)
{
    for (int e = 0; e < ERR_N; e++) {
        for (int k = 0; k < 4; k++)
            CHECK(outcome_of_error((enum err)e, phases[k]) != OUTCOME_OK);
    }
}

/* What each status means with our own credential. */
static enum outcome status_wanted(int status)
{
    switch (status) {
    case 401:
    case 403:
        return OUTCOME_CREDENTIAL;
    case 402:
        return OUTCOME_BALANCE;
    case 429:
        return OUTCOME_ACCOUNT_BUSY;
    case 503:
    case 529:
        return OUTCOME_SERVER_BUSY;
    case 400:
    case 404:
    case 405:
    case 409:
    case 410:
    case 413:
    case 415:
    case 418:
    case 422:
    case 431:
    case 451:
    case 499:
        return OUTCOME_CLIENT_ERROR;
    default: /* 1xx left over, 3xx, 408, 5xx, and numbers that are no status at all */
        return OUTCOME_SERVER_ERROR;
    }
}

TEST(every_status_has_its_outcome)
{
    static const int statuses[] = {-1,  0,   100, 101, 103, 301, 302, 304, 307, 308, 399, 400, 401, 402,
                                   403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 429, 431, 451, 499,
                                   500, 501, 502, 503, 504, 520, 524, 529, 530, 599, 600, 999};

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        int s = statuses[i];
        enum outcome own = status_wanted(s);
        bool credential = own == OUTCOME_CREDENTIAL || own == OUTCOME_BALANCE;
        bool held = CHECK_INT(outcome_of_status(s, false), own);
        own = own == OUTCOME_ACCOUNT_BUSY ? OUTCOME_CLIENT_BUSY : own;
        held &= CHECK_INT(outcome_of_status(s, true), credential ? OUTCOME_CLIENT_CREDENTIAL : own);
        if (!held)
            printf("# for status %d\n", s);
    }
}

TEST(words_stand_for_more_than_the_status)
{
    static const struct {
        enum outcome_sign sign;
        enum outcome own, client; /* with the gateway's key, with the client's */
    } rows[] = {
        {SIGN_LOADING, OUTCOME_LOADING, OUTCOME_LOADING},
        {SIGN_BUSY, OUTCOME_SERVER_BUSY, OUTCOME_SERVER_BUSY},
        {SIGN_QUOTA, OUTCOME_BALANCE, OUTCOME_CLIENT_CREDENTIAL},
        {SIGN_CREDENTIAL, OUTCOME_CREDENTIAL, OUTCOME_CLIENT_CREDENTIAL},
    };

    for (int status = 0; status < 600; status++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            CHECK_INT(outcome_of_refusal(status, rows[i].sign, false), rows[i].own);
            CHECK_INT(outcome_of_refusal(status, rows[i].sign, true), rows[i].client);
        }
        CHECK_INT(outcome_of_refusal(status, SIGN_NONE, false), outcome_of_status(status, false));
        CHECK_INT(outcome_of_refusal(status, SIGN_NONE, true), outcome_of_status(status, true));
    }
}
