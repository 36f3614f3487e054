/* SPDX-License-Identifier: MIT */
/* A request for an answer, on whichever surface: what the gateway needs to know of it, and how it is
 * rewritten for an endpoint. */
#ifndef LLM_REQUEST_H
#define LLM_REQUEST_H

#include <sys/uio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "llm/dialect.h"
#include "llm/estimate.h"
#include "llm/members.h"
#include "llm/surface.h"

struct request {
    const struct surface *surface;
    struct slice body;  /* borrowed: the client's own bytes */
    struct slice model; /* unescaped, in the arena */
    bool stream;
    bool include_usage; /* the client asked for stream_options.include_usage, or the surface always tells */
    bool has_tools;
    bool has_developer; /* a message has the role "developer" */
    bool doubled;       /* model, stream or stream_options stands in it more than once */
    int n;              /* choices asked for; 1 when absent */
    bool sensitive;     /* set by its owner: it may go to local endpoints and to no other */
    int64_t answer_max; /* tokens that each may have; -1: the client did not say */
    /* of a large body only (request_parse_large): */
    struct members_index index;      /* of `body`, in the arena */
    const struct estimate *estimate; /* in the arena */
    const struct slice
        *developers; /* where the word stands as the role of a message, in order; in the arena */
    size_t developers_n;
};

/* What is wrong with a request. */
struct request_fault {
    const char *why;   /* one sentence, in the arena; or NULL */
    const char *param; /* the offending field, or NULL */
};

/* Parses `body` once. ERR_BAD_JSON, ERR_BAD_FIELD or ERR_MODEL_MISSING with *fault filled in. The document
 * itself is not kept. `model` must be a string of 1..256 bytes, `stream` a bool or null, `stream_options` an
 * object or null, and the question what the surface's row says. */
enum err request_parse(const struct surface *surface, struct slice body, struct json_pool *pool,
                       struct arena *arena, struct request *out, struct request_fault *fault);

/* A body of that many bytes and more takes milliseconds to read (256 KiB: 1 ms of text, 2.6 ms of brackets
 * inside each other): not on a loop, and not with a document. */
#define REQUEST_LARGE_BYTES ((size_t)256 << 10)
#define REQUEST_MEMBERS_MAX 4096    /* top-level members of a large body */
#define REQUEST_DEVELOPERS_MAX 4096 /* messages of the role "developer" in it */

/* The same for a large body, with the same verdicts but these: a body of more than REQUEST_MEMBERS_MAX
 * members, with more than REQUEST_DEVELOPERS_MAX messages of the role "developer", or with a member of more
 * than 64 KiB where a name, a number or options belong, is refused. Needs next to no memory besides the body,
 * and fills in what is of a large body only. Thread: any that owns body and arena. */
enum err request_parse_large(const struct surface *surface, struct slice body, struct arena *arena,
                             struct request *out, struct request_fault *fault);

/* Copies a request whose body stays where it is (`body` shows the same bytes) into another arena. */
void request_move(struct request *to, const struct request *from, struct slice body, struct arena *arena);

/* A member to write: replaces every top-level member of that name, or is added. */
struct request_set {
    struct slice name; /* plain ASCII, needs no escaping */
    struct slice json;
};

struct request_edit {
    struct slice model;             /* name for the endpoint */
    const struct request_set *sets; /* of the alias */
    size_t sets_n;
    bool no_developer; /* the role "developer" becomes "system" (dialect.h) */
    bool ask_usage;    /* where a stream tells its usage only then: write stream_options.include_usage = true,
                          keeping its other members */
};

#define REQUEST_PIECES_MAX 32

/* How many pieces the rewriting should be given, so that no large body needs to be copied. */
size_t request_pieces_max(const struct request *c);

/* A body with several members of one name is read as Python and JavaScript read it (the last counts), but
 * an upstream may read it differently, and so be given a model that was never checked. Hence of model,
 * stream and stream_options only the one that was read is passed on, and no member whose name differs from
 * "model" in case alone. These three cannot be changed by an alias's sets.
 *
 * The body for the endpoint as pieces of the client's bytes and of the arena, in order; at most `max`
 * pieces (when the edits would need more, the result is copied into one piece in the arena). Returns their
 * number; the sum of the lengths in *total. Unknown members pass byte for byte; nothing is re-serialised. */
size_t request_rewrite(const struct request *c, const struct request_edit *edit, struct arena *arena,
                       struct slice *pieces, size_t max, size_t *total);

#endif
