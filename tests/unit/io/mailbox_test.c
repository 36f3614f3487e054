/* SPDX-License-Identifier: MIT */
/* io/mailbox: order, waking, withdrawing, and that nothing is lost or doubled between threads. */
#include "io/mailbox.h"

#include <stdatomic.h>

#include "io/turn.h"
#include "tap.h"

#define NOTES_N 8

struct note {
    struct message message;
    struct trace *trace;
    struct note *withdraws; /* when it is delivered */
    int id;
    bool sends_itself; /* once, when it is delivered */
};

struct trace {
    struct mailbox box;
    int wakes_n, delivered_n;
    int order[4 * NOTES_N];
    bool withdrawn; /* what mailbox_withdraw said inside a delivery */
};

static void on_wake(void *ud)
{
    struct trace *t = ud;
    t->wakes_n++;
}

static void on_note(struct message *m)
{
    struct note *n = CONTAINER_OF(m, struct note, message);
    struct trace *t = n->trace;

    t->order[t->delivered_n++] = n->id;
    if (n->withdraws)
        t->withdrawn = mailbox_withdraw(&t->box, &n->withdraws->message);
    if (n->sends_itself) {
        n->sends_itself = false;
        mailbox_send(&t->box, m);
    }
}

static int last_many = -1;

static void on_many(struct message *m)
{
    int id = CONTAINER_OF(m, struct note, message)->id;

    CHECK(id > last_many);
    last_many = id;
}

static void begin(struct trace *t, struct note *notes)
{
    *t = (struct trace){0};
    mailbox_init(&t->box, on_wake, t);
    for (int i = 0; i < NOTES_N; i++) {
        notes[i] = (struct note){.id = i, .trace = t};
        message_init(&notes[i].message, on_note);
    }
}

TEST(messages_come_in_the_order_in_which_they_were_sent)
{
    struct trace t;
    struct note n[NOTES_N];

    begin(&t, n);
    CHECK(mailbox_is_empty(&t.box));
    for (int i = 0; i < NOTES_N; i++)
        mailbox_send(&t.box, &n[NOTES_N - 1 - i].message);
    CHECK(!mailbox_is_empty(&t.box));
    CHECK_INT(mailbox_deliver(&t.box), NOTES_N);
    for (int i = 0; i < NOTES_N; i++)
        CHECK_INT(t.order[i], NOTES_N - 1 - i);
    CHECK_INT(mailbox_deliver(&t.box), 0);
    CHECK(mailbox_is_empty(&t.box));
    mailbox_fini(&t.box);
}

TEST(only_the_first_message_wakes)
{
    struct trace t;
    struct note n[NOTES_N];

    begin(&t, n);
    for (int i = 0; i < 3; i++)
        mailbox_send(&t.box, &n[i].message);
    CHECK_INT(t.wakes_n, 1);
    mailbox_deliver(&t.box);
    CHECK_INT(t.wakes_n, 1);
    mailbox_send(&t.box, &n[3].message);
    CHECK_INT(t.wakes_n, 2);
    CHECK(mailbox_withdraw(&t.box, &n[3].message));
    mailbox_send(&t.box, &n[4].message); /* empty again by the withdrawal */
    CHECK_INT(t.wakes_n, 3);
    CHECK_INT(mailbox_deliver(&t.box), 1);
    mailbox_fini(&t.box);
}

TEST(a_withdrawn_message_is_not_delivered)
{
    struct trace t;
    struct note n[NOTES_N];

    begin(&t, n);
    CHECK(!mailbox_withdraw(&t.box, &n[0].message)); /* never sent */
    for (int i = 0; i < 3; i++)
        mailbox_send(&t.box, &n[i].message);
    CHECK(mailbox_withdraw(&t.box, &n[1].message));
    CHECK(!mailbox_withdraw(&t.box, &n[1].message));
    CHECK_INT(mailbox_deliver(&t.box), 2);
    CHECK_INT(t.order[0], 0);
    CHECK_INT(t.order[1], 2);
    CHECK(!mailbox_withdraw(&t.box, &n[0].message)); /* delivered already */
    mailbox_send(&t.box, &n[1].message);             /* and it can be sent again */
    CHECK_INT(mailbox_deliver(&t.box), 1);
    mailbox_fini(&t.box);
}

TEST(a_delivery_can_withdraw_what_is_about_to_be_delivered)
{
    struct trace t;
    struct note n[NOTES_N];

    begin(&t, n);
    n[0].withdraws = &n[1];
    for (int i = 0; i < 3; i++)
        mailbox_send(&t.box, &n[i].message);
    CHECK_INT(mailbox_deliver(&t.box), 2);
    CHECK(t.withdrawn);
    CHECK_INT(t.order[0], 0);
    CHECK_INT(t.order[1], 2);
    mailbox_fini(&t.box);
}

TEST(a_message_can_send_itself_again_for_the_next_time)
{
    struct trace t;
    struct note n[NOTES_N];

    begin(&t, n);
    n[0].sends_itself = true;
    mailbox_send(&t.box, &n[0].message);
    CHECK_INT(mailbox_deliver(&t.box), 1); /* what comes meanwhile waits for the next turn */
    CHECK_INT(t.wakes_n, 2);
    CHECK_INT(mailbox_deliver(&t.box), 1);
    CHECK_INT(mailbox_deliver(&t.box), 0);
    mailbox_fini(&t.box);
}

