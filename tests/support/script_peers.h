/* SPDX-License-Identifier: MIT */
/* The clients and endpoints of a script (support/script.h), and what they know of each other.
 *
 * Every request carries a number, its tag, which an endpoint repeats with a count in every piece of its
 * answer: "t7.0;" "t7.1;" ... So each piece that reaches a client says whose it is and what came before it.
 */
#ifndef SUPPORT_SCRIPT_PEERS_H
#define SUPPORT_SCRIPT_PEERS_H

#include "http/client.h"
#include "http/sse.h"
#include "rehearse/world.h"
#include "support/script.h"

#define SCRIPT_TAGS_MAX 256
#define SCRIPT_CLIENTS_N 4
#define SCRIPT_ENDS_MAX 64
#define SCRIPT_CANARY "sk-upstream-canary-0123456789"
#define SCRIPT_KEY "key-of-a-client-0123456789"
#define SCRIPT_BYTES_MAX (4 << 20)
#define SCRIPT_LARGE_BYTES ((size_t)TURN_PARSED_BYTES + 1000) /* not judged on the loop */

#define SCRIPT_CHECK(cond)                                                            \
    do {                                                                              \
        if (!(cond)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

/* What endpoints have done for one request. */
struct script_tag {
    int calls_n;
    bool whole[4]; /* some endpoint ended an answer of so many pieces well (3: three or more) */
    bool wild;     /* some endpoint that was asked for it said anything at all */
};

struct scene;

struct script_client {
    struct scene *scene;
    struct stream *stream; /* NULL: not connected */
    struct client *http;   /* of the request in work, or NULL */
    struct sse sse;
    struct buf body; /* of a plain answer */
    int tag;
    bool stream_asked, head, done_mark, error_event, ended;
    int status, pieces_n;
    int64_t asked_us;
    bool paused, was_paused; /* was: at any time since it asked */
};

struct script_end { /* an endpoint's side of a connection */
    struct scene *scene;
    struct stream *stream; /* NULL: closed */
    struct buf in;
    int tag; /* of the call under way, or -1 */
    bool stream_asked, begun, half, wild, paused;
    int pieces_n;
};

struct scene {
    struct world *w;
    struct script_tally *tally;
    struct script_client clients[SCRIPT_CLIENTS_N];
    struct stream *wild; /* a client that says anything */
    struct listener *listeners[2];
    struct script_end ends[SCRIPT_ENDS_MAX];
    size_t ends_n;
    struct script_tag tags[SCRIPT_TAGS_MAX];
    int tags_n;
    int large_left; /* how much more of what is large may be said */
};

/* -- clients -- */
/* Asks, unless a request of this client is in work or the tags are used up. */
void script_ask(struct script_client *c, bool stream, const char *model, uint8_t cut, bool large);
void script_client_pause(struct script_client *c, bool paused);
void script_client_leave(struct script_client *c);
/* Any bytes on a connection of their own. */
void script_wild_say(struct scene *s, struct slice bytes);

/* -- endpoints -- */
void script_listen(struct scene *s);
/* Each does what fits the state of the connection, or nothing. large: what it says is for helpers. */
void script_answer(struct script_end *e, bool large); /* a whole plain answer, or a whole stream */
void script_begin(struct script_end *e, bool large);  /* the head of a stream and its first events */
void script_piece(struct script_end *e, bool large);  /* one more event */
void script_half(struct script_end *e, bool large);   /* the beginning of one */
void script_finish(struct script_end *e, bool large); /* the last events and the end of the body */
void script_refuse(struct script_end *e, uint8_t which);
void script_hang_up(struct script_end *e, bool reset);
void script_end_pause(struct script_end *e, bool large);
void script_end_say(struct script_end *e, struct slice bytes);
void script_close_all(struct scene *s);

#endif
