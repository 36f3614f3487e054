/* SPDX-License-Identifier: MIT */
/* The queue of chunks.
 *
 *     head                              tail
 *     [....####] -> [##########] -> [######....]
 *         from to                         to  end of the chunk
 *
 * Why: a slow reader's bytes neither move nor need one large piece, and what was sent is given back chunk by
 * chunk. Chunks double from 4 KiB to 64 KiB while a queue grows: a short backlog stays cheap, a long one
 * costs few pieces.
 * Invariants: no chunk is empty; the budget is charged with exactly the sizes of the chunks, before they are
 * made. */
#include "base/chunks.h"

#include "base/assert.h"
#include "base/mem.h"

#define CHUNK_MIN_BYTES ((size_t)4096) /* with the header: whole pages */
#define CHUNK_MAX_BYTES ((size_t)65536)

struct chunk {
    struct chunk *next;
    size_t size;     /* bytes of the allocation, this header included */
    size_t from, to; /* part of data that is queued */
    char data[];
};

void chunks_init(struct chunks *q, size_t max_bytes, struct budget *budget)
{
    *q = (struct chunks){.max = max_bytes, .budget = budget};
}

static void drop_head(struct chunks *q)
{
    struct chunk *c = q->head;

    q->head = c->next;
    if (!q->head)
        q->tail = NULL;
    budget_release(q->budget, c->size);
    mem_free(c);
}

void chunks_fini(struct chunks *q)
{
    while (q->head)
        drop_head(q);
    q->n = 0;
}

static size_t room_of(size_t size)
{
    return size - offsetof(struct chunk, data);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Size of the chunk that follows one of size `before` (0: none) when n more bytes are to be queued. */
static size_t next_size(size_t before, size_t n)
{
    size_t size = before ? before * 2 : CHUNK_MIN_BYTES;

    while (size < CHUNK_MAX_BYTES && room_of(size) < n)
        size *= 2;
    return least(size, CHUNK_MAX_BYTES);
}

static size_t tail_room(const struct chunks *q)
{
    return q->tail ? room_of(q->tail->size) - q->tail->to : 0;
}

/* Bytes of all chunks that have to be made to queue n bytes. */
static size_t cost_of(const struct chunks *q, size_t n)
{
    size_t size = q->tail ? q->tail->size : 0, cost = 0;

    n -= least(n, tail_room(q));
    while (n > 0) {
        size = next_size(size, n);
        cost += size;
        n -= least(n, room_of(size));
    }
    return cost;
}

static bool append_chunk(struct chunks *q, size_t size)
{
    struct chunk *c = mem_try_alloc(size);

    if (c == NULL)
        return false;
    c->next = NULL;
    c->size = size;
    c->from = c->to = 0;
    if (q->tail)
        q->tail->next = c;
    else
        q->head = c;
    q->tail = c;
    return true;
}

/* Takes back what an add had queued behind `tail`, of which `to` bytes were filled, when it ran out of
 * memory.
 */
static void undo(struct chunks *q, struct chunk *tail, size_t to)
{
    struct chunk *c = tail ? tail->next : q->head;

    while (c) {
        struct chunk *next = c->next;
        mem_free(c);
        c = next;
    }
    q->tail = tail;
    if (tail) {
        tail->next = NULL;
        tail->to = to;
    } else {
        q->head = NULL;
    }
}

enum err chunks_add(struct chunks *q, struct slice s)
{
    struct chunk *tail = q->tail;
    size_t to = tail ? tail->to : 0, n_bytes = s.n;

    if (s.n > q->max - q->n)
        return ERR_TOO_LARGE;
    size_t cost = cost_of(q, s.n);
    if (cost > 0 && !budget_charge(q->budget, cost))
        return ERR_MEMORY_BUDGET;
    while (s.n > 0) {
        if (tail_room(q) == 0 && !append_chunk(q, next_size(q->tail ? q->tail->size : 0, s.n))) {
            undo(q, tail, to);
            budget_release(q->budget, cost);
            return ERR_EXHAUSTED;
        }
        size_t n = least(s.n, tail_room(q));
        memcpy(q->tail->data + q->tail->to, s.p, n);
        q->tail->to += n;
        s = slice_from(s, n);
    }
    q->n += n_bytes;
    return ERR_OK;
}

size_t chunks_peek(const struct chunks *q, struct iovec *iov, size_t n)
{
    size_t filled = 0;

    for (struct chunk *c = q->head; c && filled < n; c = c->next)
        iov[filled++] = (struct iovec){c->data + c->from, c->to - c->from};
    return filled;
}

void chunks_drop(struct chunks *q, size_t n_bytes)
{
    ASSERT(n_bytes <= q->n);
    q->n -= n_bytes;
    while (n_bytes > 0) {
        struct chunk *c = q->head;
        size_t n = least(n_bytes, c->to - c->from);
        c->from += n;
        n_bytes -= n;
        if (c->from == c->to)
            drop_head(q);
    }
}
