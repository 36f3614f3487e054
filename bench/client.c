/* SPDX-License-Identifier: MIT */
/*
 * The load: asks a proxy (or the origin itself) and checks and times every byte of the answers.
 *
 * --mode json: N keep-alive connections, each asks again as soon as it is answered (a closed loop); with one
 * connection this measures latency. With --rate they ask that often together, whoever has rested longest
 * first. --mode sse: N streams at once, opened over --ramp-ms, each on a connection of its own, each read
 * until its end. No two request bodies are equal: a counter stands in the prompt.
 *
 * A run: ramp; --warm-ms after the last connection, or later when some stream has not had its first event,
 * the window of --window-ms opens, in which everything is counted; at its end the CPU time that --pids
 * used in it is taken, and what is under way is finished. One line of JSON on stdout says what was found.
 * Checked all the time, not in the window alone: status 200, the plain reply byte for byte, of a stream
 * the number of events and [DONE] as the last.
 *
 * With --by-meaning gateways may write answers anew: an answer must say what the origin said, in whatever
 * form, and an event is one that says something, so those that a gateway adds count for nothing.
 *
 * A gap is the time between two reads of one stream that brought events; events_per_read says how many a read
 * brought, so a proxy that holds events back shows in both.
 */
#include "client_options.h"
#include "kit.h"
#include "reply.h"
#include "wire.h"

#include <sys/epoll.h>

#define BATCH_N 512
#define REQUEST_MAX 2048
#define IN_MAX 65536
#define ERRORS_MAX 1000
#define TAIL_N 14 /* length of "data: [DONE]\n\n" */
#define GRACE_US 5000000

struct conn {
    bool is_open;
    bool is_asking;   /* a request is out and its answer is not complete */
    bool is_even;     /* the last byte of the body was a line feed, so another one ends an event */
    bool is_right;    /* the body so far is what it ought to be */
    int next_resting; /* descriptor behind this one in the line of the resting; 0 ends it */
    int64_t asked_us;
    int64_t last_us; /* when the last read with events was; 0 before the first */
    uint64_t body_n;
    size_t said_at; /* how much of what is to be said has been read */
    long events_n;
    size_t tail_n;
    char tail[TAIL_N]; /* the last bytes of the body */
    struct reply reply;
};

struct errors {
    long connect, status, body, cut;
};

enum phase { PHASE_RAMP, PHASE_WINDOW, PHASE_FINISH };

struct client {
    struct options opt;
    int epoll;
    int conn_n;
    struct conn *conns; /* by descriptor */
    char *in;
    enum phase phase;
    long opened_n;             /* connections begun so far */
    int resting, resting_last; /* connections that wait until the rate lets them ask; 0: none */
    long asking_n;             /* requests out now */
    long speaking_n;           /* streams that have had an event */
    long asked_n;              /* requests sent in all, also the number in the next prompt */
    long answered_n;           /* complete and correct answers in all */
    long reconnects_n;         /* keep-alive connections that the peer closed between two answers */
    long window_unit_n;        /* answers or events inside the window */
    long window_read_n;        /* reads inside the window that brought events */
    long at_end_n;             /* streams under way when the window closed */
    int64_t window_cpu_us, window_us;
    int64_t started_us;      /* when the ramp began */
    int64_t phase_us;        /* when this phase began; in the ramp, when its last connection was opened */
    struct kit_hist latency; /* of answers, or from asking to the first event */
    struct kit_hist gap;
    struct errors errors;
};

static void give_up_on_many_errors(const struct client *cl)
{
    const struct errors *e = &cl->errors;

    if (e->connect + e->status + e->body + e->cut > ERRORS_MAX)
        kit_die("too many errors: %ld connections, %ld statuses, %ld bodies, %ld cut", e->connect, e->status,
                e->body, e->cut);
}

