/* SPDX-License-Identifier: MIT */
/*
 * The model that the bench asks: a fixed answer, or a paced stream of events, at the least possible cost.
 *
 * A POST gets one sized chat completion of about 500 bytes. If its body says "stream":true it gets
 * server-sent events instead, each in a chunk and a send of its own: as many as the body's "max_tokens"
 * asks for (else --events), one every --interval-us from a random phase on, the last one with its
 * finish_reason, then usage if the body asked for it, and [DONE]. GET /count tells what was served, so
 * that a proxy that answers by itself or asks twice is found out.
 *
 * Why a wheel: all streams have the same interval, so a wheel that turns once per interval keeps every stream
 * in one slot for life; sending an event never moves anything. A slot is 100 us wide, so at 1,000 streams and
 * 20 ms some five events leave together and a proxy does not get them in large, cheap batches.
 *
 * With --cert and --key it speaks TLS.
 *
 * Invariants: a connection answers one request at a time and in order; what comes early waits in its buffer.
 * A send that the kernel does not take whole would mean a proxy that stopped reading; the connection is
 * closed and counted as an overrun.
 */
#include "kit.h"
#include "secure.h"
#include "wire.h"

#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>

#define IN_MAX 8192
#define TICK_US 100
#define BATCH_N 512

struct conn {
    bool is_open;
    bool is_streaming;
    bool wants_usage;
    int prev, next; /* neighbours in the wheel's slot, by descriptor; 0 ends the list */
    int slot;
    long sent_n;  /* content events sent of this stream */
    long total_n; /* content events that this stream will have */
    SSL *ssl;     /* or NULL: plain */
    size_t in_n;
    char in[IN_MAX];
};

struct wheel {
    int *head; /* first stream in each slot, by descriptor; 0 is an empty slot */
    int slot_n;
    int at;           /* slot to be served next */
    int64_t due_us;   /* when it is due */
    long streaming_n; /* streams in the wheel */
};

enum event { EVENT_FIRST, EVENT_NEXT, EVENT_LAST, EVENT_USAGE, EVENT_DONE, EVENT_N };

/* An event as it goes out: one chunk, [DONE] together with the end of the body. */
struct chunk {
    size_t n;
    char p[512];
};

struct origin {
    int epoll, listener;
    SSL_CTX *ctx; /* or NULL: plain */
    int conn_n;
    struct conn *conns; /* by descriptor */
    struct wheel wheel;
    struct chunk chunk[EVENT_N];
    long events_n; /* events of a stream that does not say how many it wants */
    uint64_t dice;
    uint64_t posts_n, streams_n, sent_events_n, overruns_n;
};

/* One request as found in a connection's buffer. */
struct request {
    const char *head, *body;
    size_t head_n, body_n;
};

static uint64_t roll(uint64_t *dice)
{
    /* xorshift64, Marsaglia 2003 */
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return *dice;
}

static void leave_wheel(struct origin *o, int fd)
{
    struct conn *c = &o->conns[fd];

    if (!c->is_streaming)
        return;
    if (c->prev != 0)
        o->conns[c->prev].next = c->next;
    else
        o->wheel.head[c->slot] = c->next;
    if (c->next != 0)
        o->conns[c->next].prev = c->prev;
    c->is_streaming = false;
    o->wheel.streaming_n--;
}

static void enter_wheel(struct origin *o, int fd)
{
    struct conn *c = &o->conns[fd];
    struct wheel *w = &o->wheel;

    if (w->streaming_n++ == 0)
        w->due_us = kit_now_us();
    c->is_streaming = true;
    c->slot = (int)(roll(&o->dice) % (uint64_t)w->slot_n);
    c->prev = 0;
    c->next = w->head[c->slot];
    if (c->next != 0)
        o->conns[c->next].prev = fd;
    w->head[c->slot] = fd;
}

