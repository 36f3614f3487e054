/* SPDX-License-Identifier: MIT */
/* What a flight notes of its decisions (gateway/why.h), called where they are made. */
#include "gateway/flight_private.h"

/* The seat was taken: at once, or by a grant. What the ticket says of it is the flight's to read since then.
 */
static void note_chosen(struct flight *f)
{
    const struct ticket *t = &f->seat.ticket;
    int64_t v[] = {t->target, t->looks.how, t->looks.budget};

    why_note(&f->why, WHY_CHOSEN, flight_now_us(f), v, &t->looks);
}

static void note_refused(struct flight *f, enum line_verdict v)
{
    int64_t e = ERR_NO_ENDPOINT;

    if (v == LINE_FULL)
        e = ERR_QUEUE_FULL;
    else if (v == LINE_PARKED)
        e = outcome_row(f->seat.ticket.parked_why)->err;
    why_note(&f->why, WHY_REFUSED, flight_now_us(f), &e, &f->seat.ticket.looks);
}

void flight_note_admit(struct flight *f, enum line_verdict v, const struct seat_wait *wait)
{
    int64_t queued[] = {(int64_t)wait->place, -1, wait->rest_us > 0 ? wait->rest_us : -1, wait->looks.budget};

    if (v == LINE_TAKEN)
        note_chosen(f);
    else if (v == LINE_QUEUED)
        why_note(&f->why, WHY_QUEUED, flight_now_us(f), queued, &wait->looks);
    else
        note_refused(f, v);
}

void flight_note_grant(struct flight *f)
{
    note_chosen(f);
}

void flight_note_call(struct flight *f, enum outcome o)
{
    int64_t first_us = f->facts.first_us >= f->called_us ? f->facts.first_us - f->called_us : -1;
    int64_t v[] = {f->seat.ticket.target,
                   o,
                   f->verdict.status > 0 ? f->verdict.status : -1,
                   first_us,
                   flight_now_us(f) - f->called_us,
                   f->verdict.retry_after_us};

    why_note(&f->why, WHY_CALLED, flight_now_us(f), v, NULL);
}
