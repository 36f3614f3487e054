/* SPDX-License-Identifier: MIT */
/* The real loop: waking, sleeping, signals, names, and sources that close each other. */
#include <pthread.h>
#include <signal.h>

#include "real_kit.h"

/* -- waking --------------------------------------------------------------------------------------------- */

#define ROUNDS ((size_t)5000)

/* A ball that two loops on two threads throw to each other. */
struct ball {
    struct message message;
    struct loop *here, *there;
    size_t rounds_n;
    struct loop *stop[2];
};

static void on_ball(struct message *m)
{
    struct ball *b = CONTAINER_OF(m, struct ball, message);
    struct loop *l = b->here;

    if (++b->rounds_n == ROUNDS) {
        loop_real_stop(b->stop[0]);
        loop_real_stop(b->stop[1]);
        return;
    }
    b->here = b->there;
    b->there = l;
    mailbox_send(&b->here->mailbox, m);
}

static void *run_loop(void *ud)
{
    loop_real_run(ud);
    return NULL;
}

static void on_too_late(struct timer *t)
{
    (void)t;
    CHECK(!"a wake-up was lost");
    abort(); /* the other thread sleeps for ever */
}

TEST(no_wake_up_between_threads_is_lost)
{
    struct loop *a = loop_real_new(&(struct real_opts){.seed = 1});
    struct loop *b = loop_real_new(&(struct real_opts){.seed = 2});
    struct ball ball = {.here = a, .there = b, .stop = {a, b}};
    struct timer guard;
    pthread_t thread;

    message_init(&ball.message, on_ball);
    timer_init(&guard, on_too_late);
    timer_set(&a->wheel, &guard, clock_mono_us() + PATIENCE_US);
    mailbox_send(&a->mailbox, &ball.message);
    CHECK_INT(pthread_create(&thread, NULL, run_loop, b), 0);
    loop_real_run(a);
    CHECK_INT(pthread_join(thread, NULL), 0);
    timer_stop(&a->wheel, &guard);
    CHECK_INT(ball.rounds_n, ROUNDS);
    CHECK(a->turns <= 2 * ROUNDS + 10); /* a turn for each catch, and one for a wake-up that came late */
    loop_free(&a);
    loop_free(&b);
}

#define SENDERS 4
#define EACH ((size_t)5000)

struct letter {
    struct message message;
    struct post *post;
    size_t from, number;
};

struct post {
    struct loop *l;
    struct letter letters[SENDERS][EACH];
    size_t got_n[SENDERS], total_n;
};

static struct post post; /* large */

static void on_letter(struct message *m)
{
    struct letter *x = CONTAINER_OF(m, struct letter, message);

    CHECK_INT(x->number, x->post->got_n[x->from]++); /* each sender's in their order */
    if (++x->post->total_n == SENDERS * EACH)
        loop_real_stop(x->post->l);
}

static void *send_letters(void *ud)
{
    struct letter *mine = ud;

    for (size_t i = 0; i < EACH; i++)
        mailbox_send(&mine->post->l->mailbox, &mine[i].message);
    return NULL;
}

TEST(letters_of_many_threads_all_arrive)
{
    pthread_t threads[SENDERS];
    struct timer guard;

    post.l = loop_real_new(&(struct real_opts){.seed = 1});
    timer_init(&guard, on_too_late);
    timer_set(&post.l->wheel, &guard, clock_mono_us() + PATIENCE_US);
    for (size_t i = 0; i < SENDERS; i++) {
        for (size_t j = 0; j < EACH; j++) {
            post.letters[i][j] = (struct letter){.post = &post, .from = i, .number = j};
            message_init(&post.letters[i][j].message, on_letter);
        }
    }
    for (size_t i = 0; i < SENDERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, send_letters, post.letters[i]), 0);
    loop_real_run(post.l);
    for (size_t i = 0; i < SENDERS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(post.total_n, SENDERS * EACH);
    timer_stop(&post.l->wheel, &guard);
    loop_free(&post.l);
}

TEST(a_stop_before_the_run_counts)
{
    struct loop *l = loop_real_new(&(struct real_opts){.seed = 1});

    loop_real_stop(l);
    loop_real_run(l);
    CHECK(l->turns <= 2);
    loop_free(&l);
}

/* -- sleeping ------------------------------------------------------------------------------------------- */

#define OPEN_N 50

TEST(an_idle_loop_takes_no_turns)
{
    struct kit k;
    struct side x[OPEN_N] = {0};

    kit_init(&k);
    for (size_t i = 0; i < OPEN_N; i++)
        kit_pair(&k, &x[i]);
    for (size_t i = 0; i < OPEN_N; i += 2)
        stream_pause(x[i].s);
    CHECK(kit_rest(&k, 300 * CLOCK_MS_US) <= IDLE_TURNS_MAX);
    for (size_t i = 0; i < OPEN_N; i++)
        stream_close(&x[i].s);
    kit_fini(&k);
}

struct alarm {
    struct kit *kit;
    struct timer timer;
    int64_t due_us;
    size_t fired_n;
};

static void on_alarm(struct timer *t)
{
    struct alarm *a = CONTAINER_OF(t, struct alarm, timer);

    CHECK(clock_mono_us() >= a->due_us);
    CHECK(a->kit->l->now_us >= a->due_us);
    a->fired_n++;
    kit_look(a->kit);
}