/* Writes the next request; the plain body is about 300 bytes long. */
static size_t make_request(struct client *cl, char *out)
{
    static const char text[] = "Explain to a sailor why the tide comes in twice a day, and when it does not.";
    char body[512];
    char stream[64] = "";
    int body_n, n;

    if (cl->opt.is_sse)
        snprintf(stream, sizeof stream, ",\"stream\":true,\"max_tokens\":%ld", cl->opt.events_n);
    body_n =
        snprintf(body, sizeof body,
                 "{\"model\":\"bench-model\",\"messages\":[{\"role\":\"system\",\"content\":\"You are the "
                 "harbour master of a small port and answer briefly.\"},{\"role\":\"user\",\"content\":"
                 "\"Question %010ld of %06d. %s\"}],\"temperature\":0.7,\"top_p\":0.95,\"seed\":1234%s}",
                 cl->asked_n, (int)getpid() % 1000000, text, stream);
    n = snprintf(out, REQUEST_MAX,
                 "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                 "User-Agent: bench\r\nAccept: */*\r\n%s\r\n%s",
                 cl->opt.path, cl->opt.host, body_n, cl->opt.headers, body);
    if (n < 0 || n >= REQUEST_MAX)
        kit_die("the request is longer than %d bytes", REQUEST_MAX);
    return (size_t)n;
}

static void open_conn(struct client *cl)
{
    int fd = kit_connect(&cl->opt.addr);
    struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd};

    if (fd < 0 || fd >= cl->conn_n)
        kit_die("connect: %s", fd < 0 ? strerror(errno) : "more connections than the limit of open files");
    memset(&cl->conns[fd], 0, offsetof(struct conn, reply));
    cl->conns[fd].is_open = true;
    if (epoll_ctl(cl->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
        kit_die("epoll_ctl: %s", strerror(errno));
}

/* Ends a connection; in json mode another takes its place until the run finishes. */
static void close_conn(struct client *cl, int fd)
{
    struct conn *c = &cl->conns[fd];

    if (c->is_asking)
        cl->asking_n--;
    c->is_open = false;
    c->is_asking = false;
    close(fd);
    give_up_on_many_errors(cl);
    if (!cl->opt.is_sse && cl->phase != PHASE_FINISH)
        open_conn(cl);
}

static void ask(struct client *cl, int fd)
{
    struct conn *c = &cl->conns[fd];
    char out[REQUEST_MAX];
    size_t n = make_request(cl, out);

    reply_init(&c->reply);
    c->body_n = 0;
    c->said_at = 0;
    c->events_n = 0;
    c->tail_n = 0;
    c->last_us = 0;
    c->is_even = false;
    c->is_right = true;
    c->asked_us = kit_now_us();
    if (send(fd, out, n, MSG_NOSIGNAL) != (ssize_t)n) {
        cl->errors.cut++;
        close_conn(cl, fd);
        return;
    }
    c->is_asking = true;
    cl->asking_n++;
    cl->asked_n++;
}

/* A connection that could ask: now, or when the rate has room. */
static void ask_in_turn(struct client *cl, int fd)
{
    if (cl->opt.rate_n == 0) {
        ask(cl, fd);
        return;
    }
    cl->conns[fd].next_resting = 0;
    if (cl->resting == 0)
        cl->resting = fd;
    else
        cl->conns[cl->resting_last].next_resting = fd;
    cl->resting_last = fd;
}

/* Lets as many of the resting ask as are due. A proxy that closes resting connections shows as errors. */
static void keep_rate(struct client *cl, int64_t now)
{
    int64_t due_n = (now - cl->started_us) * cl->opt.rate_n / 1000000;

    while (cl->resting != 0 && cl->asked_n < due_n && cl->phase != PHASE_FINISH) {
        int fd = cl->resting;

        cl->resting = cl->conns[fd].next_resting;
        ask(cl, fd);
    }
}

static void on_json_body(void *arg, const char *p, size_t n)
{
    struct conn *c = arg;

    if (c->body_n + n > sizeof WIRE_REPLY - 1 || memcmp(&WIRE_REPLY[c->body_n], p, n) != 0)
        c->is_right = false;
    c->body_n += n;
}

/* Counts events by the empty line that ends each, and keeps the last bytes. */
static void on_sse_body(void *arg, const char *p, size_t n)
{
    struct conn *c = arg;
    const char *end = p + n;
    size_t keep_n = n < TAIL_N ? n : TAIL_N;
    size_t old_n = c->tail_n < TAIL_N - keep_n ? c->tail_n : TAIL_N - keep_n;

    memmove(c->tail, c->tail + c->tail_n - old_n, old_n);
    memcpy(c->tail + old_n, end - keep_n, keep_n);
    c->tail_n = old_n + keep_n;
    c->body_n += n;
    for (const char *at = p; at < end;) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));

        if (lf == NULL) {
            c->is_even = false;
            return;
        }
        if (lf > at)
            c->is_even = false;
        if (c->is_even)
            c->events_n++;
        c->is_even = !c->is_even;
        at = lf + 1;
    }
}

/* Counts how often the text is said; bytes may come in any pieces. */
static void look_for(struct conn *c, const char *text, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        c->said_at = p[i] == text[c->said_at] ? c->said_at + 1 : p[i] == text[0] ? 1 : 0;
        if (text[c->said_at] == '\0') {
            c->said_at = 0;
            c->events_n++;
        }
    }
}

