/* SPDX-License-Identifier: MIT */
/* Who waits in a line, who of them is next, what a tenant is charged, and who need not begin to wait.
 *
 * Who stands in its place is in the fair queue of its model (policy/fair.h). Shares are kept for a domain:
 * the models of a line that compete for the same slots. In a domain whoever's turn begins first is next,
 * whichever model it waits for; of models that have no slot in common, whoever came first.
 *
 * A call is charged when its slot is reserved, with what its prompt and a usual answer of its model take, and
 * corrected when it ends to what the endpoint has counted. */
#include "base/assert.h"
#include "base/clock.h"
#include "policy/line_private.h"

static struct ticket *ticket_of(const struct fair_entry *e)
{
    return CONTAINER_OF((struct fair_entry *)(uintptr_t)e, struct ticket, wait);
}

static struct fair_shares *shares_of(const struct line *l, const struct line_model *m)
{
    return &l->shares[m->domain];
}

/* -- what a call costs ----------------------------------------------------------------------------------- */

static int64_t cost_of(const struct line_model *m, const struct ticket *t)
{
    int64_t answer = learned_answer(&m->learned);

    if (t->answer_max >= 0 && t->answer_max < answer)
        answer = t->answer_max;
    return 1 + learned_prompt(&m->learned, t->call.prompt_tokens) + answer;
}

void line_charge(struct line *l, struct line_model *m, struct ticket *t)
{
    t->charged = cost_of(m, t);
    fair_charge(shares_of(l, m), t->priority, t->tenant, t->charged);
    m->held_n++;
}

/* Nothing was served by a call that failed. Of one that its client has left nobody knows: it took what was
 * expected. */
static int64_t served_by(const struct ticket *t, const struct call_report *r)
{
    enum outcome_kind kind = r != NULL ? outcome_row(r->outcome)->kind : KIND_FAULT;

    if (r != NULL && r->prompt_tokens + r->answer_tokens > 0)
        return r->prompt_tokens + r->answer_tokens;
    return kind == KIND_OK || kind == KIND_GONE ? t->charged : 0;
}

/* The tenant's share may have moved back: its places in all queues of the domain. Mostly it waits in this one
 * alone, if at all. */
static void note_moved(struct line *l, struct line_model *m, const struct ticket *t)
{
    const struct fair_share *s = &shares_of(l, m)->classes[t->priority].of[t->tenant];

    if (s->waiting_n == 0)
        return;
    fair_moved(&m->queue, shares_of(l, m), t->priority, t->tenant);
    if (s->waiting_n == fair_waiting(&m->queue, t->priority, t->tenant))
        return;
    for (size_t i = 0; i < l->models_n; i++) {
        if (l->models[i].domain == m->domain)
            fair_moved(&l->models[i].queue, shares_of(l, m), t->priority, t->tenant);
    }
}

void line_correct(struct line *l, struct line_model *m, struct ticket *t, const struct call_report *r)
{
    m->held_n--;
    fair_correct(shares_of(l, m), t->priority, t->tenant, t->charged, served_by(t, r));
    note_moved(l, m, t);
    if (r != NULL && r->prompt_tokens > 0)
        learned_add(&m->learned, t->call.prompt_tokens, r->prompt_tokens, r->answer_tokens);
}

/* -- places ---------------------------------------------------------------------------------------------- */

static void note_wait(struct ticket *t)
{
    t->wait.tenant = t->tenant;
    t->wait.priority = t->priority;
    t->wait.deadline_us = t->deadline_us;
    t->wait.arrived_us = t->arrived_us;
}

void line_stand(struct line *l, struct line_model *m, struct ticket *t)
{
    note_wait(t);
    fair_add(&m->queue, shares_of(l, m), &t->wait);
    eta_came(&m->eta, t->priority, l->seen_us);
    line_note_came(l, m, t);
}

void line_unstand(struct line *l, struct line_model *m, struct ticket *t)
{
    fair_remove(&m->queue, shares_of(l, m), &t->wait);
    eta_left(&m->eta, l->seen_us);
    line_note_left(l, m);
}

void line_serve(struct line *l, struct line_model *m, struct ticket *t)
{
    fair_remove(&m->queue, shares_of(l, m), &t->wait);
    eta_served(&m->eta, m->held_n + 1, l->seen_us);
}

void line_move_queue(struct line *l, struct line_model *from, struct line *to, struct line_model *m)
{
    struct fair_entry *e;

    while ((e = fair_pop(&from->queue, shares_of(l, from))) != NULL)
        fair_add(&m->queue, shares_of(to, m), e);
    m->eta.waiting_n = m->queue.n;
    m->eta.since_us = from->eta.since_us;
    from->eta.waiting_n = 0;
}

/* -- who is next ----------------------------------------------------------------------------------------- */

struct search {
    struct line *line;
    const struct line_model *model;
    uint64_t open;
};

static bool fits(void *ud, const struct fair_entry *e)
{
    const struct search *s = ud;
    const struct ticket *t = ticket_of(e);

    return line_usable(s->line, s->model, t, s->open) != 0 && line_has_token(s->line, t);
}

struct candidate {
    struct ticket *ticket; /* NULL: none */
    uint32_t domain;
    double start;
};

static bool is_before(const struct candidate *a, const struct candidate *b)
{
    if (b->ticket == NULL)
        return true;
    if (a->domain == b->domain && a->start != b->start)
        return a->start < b->start;
    return a->ticket->arrived_us < b->ticket->arrived_us;
}

static bool is_in(struct slots_range r, int counter)
{
    return counter >= r.first && counter < r.first + r.n;
}

