/* SPDX-License-Identifier: MIT */
/* Rings of records of different length, each in one piece. */
#include "gateway/why_ring.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"

#define ALIGN sizeof(int64_t)
#define NOTABLE_WAIT_US CLOCK_SECOND_US

/* In front of each record. */
struct tag {
    uint32_t bytes;  /* to the next tag */
    uint32_t record; /* bytes of the record */
};

#define ROOM (sizeof(struct tag) + WHY_RECORD_MAX)

void why_rings_init(struct why_rings *r)
{
    *r = (struct why_rings){.plain.p = mem_alloc(WHY_RING_BYTES), .notable.p = mem_alloc(WHY_RING_BYTES)};
}

void why_rings_fini(struct why_rings *r)
{
    mem_free(r->plain.p);
    mem_free(r->notable.p);
}

static struct tag *tag_at(const struct why_ring *r, size_t at)
{
    return (struct tag *)(void *)(r->p + at);
}

/* Forgets the oldest record. */
static void drop(struct why_ring *r)
{
    r->tail += tag_at(r, r->tail)->bytes;
    if (r->wrap != 0 && r->tail == r->wrap)
        r->tail = r->wrap = 0;
}

/* Room for the largest record in one piece, at head. */
static void make_room(struct why_ring *r)
{
    while (r->wrap != 0 && r->tail - r->head < ROOM)
        drop(r);
    if (r->wrap != 0 || r->head + ROOM <= WHY_RING_BYTES)
        return;
    r->wrap = r->head;
    r->head = 0;
    while (r->wrap != 0 && r->tail < ROOM)
        drop(r);
}

static void add(struct why_ring *r, const struct why_source *s)
{
    struct tag *tag;

    make_room(r);
    tag = tag_at(r, r->head);
    tag->record = (uint32_t)why_pack(s, (char *)(tag + 1));
    tag->bytes = (uint32_t)((sizeof *tag + tag->record + ALIGN - 1) & ~(ALIGN - 1));
    r->head += tag->bytes;
}

static bool is_notable(const struct why_facts *f)
{
    return f->calls_n > 1 || f->wait_us >= NOTABLE_WAIT_US || f->result == RESULT_FAILED;
}

void why_rings_add(struct why_rings *r, const struct why_source *s)
{
    add(is_notable(&s->facts) ? &r->notable : &r->plain, s);
}

/* -- reading --------------------------------------------------------------------------------------------- */

struct search {
    struct slice id;
    void (*show)(void *ud, struct slice record);
    void *ud;
};

static void look(const struct why_ring *r, size_t from, size_t to, const struct search *s)
{
    while (from < to) {
        const struct tag *tag = tag_at(r, from);
        struct slice bytes = {(const char *)(tag + 1), tag->record};
        struct why_record record;

        if (why_unpack(bytes, &record) && slice_eq(record.id, s->id))
            s->show(s->ud, bytes);
        from += tag->bytes;
    }
}

static void look_through(const struct why_ring *r, const struct search *s)
{
    look(r, r->tail, r->wrap != 0 ? r->wrap : r->head, s);
    if (r->wrap != 0)
        look(r, 0, r->head, s);
}

void why_rings_find(const struct why_rings *r, struct slice id, void (*show)(void *ud, struct slice record),
                    void *ud)
{
    struct search s = {id, show, ud};

    look_through(&r->plain, &s);
    look_through(&r->notable, &s);
}