TEST(a_turn_delivers_a_bounded_number_and_the_rest_goes_on_in_its_order)
{
    enum { N = 2 * TURN_MESSAGES + TURN_MESSAGES / 3 };
    static struct note many[N];
    struct trace t;
    struct note n[NOTES_N];

    begin(&t, n);
    for (int i = 0; i < N; i++) {
        many[i] = (struct note){.id = i, .trace = &t};
        message_init(&many[i].message, on_many);
        mailbox_send(&t.box, &many[i].message);
    }
    CHECK_INT(mailbox_deliver(&t.box), TURN_MESSAGES);
    CHECK(!mailbox_is_empty(&t.box));
    mailbox_send(&t.box, &n[0].message);                           /* behind all of them */
    CHECK(mailbox_withdraw(&t.box, &many[TURN_MESSAGES].message)); /* one that was taken out of the queue */
    CHECK_INT(mailbox_deliver(&t.box), TURN_MESSAGES);
    CHECK(!mailbox_is_empty(&t.box));
    CHECK_INT(mailbox_deliver(&t.box), N - 2 * TURN_MESSAGES - 1 + 1);
    CHECK(mailbox_is_empty(&t.box));
    CHECK_INT(t.delivered_n, 1); /* the note, by its own callback */
    CHECK_INT(t.wakes_n, 2);
    CHECK_INT(last_many, N - 1);
    mailbox_fini(&t.box);
}

/* -- several senders, one receiver that sleeps and withdraws --------------------------------------------- */

#define SENDERS_N 3
#define LETTERS_N 20000 /* per sender */

struct letter {
    struct message message;
    int sender, number;
    atomic_bool sent;
    bool gone; /* receiver's thread: delivered or withdrawn */
};

struct post {
    struct mailbox box;
    pthread_mutex_t lock;
    pthread_cond_t bell;
    bool rung; /* under lock */
    struct letter *letters[SENDERS_N];
    int last[SENDERS_N]; /* receiver's thread */
    int gone_n, doubled_n, out_of_order_n;
};

static _Thread_local struct post *receiving; /* deliver has only the message */

static void ring(void *ud)
{
    struct post *p = ud;

    pthread_mutex_lock(&p->lock);
    p->rung = true;
    pthread_cond_signal(&p->bell);
    pthread_mutex_unlock(&p->lock);
}

static void on_letter(struct message *m)
{
    struct letter *l = CONTAINER_OF(m, struct letter, message);
    struct post *p = receiving;

    p->doubled_n += l->gone;
    p->out_of_order_n += l->number <= p->last[l->sender];
    p->last[l->sender] = l->number;
    p->gone_n += !l->gone;
    l->gone = true;
    /* Tries to take one of the next letters of everybody back, wherever it is by now. */
    for (int s = 0; s < SENDERS_N; s++) {
        struct letter *other = &p->letters[s][l->number];
        if (l->number % 3 != 0 || !atomic_load(&other->sent) || !mailbox_withdraw(&p->box, &other->message))
            continue;
        p->doubled_n += other->gone;
        p->gone_n++;
        other->gone = true;
    }
}

struct sender {
    struct post *post;
    struct letter *letters;
};

static void *send_letters(void *ud)
{
    struct sender *s = ud;

    for (int i = 0; i < LETTERS_N; i++) {
        mailbox_send(&s->post->box, &s->letters[i].message);
        atomic_store(&s->letters[i].sent, true);
    }
    return NULL;
}

TEST(nothing_is_lost_or_doubled_between_threads)
{
    struct post p = {.last = {-1, -1, -1}};
    struct sender senders[SENDERS_N];
    pthread_t threads[SENDERS_N];
    int called_n = 0;

    mailbox_init(&p.box, ring, &p);
    pthread_mutex_init(&p.lock, NULL);
    pthread_cond_init(&p.bell, NULL);
    receiving = &p;
    for (int s = 0; s < SENDERS_N; s++) {
        p.letters[s] = calloc(LETTERS_N, sizeof(struct letter));
        for (int i = 0; i < LETTERS_N; i++) {
            message_init(&p.letters[s][i].message, on_letter);
            p.letters[s][i].sender = s;
            p.letters[s][i].number = i;
        }
    }
    for (int s = 0; s < SENDERS_N; s++) {
        senders[s] = (struct sender){&p, p.letters[s]};
        CHECK_INT(pthread_create(&threads[s], NULL, send_letters, &senders[s]), 0);
    }
    while (p.gone_n < SENDERS_N * LETTERS_N) { /* sleeps for ever if a wake is lost */
        pthread_mutex_lock(&p.lock);
        while (!p.rung)
            pthread_cond_wait(&p.bell, &p.lock);
        p.rung = false;
        pthread_mutex_unlock(&p.lock);
        do /* a bounded number at a time */
            called_n += mailbox_deliver(&p.box) > 0;
        while (!mailbox_is_empty(&p.box));
    }
    for (int s = 0; s < SENDERS_N; s++)
        pthread_join(threads[s], NULL);
    CHECK_INT(p.gone_n, SENDERS_N * LETTERS_N);
    CHECK_INT(p.doubled_n, 0);
    CHECK_INT(p.out_of_order_n, 0);
    CHECK(called_n > 0);
    CHECK_INT(mailbox_deliver(&p.box), 0);
    mailbox_fini(&p.box);
    for (int s = 0; s < SENDERS_N; s++)
        free(p.letters[s]);
}