static void on_any_json_body(void *arg, const char *p, size_t n)
{
    look_for(arg, WIRE_SAID, p, n);
}

static void on_any_sse_body(void *arg, const char *p, size_t n)
{
    struct conn *c = arg;
    long events_n = c->events_n;

    on_sse_body(arg, p, n); /* for the tail */
    c->events_n = events_n;
    look_for(c, WIRE_EVENT_SAID, p, n);
}

static bool is_right(const struct client *cl, const struct conn *c)
{
    if (cl->opt.is_by_meaning && !cl->opt.is_sse)
        return c->events_n == 1;
    if (!cl->opt.is_sse)
        return c->is_right && c->body_n == sizeof WIRE_REPLY - 1;
    return c->events_n == cl->opt.events_n + (cl->opt.is_by_meaning ? -2 : 1) && c->tail_n == TAIL_N &&
           memcmp(c->tail, WIRE_EVENT_DONE, TAIL_N) == 0;
}

static void on_answered(struct client *cl, int fd, int64_t now)
{
    struct conn *c = &cl->conns[fd];

    c->is_asking = false;
    cl->asking_n--;
    if (c->reply.status != 200)
        cl->errors.status++;
    else if (!is_right(cl, c))
        cl->errors.body++;
    else
        cl->answered_n++;
    if (cl->opt.is_sse) {
        close_conn(cl, fd);
        return;
    }
    if (cl->phase == PHASE_WINDOW) {
        cl->window_unit_n++;
        kit_hist_add(&cl->latency, now - c->asked_us);
    }
    if (c->reply.status != 200 || !c->is_right)
        close_conn(cl, fd);
    else if (cl->phase != PHASE_FINISH)
        ask_in_turn(cl, fd);
}

/* After a read that brought `events_n` events. */
static void on_events(struct client *cl, struct conn *c, long events_n, int64_t now)
{
    if (c->last_us == 0) {
        cl->speaking_n++;
        kit_hist_add(&cl->latency, now - c->asked_us);
    } else if (cl->phase == PHASE_WINDOW) {
        kit_hist_add(&cl->gap, now - c->last_us);
    }
    c->last_us = now;
    if (cl->phase == PHASE_WINDOW) {
        cl->window_unit_n += events_n;
        cl->window_read_n++;
    }
}

static reply_body_cb *body_reader(const struct options *o)
{
    if (o->is_by_meaning)
        return o->is_sse ? on_any_sse_body : on_any_json_body;
    return o->is_sse ? on_sse_body : on_json_body;
}

static void on_bytes(struct client *cl, int fd, size_t n)
{
    struct conn *c = &cl->conns[fd];
    long before_n = c->events_n;
    int64_t now = kit_now_us();

    if (!c->is_asking) {
        cl->errors.body++;
        close_conn(cl, fd);
        return;
    }
    reply_feed(&c->reply, cl->in, n, body_reader(&cl->opt), c);
    if (cl->opt.is_sse && c->events_n > before_n)
        on_events(cl, c, c->events_n - before_n, now);
    if (c->reply.state == REPLY_DONE) {
        on_answered(cl, fd, now);
    } else if (c->reply.state == REPLY_BAD) {
        cl->errors.body++;
        close_conn(cl, fd);
    }
}

static void on_connected(struct client *cl, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
    int err = 0;
    socklen_t err_n = sizeof err;

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &err_n);
    if (err != 0 || epoll_ctl(cl->epoll, EPOLL_CTL_MOD, fd, &ev) != 0) {
        cl->errors.connect++;
        close_conn(cl, fd);
        return;
    }
    ask_in_turn(cl, fd);
}

static void on_readable(struct client *cl, int fd)
{
    ssize_t n = recv(fd, cl->in, IN_MAX, 0);

    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        on_bytes(cl, fd, (size_t)n);
        return;
    }
    if (cl->conns[fd].is_asking)
        cl->errors.cut++;
    else
        cl->reconnects_n++;
    close_conn(cl, fd);
}

/* Opens what is due of the ramp. */
static void ramp(struct client *cl, int64_t now)
{
    const struct options *o = &cl->opt;
    int64_t ramp_us = o->ramp_ms * 1000;
    int64_t due_n = ramp_us == 0 ? o->connections : 1 + (now - cl->started_us) * o->connections / ramp_us;

    while (cl->opened_n < o->connections && cl->opened_n < due_n) {
        open_conn(cl);
        cl->opened_n++;
        cl->phase_us = now;
    }
}

