/* SPDX-License-Identifier: MIT */
/* The outcome table and the two ways into it: by internal error and by HTTP status. */
#include "policy/outcome.h"

#include <stddef.h>

#include "base/assert.h"

static const struct outcome_row rows[OUTCOME_N] = {
#define OUTCOME(name, label, kind, breaker, slots, retry, attempt, pace, cool, park, cacheable, billed, err, \
                doc)                                                                                         \
    [OUTCOME_##name] = {                                                                                     \
        label,       KIND_##kind, BREAKER_##breaker, SLOTS_##slots, OUTCOME_##retry, ATTEMPT_##attempt,      \
        PACE_##pace, COOL_##cool, PARK_##park,       cacheable,     billed,          ERR_##err},
#include "policy/outcome.def"
#undef OUTCOME
};

const struct outcome_row *outcome_row(enum outcome o)
{
    ASSERT((unsigned)o < OUTCOME_N);
    return &rows[o];
}

/* The first row whose final error is e; a gateway error that no row names is the server's, never a success.
 * */
static enum outcome row_with_error(enum err e)
{
    for (int i = 0; i < OUTCOME_N; i++) {
        if (rows[i].err == e && rows[i].kind != KIND_OK)
            return (enum outcome)i;
    }
    return OUTCOME_SERVER_ERROR;
}

enum outcome outcome_of_error(enum err e, enum call_phase phase)
{
    switch (e) {
    case ERR_EOF:
    case ERR_RESET:
        /* Once any byte of the answer has come, the endpoint has begun to work on it, and may bill it. */
        return phase == PHASE_CONNECT || phase == PHASE_SEND ? OUTCOME_RESET : OUTCOME_TRUNCATED;
    case ERR_TIMEOUT:
        return phase == PHASE_CONNECT ? OUTCOME_CONNECT_TIMEOUT : OUTCOME_TRANSPORT_TIMEOUT;
    case ERR_REFUSED:
        return OUTCOME_REFUSED;
    case ERR_DNS:
        return OUTCOME_DNS;
    case ERR_TLS:
        return OUTCOME_TLS;
    case ERR_PROXY:
        return OUTCOME_PROXY;
    case ERR_MALFORMED:
        return OUTCOME_MALFORMED;
    case ERR_TOO_LARGE:
        return OUTCOME_OVERSIZE;
    case ERR_CANCELLED:
        return OUTCOME_CANCELLED;
    default:
        return row_with_error(e);
    }
}

enum outcome outcome_of_status(int status, bool client_key)
{
    switch (status) {
    case 401:
    case 403:
        return client_key ? OUTCOME_CLIENT_CREDENTIAL : OUTCOME_CREDENTIAL;
    case 508: /* a gateway behind us found a loop: every other way would lead around it again */
        return OUTCOME_CLIENT_ERROR;
    case 402:
        return client_key ? OUTCOME_CLIENT_CREDENTIAL : OUTCOME_BALANCE;
    case 407: /* no endpoint says this: it is a proxy on the way to it */
        return OUTCOME_PROXY;
    case 408: /* a proxy in front of the endpoint gave up on us: another attempt can help */
        return OUTCOME_SERVER_ERROR;
    case 429:
        return client_key ? OUTCOME_CLIENT_BUSY : OUTCOME_ACCOUNT_BUSY;
    case 503:
    case 529:
        return OUTCOME_SERVER_BUSY;
    default:
        return status >= 400 && status < 500 ? OUTCOME_CLIENT_ERROR : OUTCOME_SERVER_ERROR;
    }
}

enum outcome outcome_of_refusal(int status, enum outcome_sign sign, bool client_key)
{
    switch (sign) {
    case SIGN_LOADING:
        return OUTCOME_LOADING;
    case SIGN_BUSY:
        return OUTCOME_SERVER_BUSY;
    case SIGN_QUOTA:
        return client_key ? OUTCOME_CLIENT_CREDENTIAL : OUTCOME_BALANCE;
    case SIGN_CREDENTIAL:
        return client_key ? OUTCOME_CLIENT_CREDENTIAL : OUTCOME_CREDENTIAL;
    case SIGN_NONE:
        break;
    }
    return outcome_of_status(status, client_key);
}
