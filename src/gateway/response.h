/* SPDX-License-Identifier: MIT */
/* The heads and error bodies that clients get. */
#ifndef GATEWAY_RESPONSE_H
#define GATEWAY_RESPONSE_H

#include "gateway/exchange.h"
#include "gateway/headers.h"

#define RESPONSE_HEADERS_MAX (20 + HEADERS_DOWN_MAX + QUOTA_HEADERS_MAX)

/* The head of a relayed answer: type, request id, labels. length as in conn_head. */
void response_begin(struct exchange *ex, struct slice content_type, int64_t length);
/* A whole answer of ours. Ends the exchange's connection part; the caller has settled it. */
void response_whole(struct exchange *ex, int status, struct slice content_type, struct slice body);
/* The error object for a failure, with its headers, in the shape of the route; the status that is sent. */
int response_error_status(const struct exchange *ex, const struct flight_end *end);
void response_error(struct exchange *ex, const struct flight_end *end);
/* The error as an event of a stream that has begun. */
void response_error_event(struct exchange *ex, const struct flight_end *end);
/* One comment line. */
void response_comment(struct exchange *ex, struct slice text);
/* A comment for one who waits: its place in the line and, where that can be predicted, how long it still
 * waits: ": queued position=3 eta=4s"; ": waiting" for who is not in the line. */
void response_waiting(struct exchange *ex);
/* The labels that came too late for the head, as a comment. */
void response_late_labels(struct exchange *ex);
/* A refusal by the connection: of a request so malformed that there is no exchange (ex NULL), or whose
 * exchange is settled because its body broke off. */
void response_refusal(struct conn *c, const struct exchange *ex, struct slice request_id, enum err e);

#endif