static bool is_ramp_done(const struct client *cl, int64_t now)
{
    const struct options *o = &cl->opt;

    if (cl->opened_n < o->connections || now - cl->phase_us < o->warm_ms * 1000)
        return false;
    /* A stream that never speaks must not keep the run from ending. */
    return !o->is_sse || cl->speaking_n >= o->connections || now - cl->phase_us > GRACE_US;
}

/* Moves the run from phase to phase; returns false at its end. */
static bool advance(struct client *cl, int64_t now)
{
    const struct options *o = &cl->opt;

    switch (cl->phase) {
    case PHASE_RAMP:
        ramp(cl, now);
        if (is_ramp_done(cl, now)) {
            cl->phase = PHASE_WINDOW;
            cl->phase_us = now;
            cl->window_cpu_us = kit_cpu_us(o->pids, o->pid_n);
        }
        return true;
    case PHASE_WINDOW:
        if (now - cl->phase_us >= o->window_ms * 1000) {
            cl->window_cpu_us = kit_cpu_us(o->pids, o->pid_n) - cl->window_cpu_us;
            cl->window_us = now - cl->phase_us;
            cl->at_end_n = cl->asking_n;
            cl->phase = PHASE_FINISH;
            cl->phase_us = now;
        }
        return true;
    case PHASE_FINISH:
        return cl->asking_n > 0 && now - cl->phase_us < GRACE_US;
    }
    return false;
}

static void run(struct client *cl)
{
    struct epoll_event ready[BATCH_N];

    cl->started_us = kit_now_us();
    while (advance(cl, kit_now_us())) {
        int n = epoll_wait(cl->epoll, ready, BATCH_N, 1);

        if (n < 0 && errno != EINTR)
            kit_die("epoll_wait: %s", strerror(errno));
        keep_rate(cl, kit_now_us());
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;

            if (!cl->conns[fd].is_open)
                continue;
            if (ready[i].events & EPOLLOUT)
                on_connected(cl, fd);
            else
                on_readable(cl, fd);
        }
    }
    /* Whatever is still out after the grace was not answered in full. */
    cl->errors.cut += cl->asking_n;
}

static void print_result(const struct client *cl)
{
    const struct errors *e = &cl->errors;
    double units = cl->window_unit_n > 0 ? (double)cl->window_unit_n : 1;
    double reads = cl->window_read_n > 0 ? (double)cl->window_read_n : 1;

    printf("{\"mode\":\"%s\",\"connections\":%ld,\"window_us\":%jd,", cl->opt.is_sse ? "sse" : "json",
           cl->opt.connections, (intmax_t)cl->window_us);
    printf("\"units\":%ld,\"cpu_us\":%jd,\"cpu_us_per_unit\":%.3f,", cl->window_unit_n,
           (intmax_t)cl->window_cpu_us, (double)cl->window_cpu_us / units);
    printf("\"asked\":%ld,\"answered\":%ld,\"at_end\":%ld,\"reconnects\":%ld,", cl->asked_n, cl->answered_n,
           cl->at_end_n, cl->reconnects_n);
    printf("\"latency_p50_us\":%jd,\"latency_p99_us\":%jd,", (intmax_t)kit_hist_at(&cl->latency, 0.5),
           (intmax_t)kit_hist_at(&cl->latency, 0.99));
    printf("\"gap_p50_us\":%jd,\"gap_p99_us\":%jd,\"events_per_read\":%.3f,",
           (intmax_t)kit_hist_at(&cl->gap, 0.5), (intmax_t)kit_hist_at(&cl->gap, 0.99),
           cl->opt.is_sse ? units / reads : 0);
    printf("\"errors\":{\"connect\":%ld,\"status\":%ld,\"body\":%ld,\"cut\":%ld}}\n", e->connect, e->status,
           e->body, e->cut);
}

int main(int argc, char **argv)
{
    struct client *cl = kit_pages(sizeof *cl);

    cl->opt = (struct options){
        .connections = 64, .window_ms = 2000, .warm_ms = 300, .ramp_ms = 100, .events_n = 200, .headers = ""};
    take_options(&cl->opt, argc, argv);
    cl->conn_n = kit_raise_files();
    cl->conns = kit_pages((size_t)cl->conn_n * sizeof *cl->conns);
    cl->in = kit_pages(IN_MAX);
    kit_hist_init(&cl->latency);
    kit_hist_init(&cl->gap);
    cl->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (cl->epoll < 0)
        kit_die("epoll: %s", strerror(errno));
    run(cl);
    print_result(cl);
    return 0;
}