static void shut(struct origin *o, int fd)
{
    leave_wheel(o, fd);
    o->conns[fd].is_open = false;
    SSL_free(o->conns[fd].ssl);
    o->conns[fd].ssl = NULL;
    close(fd);
}

/* Sends all of it or closes the connection; returns whether it is still open. */
static bool put(struct origin *o, int fd, const char *p, size_t n)
{
    SSL *ssl = o->conns[fd].ssl;
    ssize_t sent_n = ssl != NULL ? secure_send(ssl, p, n) : send(fd, p, n, MSG_NOSIGNAL);

    if (sent_n == (ssize_t)n)
        return true;
    if (sent_n >= 0 || errno == EAGAIN)
        o->overruns_n++;
    shut(o, fd);
    return false;
}

static bool put_sized(struct origin *o, int fd, const char *status, const char *body)
{
    char out[2048];
    int n = snprintf(out, sizeof out,
                     "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
                     strlen(body), body);

    return put(o, fd, out, (size_t)n);
}

static bool put_chunk(struct origin *o, int fd, enum event which)
{
    return put(o, fd, o->chunk[which].p, o->chunk[which].n);
}

static void make_chunks(struct origin *o)
{
    static const char *const event[EVENT_N] = {WIRE_EVENT_FIRST, WIRE_EVENT_NEXT, WIRE_EVENT_LAST,
                                               WIRE_EVENT_USAGE, WIRE_EVENT_DONE};

    for (int i = 0; i < EVENT_N; i++) {
        struct chunk *c = &o->chunk[i];
        int n = snprintf(c->p, sizeof c->p, "%zx\r\n%s\r\n%s", strlen(event[i]), event[i],
                         i == EVENT_DONE ? "0\r\n\r\n" : "");

        if (n < 0 || (size_t)n >= sizeof c->p)
            kit_die("event %d is longer than %zu bytes", i, sizeof c->p);
        c->n = (size_t)n;
    }
}

/* Finds "name": in a JSON body, with or without blanks after the colon; NULL when it is not there. Good
 * enough for bodies that the bench's own client wrote, whatever a proxy did to their blanks. */
static const char *field(const struct request *r, const char *name)
{
    const char *end = r->body + r->body_n;
    const char *p = memmem(r->body, r->body_n, name, strlen(name));

    if (p == NULL)
        return NULL;
    p += strlen(name);
    while (p < end && (*p == ' ' || *p == ':'))
        p++;
    return p < end ? p : NULL;
}

static bool field_is_true(const struct request *r, const char *name)
{
    const char *p = field(r, name);

    return p != NULL && (size_t)(r->body + r->body_n - p) >= 4 && memcmp(p, "true", 4) == 0;
}

static long field_number(const struct request *r, const char *name, long otherwise)
{
    const char *end = r->body + r->body_n;
    const char *p = field(r, name);
    long value = 0;

    if (p == NULL || *p < '0' || *p > '9')
        return otherwise;
    for (; p < end && *p >= '0' && *p <= '9' && value < 1000000; p++)
        value = value * 10 + (*p - '0');
    return value;
}

static bool start_stream(struct origin *o, int fd, const struct request *r)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct conn *c = &o->conns[fd];

    o->streams_n++;
    c->sent_n = 0;
    c->total_n = field_number(r, "\"max_tokens\"", field_number(r, "\"max_completion_tokens\"", o->events_n));
    if (c->total_n < 2)
        c->total_n = 2;
    c->wants_usage = field_is_true(r, "\"include_usage\"");
    enter_wheel(o, fd);
    return put(o, fd, head, sizeof head - 1);
}