TEST(timers_never_fire_early)
{
    static const int64_t AFTER_US[] = {0, 1, 999, 1000, 1001, 3500, 20000, 65000};
    struct kit k;

    kit_init(&k);
    for (size_t i = 0; i < COUNT_OF(AFTER_US); i++) {
        struct alarm a = {.kit = &k, .due_us = clock_mono_us() + AFTER_US[i]};

        timer_init(&a.timer, on_alarm);
        timer_set(&k.l->wheel, &a.timer, a.due_us);
        kit_until(&k, &a.fired_n, 1);
    }
    kit_fini(&k);
}

/* -- signals -------------------------------------------------------------------------------------------- */

struct heard {
    struct kit *kit;
    size_t n;
    int last;
};

static void on_signal(void *ud, int sig)
{
    struct heard *h = ud;

    h->n++;
    h->last = sig;
    kit_look(h->kit);
}

TEST(signals_arrive_as_calls)
{
    static const int SIGNALS[] = {SIGUSR1, SIGUSR2};
    struct kit k;
    struct heard h = {.kit = &k};
    sigset_t set, old;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    kit_init(&k);
    CHECK_INT(loop_real_signals(k.l, SIGNALS, COUNT_OF(SIGNALS), on_signal, &h), ERR_OK);
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(kill(getpid(), SIGNALS[i % 2]), 0);
        kit_until(&k, &h.n, i + 1);
        CHECK_INT(h.last, SIGNALS[i % 2]);
    }
    CHECK_INT(kill(getpid(), SIGUSR1), 0);
    CHECK_INT(kill(getpid(), SIGUSR2), 0); /* both wait for one turn */
    kit_until(&k, &h.n, 6);
    kit_fini(&k);
    CHECK_INT(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

/* -- names ---------------------------------------------------------------------------------------------- */

struct found {
    struct kit *kit;
    size_t n;
    enum err e;
    bool loopback;
    uint16_t port;
};

static void on_found(void *ud, enum err e, const struct addr *addrs, size_t n)
{
    struct found *f = ud;

    f->n++;
    f->e = e;
    f->loopback = n > 0 && addr_is_loopback(&addrs[0]);
    f->port = n > 0 ? addr_port(&addrs[0]) : 0;
    kit_look(f->kit);
}

TEST(names_are_looked_up_by_the_loop)
{
    struct kit k;
    struct found f = {.kit = &k}, never = {.kit = &k};
    struct lookup *given_up;

    kit_init(&k);
    given_up = k.l->ops->resolve(k.l, "localhost", 81, on_found, &never);
    k.l->ops->resolve(k.l, "localhost", 80, on_found, &f);
    CHECK_INT(f.n, 0); /* never from inside the call */
    k.l->ops->lookup_cancel(&given_up);
    CHECK(given_up == NULL);
    kit_until(&k, &f.n, 1);
    CHECK_INT(f.e, ERR_OK);
    CHECK(f.loopback);
    CHECK_INT(f.port, 80);
    CHECK_INT(never.n, 0);
    kit_fini(&k);
}

/* -- one batch ------------------------------------------------------------------------------------------ */

#define CROWD_N 40

/* Accepted sides of which the first to hear anything closes all others. */
struct quarrel {
    struct kit kit;
    struct side client[CROWD_N];
    struct stream *accepted[CROWD_N];
    size_t accepted_n, heard_n;
};

static void on_quarrel_data(void *ud, struct slice bytes)
{
    struct quarrel *q = ud;

    CHECK(slice_eq(bytes, SLICE("me")));
    q->heard_n++;
    for (size_t i = 0; i < q->accepted_n; i++)
        stream_close(&q->accepted[i]); /* itself too */
    kit_look(&q->kit);
}

static void on_quarrel_close(void *ud, enum err why)
{
    (void)ud;
    CHECK_INT(why, ERR_OK); /* nobody closes before they are closed */
}

static const struct stream_cb QUARREL_CB = {NULL, on_quarrel_data, NULL, on_quarrel_close};

static void on_quarrel_accept(void *ud, struct stream *s, const struct addr *peer)
{
    struct quarrel *q = ud;

    (void)peer;
    stream_set_cb(s, &QUARREL_CB, q);
    q->accepted[q->accepted_n++] = s;
    kit_look(&q->kit);
}

TEST(streams_of_one_batch_may_close_each_other)
{
    struct quarrel q = {0};
    struct listener *ls;

    kit_init(&q.kit);
    CHECK_INT(addr_parse(SLICE("127.0.0.1:0"), &q.kit.at), ERR_OK);
    CHECK_INT(q.kit.l->ops->listen(q.kit.l, &q.kit.at, on_quarrel_accept, &q, &ls, &q.kit.at), ERR_OK);
    for (size_t i = 0; i < CROWD_N; i++)
        kit_connect(&q.kit, &q.client[i]);
    kit_until(&q.kit, &q.accepted_n, CROWD_N);
    for (size_t i = 0; i < CROWD_N; i++)
        kit_until(&q.kit, &q.client[i].opens_n, 1);
    for (size_t i = 0; i < CROWD_N; i++)
        stream_send(q.client[i].s, SLICE("me")); /* all of them leave at the end of one turn */
    kit_until(&q.kit, &q.heard_n, 1);
    for (size_t i = 0; i < CROWD_N; i++)
        kit_until(&q.kit, &q.client[i].closes_n, 1);
    CHECK_INT(q.heard_n, 1);
    for (size_t i = 0; i < CROWD_N; i++)
        stream_close(&q.client[i].s);
    q.kit.l->ops->unlisten(&ls);
    kit_fini(&q.kit);
}
