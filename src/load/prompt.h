/* SPDX-License-Identifier: MIT */
/* The bodies of requests: chat completions whose prompts have a chosen length and are never alike.
 *
 * A token counts as four bytes. A prompt begins with a mark of its own, "[<seed> <number>] ", so that no
 * cache of beginnings helps either; behind a shared beginning, or behind the blocks that a trace tells, the
 * mark stands after what is shared. The same seed gives the same bodies. */
#ifndef LOAD_PROMPT_H
#define LOAD_PROMPT_H

#include "base/buf.h"
#include "load/source.h"

#define PROMPT_TOKEN_BYTES 4
#define PROMPT_FILL_BYTES 16384

struct prompt_opts {
    uint64_t seed;
    struct slice model;       /* "{answer}" in it becomes the number of answer tokens */
    const char *length_field; /* "max_tokens"; NULL: none is sent */
    struct slice more;        /* members that follow, each with its comma: ",\"temperature\":0" */
    uint32_t shared_tokens;   /* length of a shared beginning */
};

struct prompts {
    struct prompt_opts opts; /* slices borrowed */
    char mark[20];           /* "[0123456789ab " */
    size_t mark_n;
    struct buf head, tail; /* the body up to the number in the model's name, and from there to the prompt */
    bool numbered;         /* there is such a number */
    char fill[PROMPT_FILL_BYTES];
};

void prompts_init(struct prompts *p, const struct prompt_opts *o);
void prompts_fini(struct prompts *p);
/* Writes the body of `a`. ERR_TOO_LARGE or ERR_MEMORY_BUDGET as buf_add. */
enum err prompts_write(const struct prompts *p, const struct arrival *a, struct buf *out)
    __attribute__((warn_unused_result));

#endif