static bool answer(struct origin *o, int fd, const struct request *r)
{
    char text[256];

    if (r->head_n > 5 && memcmp(r->head, "POST ", 5) == 0) {
        o->posts_n++;
        if (field_is_true(r, "\"stream\""))
            return start_stream(o, fd, r);
        return put_sized(o, fd, "200 OK", WIRE_REPLY);
    }
    if (r->head_n > 11 && memcmp(r->head, "GET /count ", 11) == 0) {
        snprintf(text, sizeof text, "{\"posts\":%ju,\"streams\":%ju,\"events\":%ju,\"overruns\":%ju}",
                 (uintmax_t)o->posts_n, (uintmax_t)o->streams_n, (uintmax_t)o->sent_events_n,
                 (uintmax_t)o->overruns_n);
        return put_sized(o, fd, "200 OK", text);
    }
    if (r->head_n > 4 && memcmp(r->head, "GET ", 4) == 0)
        return put_sized(o, fd, "200 OK",
                         "{\"object\":\"list\",\"data\":[{\"id\":\"bench-model\",\"object\":\"model\"}]}");
    return put_sized(o, fd, "405 Method Not Allowed", "{\"error\":{\"message\":\"GET or POST\"}}");
}

/* Cuts one whole request off the buffer. Returns its bytes, 0 if more must come, -1 if it cannot be
 * served. */
static ssize_t cut_request(const struct conn *c, struct request *r)
{
    const char *end = memmem(c->in, c->in_n, "\r\n\r\n", 4);
    const char *value;
    size_t n;

    if (end == NULL)
        return c->in_n == IN_MAX ? -1 : 0;
    r->head = c->in;
    r->head_n = (size_t)(end + 4 - c->in);
    r->body = end + 4;
    r->body_n = 0;
    if (kit_header(r->head, r->head_n, "transfer-encoding", &n) != NULL)
        return -1;
    value = kit_header(r->head, r->head_n, "content-length", &n);
    for (size_t i = 0; value != NULL && i < n; i++) {
        if (value[i] < '0' || value[i] > '9' || r->body_n > IN_MAX)
            return -1;
        r->body_n = r->body_n * 10 + (size_t)(value[i] - '0');
    }
    if (r->head_n + r->body_n > IN_MAX)
        return -1;
    return r->head_n + r->body_n <= c->in_n ? (ssize_t)(r->head_n + r->body_n) : 0;
}

static void serve_buffer(struct origin *o, int fd)
{
    struct conn *c = &o->conns[fd];

    while (!c->is_streaming && c->in_n > 0) {
        struct request r;
        ssize_t n = cut_request(c, &r);

        if (n == 0)
            return;
        if (n < 0) {
            if (put_sized(o, fd, "400 Bad Request", "{\"error\":{\"message\":\"sized bodies up to 8 KB\"}}"))
                shut(o, fd);
            return;
        }
        if (!answer(o, fd, &r))
            return;
        c->in_n -= (size_t)n;
        memmove(c->in, c->in + n, c->in_n);
    }
}

/* Reads once. Returns whether there is more that the socket will not tell of. */
static bool read_some(struct origin *o, int fd)
{
    struct conn *c = &o->conns[fd];
    size_t room = IN_MAX - c->in_n;
    ssize_t n;

    if (room == 0) {
        shut(o, fd);
        return false;
    }
    n = c->ssl != NULL ? secure_recv(c->ssl, c->in + c->in_n, room) : recv(fd, c->in + c->in_n, room, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        shut(o, fd);
        return false;
    }
    c->in_n += (size_t)n;
    serve_buffer(o, fd);
    return c->is_open && c->ssl != NULL && SSL_pending(c->ssl) > 0;
}

static void on_readable(struct origin *o, int fd)
{
    while (o->conns[fd].is_open && read_some(o, fd))
        continue;
}

