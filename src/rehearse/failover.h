/* SPDX-License-Identifier: MIT */
/* What becomes of a request for a model when its endpoints fail, tried out in virtual time: the real gateway
 * with the given configuration, simulators in place of the endpoints, one request for each way to fail. */
#ifndef REHEARSE_FAILOVER_H
#define REHEARSE_FAILOVER_H

#include "config/config.h"
#include "llm/surface.h"

#define FAILOVER_ROWS_MAX 12
#define FAILOVER_NAME_BYTES 65

/* Which endpoints of the model fail. */
enum failover_where {
    FAILOVER_NONE,
    FAILOVER_FIRST, /* the one that answers while nothing fails */
    FAILOVER_TIER,  /* all of the first tier */
    FAILOVER_ALL
};

/* How they fail. */
enum failover_how {
    FAILOVER_WELL,
    FAILOVER_DOWN,  /* connections are refused */
    FAILOVER_BUSY,  /* 429, come back in a second */
    FAILOVER_KEY,   /* 401 */
    FAILOVER_MONEY, /* 402 */
    FAILOVER_SILENT /* the request is taken, and nothing comes */
};

struct failover_row {
    enum failover_where where;
    enum failover_how how;
    char by[FAILOVER_NAME_BYTES];   /* the endpoint whose answer the client got; "": none's */
    int status;                     /* what the client got; 0: nothing */
    char code[FAILOVER_NAME_BYTES]; /* the error's, if it is one */
    int64_t after_us;               /* from the request to the end of the answer; simulators take no time */
};

struct failover {
    struct failover_row rows[FAILOVER_ROWS_MAX];
    size_t rows_n;
};

/* Whether some of the model's endpoints speak that API and others do not: then failures end differently there
 * than with chat completions, which every provider speaks. */
bool failover_differs(const struct config *c, int model, enum surface_id surface);
/* With requests of chat, responses or messages. Takes no real time worth mentioning, however long the clocks
 * of the configuration are. */
void failover_rehearse(struct config *c, int model, enum surface_id surface, struct failover *out);

/* "refuses connections", and in a word for machines "down". */
const char *failover_how_text(enum failover_how how);
const char *failover_how_word(enum failover_how how);
const char *failover_where_word(enum failover_where where);

#endif