/* Whether a slot of the counter is of use to any ticket of the model: whole queues are passed over by it. */
static bool model_uses(const struct line_model *m, int counter)
{
    for (size_t i = 0; i < m->targets_n; i++) {
        const struct line_target *t = &m->targets[i];
        if (t->fixed ? t->counter == counter : counter == SLOTS_UNLIMITED || is_in(t->account, counter))
            return true;
        if (counter != SLOTS_UNLIMITED && (t->fixed ? t->own == counter : is_in(t->owns, counter)))
            return true;
    }
    return false;
}

/* Of those that are open, those that have a free slot, as far as that is the same for all tickets: where
 * there is none nobody is looked at. */
static uint64_t with_room(const struct line *l, const struct line_model *m, uint64_t open)
{
    uint64_t room = open;

    for (uint64_t left = open; left != 0; left &= left - 1) {
        const struct line_target *t = &m->targets[__builtin_ctzll(left)];

        if (t->fixed && !(slots_has_room(&l->slots, t->counter, l->seen_us) &&
                          slots_has_room(&l->slots, t->own, l->seen_us)))
            room &= ~(left & -left);
    }
    return room;
}

struct ticket *line_next(struct line *l, int counter)
{
    struct candidate best = {.ticket = NULL};

    for (int p = 0; p < PRIORITY_N && best.ticket == NULL; p++) {
        for (size_t i = 0; i < l->models_n; i++) {
            struct line_model *m = &l->models[i];
            struct search s = {l, m, 0};
            struct candidate c = {.domain = m->domain};
            struct fair_entry *e;

            if (m->queue.classes[p].n == 0 || (counter != LINE_EVERYTHING && !model_uses(m, counter)))
                continue;
            s.open = with_room(l, m, line_open(l, m));
            e = s.open != 0 ? fair_next(&m->queue, shares_of(l, m), (enum priority)p, fits, &s, &c.start)
                            : NULL;
            if (e == NULL)
                continue;
            c.ticket = ticket_of(e);
            if (is_before(&c, &best))
                best = c;
        }
    }
    return best.ticket;
}

/* -- who need not begin to wait -------------------------------------------------------------------------- */

/* How long those before it will take, as if it stood in its place already. */
static int64_t before_us(struct line *l, struct line_model *m, struct ticket *t, struct eta_place *at)
{
    struct eta_place last; /* of those before it */

    if (!m->eta.known)
        return 0;
    note_wait(t);
    fair_look(&m->queue, &t->wait);
    *at = line_eta_place(l, m, t);
    last = *at;
    last.ahead--;
    return at->ahead > 0 ? eta_place_us(&m->eta, &last, l->seen_us) : 0;
}

/* What one that is refused is told. */
static enum line_verdict refuse(const struct line *l, const struct line_model *m, struct ticket *t,
                                const struct eta_place *at, enum line_verdict v)
{
    t->place = at->ahead + 1;
    t->eta_us = eta_place_us(&m->eta, at, l->seen_us);
    return v;
}

/* Whether the time for those before it leaves too little for the call. A quarter is left for what cannot be
 * known: on a full line everybody stands just where it would be late. Who is the next is never too late: when
 * a slot comes free nobody knows, and somebody should be there. */
static bool is_late(int64_t before_us, int64_t left_us)
{
    return before_us > left_us - left_us / 4;
}

/* Who comes again keeps its place, however long the line has become. */
enum line_verdict line_refusal(struct line *l, struct line_model *m, struct ticket *t)
{
    const struct config_options *opt = &m->cfg->opt;
    struct eta_place at = {.priority = t->priority};
    bool again = t->tries.failed > 0, full = m->waiting_n >= (size_t)opt->line_max;
    int64_t us = !again || full ? before_us(l, m, t, &at) : 0;

    if (full)
        return refuse(l, m, t, &at, LINE_FULL);
    if (again)
        return LINE_QUEUED;
    if (opt->line_bytes > 0 && m->waiting_n > 0 && m->waiting_bytes + t->bytes > opt->line_bytes)
        return refuse(l, m, t, &at, LINE_FULL_BYTES);
    if (is_late(us, t->deadline_us - l->seen_us))
        return refuse(l, m, t, &at, LINE_LATE);
    if (opt->line_wait_us > 0 && us > opt->line_wait_us)
        return refuse(l, m, t, &at, LINE_SLOW);
    return LINE_QUEUED;
}

/* -- everybody ------------------------------------------------------------------------------------------- */

struct walk {
    void (*see)(struct line *l, struct line_model *m, struct ticket *t);
    struct line *line;
    struct line_model *model;
};

/* Says no, so that the next is looked at. */
static bool walk_one(void *ud, const struct fair_entry *e)
{
    const struct walk *w = ud;

    w->see(w->line, w->model, ticket_of(e));
    return false;
}

void line_each(struct line *l, struct line_model *m,
               void (*see)(struct line *l, struct line_model *m, struct ticket *t))
{
    struct walk w = {see, l, m};
    double start;

    for (int p = 0; p < PRIORITY_N && m->queue.n > 0; p++)
        (void)fair_next(&m->queue, shares_of(l, m), (enum priority)p, walk_one, &w, &start);
}

/* -- for tests ------------------------------------------------------------------------------------------- */

static void check_one(struct line *l, struct line_model *m, struct ticket *t)
{
    ASSERT(t->state == TICKET_WAITING && t->model == m->model && t->edition == m->edition && !t->rests);
    ASSERT(t->wait.priority == t->priority && t->wait.tenant == t->tenant);
    ASSERT(line_allowed(m, t) != 0);
    ASSERT(line_is_due(l) || l->starved || line_usable(l, m, t, line_open(l, m)) == 0);
}

void line_check_queue(struct line *l, struct line_model *m)
{
    fair_check(&m->queue);
    ASSERT(m->eta.waiting_n == m->queue.n);
    line_each(l, m, check_one);
}