static void on_acceptable(struct origin *o)
{
    for (;;) {
        int fd = accept4(o->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        int on = 1;

        if (fd < 0)
            return;
        if (fd >= o->conn_n) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        o->conns[fd].is_open = true;
        o->conns[fd].in_n = 0;
        o->conns[fd].ssl = o->ctx != NULL ? secure_accept(o->ctx, fd) : NULL;
        if (epoll_ctl(o->epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
            kit_die("epoll_ctl: %s", strerror(errno));
    }
}

/* Sends a stream what is due; at its end it goes back to answering requests. */
static void step(struct origin *o, int fd)
{
    struct conn *c = &o->conns[fd];
    bool is_last = c->sent_n + 1 == c->total_n;
    enum event which = is_last ? EVENT_LAST : c->sent_n == 0 ? EVENT_FIRST : EVENT_NEXT;

    c->sent_n++;
    o->sent_events_n++;
    if (!put_chunk(o, fd, which) || !is_last)
        return;
    if (c->wants_usage && !put_chunk(o, fd, EVENT_USAGE))
        return;
    if (!put_chunk(o, fd, EVENT_DONE))
        return;
    leave_wheel(o, fd);
    serve_buffer(o, fd);
}

static void turn_wheel(struct origin *o)
{
    struct wheel *w = &o->wheel;
    int64_t now = kit_now_us();

    while (w->streaming_n > 0 && w->due_us <= now) {
        int next;

        for (int fd = w->head[w->at]; fd != 0; fd = next) {
            next = o->conns[fd].next;
            step(o, fd);
        }
        w->at = (w->at + 1) % w->slot_n;
        w->due_us += TICK_US;
    }
}

static void run(struct origin *o)
{
    struct epoll_event ready[BATCH_N];

    for (;;) {
        struct timespec wait = {0, 0};
        int64_t left_us = o->wheel.due_us - kit_now_us();
        int n;

        if (left_us > 0)
            wait.tv_nsec = left_us * 1000;
        n = epoll_pwait2(o->epoll, ready, BATCH_N, o->wheel.streaming_n > 0 ? &wait : NULL, NULL);
        if (n < 0 && errno != EINTR)
            kit_die("epoll_pwait2: %s", strerror(errno));
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == o->listener)
                on_acceptable(o);
            else
                on_readable(o, ready[i].data.fd);
        }
        turn_wheel(o);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'}, {"interval-us", required_argument, NULL, 'i'},
        {"events", required_argument, NULL, 'e'}, {"cert", required_argument, NULL, 'c'},
        {"key", required_argument, NULL, 'k'},    {NULL, 0, NULL, 0}};
    struct origin *o = kit_pages(sizeof *o);
    struct sockaddr_in addr = kit_address("127.0.0.1:9100");
    struct epoll_event ev = {.events = EPOLLIN};
    const char *cert = NULL, *key = NULL;
    long interval_us = 20000;
    int c;

    o->events_n = 100;
    o->dice = 0x9e3779b97f4a7c15u;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'l')
            addr = kit_address(optarg);
        else if (c == 'i')
            interval_us = kit_number("--interval-us", optarg, TICK_US, 60000000);
        else if (c == 'e')
            o->events_n = kit_number("--events", optarg, 2, 1000000);
        else if (c == 'c')
            cert = optarg;
        else if (c == 'k')
            key = optarg;
        else
            kit_die(
                "usage: origin [--listen HOST:PORT] [--interval-us N] [--events N] [--cert PEM --key PEM]");
    }
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    if (cert != NULL && key != NULL)
        o->ctx = secure_ctx(cert, key);
    /* The default slack of 50 us would blur the pace. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    o->conn_n = kit_raise_files();
    o->conns = kit_pages((size_t)o->conn_n * sizeof *o->conns);
    o->wheel.slot_n = (int)(interval_us / TICK_US);
    o->wheel.head = kit_pages((size_t)o->wheel.slot_n * sizeof *o->wheel.head);
    make_chunks(o);
    o->listener = kit_listen(&addr);
    o->epoll = epoll_create1(EPOLL_CLOEXEC);
    ev.data.fd = o->listener;
    if (o->epoll < 0 || epoll_ctl(o->epoll, EPOLL_CTL_ADD, o->listener, &ev) != 0)
        kit_die("epoll: %s", strerror(errno));
    run(o);
}
