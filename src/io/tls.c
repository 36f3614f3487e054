/* SPDX-License-Identifier: MIT */
/* A TLS stream over another stream.
 *
 *     owner  <- on_data -  SSL_read  <- read_below  -  on_lower_data  <-  lower
 *     owner  -  flush  ->  SSL_write  -> write_below  -> stream_send  ->  lower
 *
 * Why a BIO of our own: OpenSSL's memory BIOs keep their buffers, one pair per idle connection. Ours reads
 * straight from the bytes that the lower stream shows and writes into the turn's memory, so an idle stream
 * holds neither. What a turn queues is joined into as few records as possible: a record costs 22 bytes or
 * more and an encryption.
 *
 * Back-pressure: everything is encrypted at once, what does not go out waits below, and stream_pending counts
 * it (stream.below). A paused stream pauses the one below; what had been read already waits, still encrypted,
 * in `held`.
 *
 * Ends: after close_notify ERR_EOF, without one ERR_RESET, so that a cut stream can never look complete. */
#include "io/tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <sys/uio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/tls_config.h"
#include "io/tls_session.h"
#include "io/tls_words.h"

#define RECORD_BYTES ((size_t)16 * 1024) /* the most a record holds */
#define HELD_MAX ((size_t)1024 * 1024)
#define IOV_N 128

struct tls {
    struct stream stream; /* first member */
    struct stream *lower;
    struct tls_config *config;
    struct tls_sessions *sessions; /* or NULL */
    SSL *ssl;
    struct slice in;    /* what the lower stream shows now, not yet read */
    struct chunks held; /* what it showed while we were paused */
    struct timer again; /* goes on in a later turn */
    struct afterwards afterwards;
    enum err lower_why; /* how the lower stream ended; ERR_OK: it has not */
    bool failed;
    char why[TLS_WORDS_BYTES];
    uint64_t short_n; /* mem_short_n when OpenSSL was last called */
};

/* -- the stream below, as OpenSSL sees it ---------------------------------------------------------------- */

static int read_below(BIO *bio, char *out, int max)
{
    struct tls *t = BIO_get_data(bio);
    struct slice from = t->in;
    struct iovec iov;
    size_t n;

    BIO_clear_retry_flags(bio);
    if (chunks_peek(&t->held, &iov, 1) == 1)
        from = (struct slice){iov.iov_base, iov.iov_len};
    n = from.n < (size_t)max ? from.n : (size_t)max;
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, from.p, n);
    if (t->held.n > 0)
        chunks_drop(&t->held, n);
    else
        t->in = slice_from(t->in, n);
    return (int)n;
}

static int write_below(BIO *bio, const char *bytes, int n)
{
    struct tls *t = BIO_get_data(bio);
    char *copy;

    BIO_clear_retry_flags(bio);
    if (t->lower == NULL || t->lower_why != ERR_OK || n <= 0)
        return n;
    copy = loop_scratch(t->stream.loop, (size_t)n);
    memcpy(copy, bytes, (size_t)n);
    stream_send(t->lower, (struct slice){copy, (size_t)n});
    return n;
}

static long control_below(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int create_below(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

    ASSERT(m != NULL);
    ASSERT(BIO_meth_set_read(m, read_below) == 1);
    ASSERT(BIO_meth_set_write(m, write_below) == 1);
    ASSERT(BIO_meth_set_ctrl(m, control_below) == 1);
    ASSERT(BIO_meth_set_create(m, create_below) == 1);
    return m;
}

/* -- the end --------------------------------------------------------------------------------------------- */

static bool is_over(const struct tls *t)
{
    return t->stream.closed || t->stream.ended;
}

/* The stream cannot go on: its owner hears of it. */
static void end(struct tls *t, enum err why)
{
    if (is_over(t))
        return;
    chunks_fini(&t->stream.pending);
    chunks_fini(&t->held);
    t->in = SLICE_NONE;
    if (t->lower_why == ERR_OK)
        stream_pause(t->lower);
    stream_ended(&t->stream, why);
}

/* OpenSSL gave up: keeps why, before other calls of it forget, and returns how the stream ends. */
static enum err failure(struct tls *t)
{
    bool no_memory = mem_short_n() != t->short_n; /* OpenSSL has many words for it */

    if (SSL_get_verify_result(t->ssl) == X509_V_OK)
        tls_words(t->why);
    ERR_clear_error(); /* else tls_on_verify has kept why */
    t->failed = true;
    return no_memory ? ERR_EXHAUSTED : ERR_TLS;
}

/* What an end of the lower stream means for ours, once everything that came before it has been read. */
static void settle_end(struct tls *t)
{
    bool waits = t->stream.paused && t->stream.open && !t->config->server;
    bool later = timer_is_set(&t->again); /* something that came before the end is not read yet */

    if (t->lower_why == ERR_OK || is_over(t) || waits || later)
        return;
    if (t->stream.open) {
        end(t, t->lower_why == ERR_EOF ? ERR_RESET : t->lower_why);
    } else if (t->lower->open && (t->lower_why == ERR_EOF || t->lower_why == ERR_RESET)) {
        snprintf(t->why, sizeof t->why, "the peer closed the connection during the handshake");
        end(t, ERR_TLS);
    } else {
        end(t, t->lower_why);
    }
}

static void free_tls(struct afterwards *a)
{
    struct tls *t = CONTAINER_OF(a, struct tls, afterwards);

    if (!t->failed && t->ssl != NULL) /* else OpenSSL spoils the session (RFC 5246 7.2.1 does not) */
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    chunks_fini(&t->held);
    chunks_fini(&t->stream.pending);
    tls_config_free(&t->config);
    mem_free(t);
}

/* -- writing --------------------------------------------------------------------------------------------- */

static bool write_record(struct tls *t, const char *p, size_t n)
{
    ERR_clear_error();
    return SSL_write(t->ssl, p, (int)n) == (int)n; /* the BIO takes everything */
}

/* Encrypts the pieces in full records: a large piece from where it is, small ones joined. */
static bool write_pieces(struct tls *t, const struct iovec *iov, size_t n, size_t total)
{
    char *joined = n > 1 ? loop_scratch(t->stream.loop, total < RECORD_BYTES ? total : RECORD_BYTES) : NULL;
    size_t record_n = 0; /* bytes of the record that is being filled */

    for (size_t i = 0; i < n; i++) {
        struct slice left = {iov[i].iov_base, iov[i].iov_len};

        while (left.n > 0) {
            size_t room = RECORD_BYTES - record_n, piece = left.n < room ? left.n : room;
            bool direct = record_n == 0 && (piece == RECORD_BYTES || i + 1 == n);

            if (!direct)
                memcpy(joined + record_n, left.p, piece);
            record_n += piece;
            if (direct || record_n == RECORD_BYTES) {
                if (!write_record(t, direct ? left.p : joined, record_n))
                    return false;
                record_n = 0;
            }
            left = slice_from(left, piece);
        }
    }
    return record_n == 0 || write_record(t, joined, record_n);
}

static size_t own_pending(const struct tls *t)
{
    return t->stream.out_n + t->stream.pending.n;
}

static enum err encrypt(struct tls *t)
{
    t->short_n = mem_short_n();
    while (own_pending(t) > 0) {
        struct iovec iov[IOV_N];
        size_t total, n = stream_gather(&t->stream, iov, IOV_N, &total);
        enum err e;

        if (!write_pieces(t, iov, n, total))
            return ERR_TLS;
        e = stream_sent(&t->stream, total);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static void flush(struct stream *s)
{
    struct tls *t = (struct tls *)s;
    enum err e;

    if (is_over(t))
        return;
    e = s->open && t->lower_why == ERR_OK ? encrypt(t) : stream_sent(s, 0);
    if (e == ERR_TLS)
        e = failure(t);
    if (e != ERR_OK)
        end(t, e);
}

static void close_stream(struct stream *s, bool graceful)
{
    struct tls *t = (struct tls *)s;
    bool polite = graceful && t->lower_why == ERR_OK && encrypt(t) == ERR_OK;

    t->sessions = NULL;
    timer_stop(&s->loop->wheel, &t->again);
    list_remove(&s->dirty_node);
    if (polite) {
        ERR_clear_error();
        SSL_shutdown(t->ssl); /* queues our close_notify; the peer's is not waited for */
    }
    ERR_clear_error();
    if (s->reset && t->lower != NULL)
        t->lower->reset = true;
    if (polite || t->failed) /* after a failure the alert that says so still goes out */
        stream_finish(&t->lower);
    else
        stream_close(&t->lower);
    loop_defer(s->loop, &t->afterwards, free_tls);
}

/* -- reading --------------------------------------------------------------------------------------------- */

/* True once the handshake is done and the owner knows. */
static bool shake_hands(struct tls *t)
{
    int r;

    if (t->stream.open)
        return true;
    if (t->stream.loop->spent.handshakes >= TURN_HANDSHAKES) {
        timer_set(&t->stream.loop->wheel, &t->again, 0);
        return false;
    }
    t->stream.loop->spent.handshakes++;
    ERR_clear_error();
    r = SSL_do_handshake(t->ssl);
    if (r != 1) {
        if (SSL_get_error(t->ssl, r) != SSL_ERROR_WANT_READ)
            end(t, failure(t));
        return false;
    }
    stream_opened(&t->stream);
    if (is_over(t))
        return false;
    if (t->stream.paused)
        stream_pause(t->lower);
    if (own_pending(t) > 0 && list_empty(&t->stream.dirty_node))
        list_push_back(&t->stream.loop->dirty, &t->stream.dirty_node);
    return true;
}

/* Decrypts up to a buffer full, so that small records reach the owner together. Returns how that stopped. */
static int read_some(struct tls *t, char *plain, size_t max, size_t *n)
{
    *n = 0;
    while (*n < max) {
        int r;

        ERR_clear_error();
        r = SSL_read(t->ssl, plain + *n, (int)(max - *n));
        if (r <= 0)
            return SSL_get_error(t->ssl, r);
        *n += (size_t)r;
    }
    return SSL_ERROR_NONE;
}

static void deliver(struct tls *t, const char *plain, size_t n)
{
    char *copy = loop_scratch(t->stream.loop, n);

    memcpy(copy, plain, n);
    stream_deliver(&t->stream, (struct slice){copy, n});
}

/* A ticket takes OpenSSL through its handshake code, which makes a buffer to write and keeps it until the
 * next write. Only between records: before 3.0.14 one in use was freed too (CVE-2024-4741). */
static void free_buffers(struct tls *t)
{
    if (!t->failed && strcmp(SSL_rstate_string(t->ssl), "RH") == 0)
        SSL_free_buffers(t->ssl);
}

/* Goes as far as the bytes at hand allow. */
static void advance(struct tls *t)
{
    if (t->ssl == NULL) {
        end(t, ERR_EXHAUSTED);
        return;
    }
    t->short_n = mem_short_n();
    if (!shake_hands(t))
        return;
    while (!is_over(t) && !t->stream.paused) {
        /* Not in the turn's memory at once: its size is known only afterwards. */
        char plain[RECORD_BYTES];
        enum err why = ERR_TLS;
        size_t n;
        int stopped = read_some(t, plain, sizeof plain, &n);

        if (stopped != SSL_ERROR_NONE && stopped != SSL_ERROR_WANT_READ && stopped != SSL_ERROR_ZERO_RETURN)
            why = failure(t);
        if (n > 0)
            deliver(t, plain, n);
        if (t->failed)
            end(t, why);
        else if (stopped == SSL_ERROR_ZERO_RETURN && !t->stream.paused)
            end(t, ERR_EOF);
        if (stopped != SSL_ERROR_NONE) {
            free_buffers(t);
            return;
        }
    }
}

static void pause_stream(struct stream *s, bool paused)
{
    struct tls *t = (struct tls *)s;

    if (!s->open)
        return; /* the handshake goes on */
    if (paused) {
        stream_pause(t->lower);
        return;
    }
    stream_resume(t->lower);
    timer_set(&s->loop->wheel, &t->again, 0);
}

static void on_again(struct timer *timer)
{
    struct tls *t = CONTAINER_OF(timer, struct tls, again);

    if (!is_over(t))
        advance(t);
    settle_end(t);
}

/* -- what the lower stream says -------------------------------------------------------------------------- */

static void on_lower_open(void *ud)
{
    advance(ud);
}

static void on_lower_data(void *ud, struct slice bytes)
{
    struct tls *t = ud;
    enum err e;

    if (is_over(t))
        return;
    t->in = bytes;
    advance(t);
    if (is_over(t))
        return;
    e = chunks_add(&t->held, t->in);
    t->in = SLICE_NONE;
    if (e != ERR_OK)
        end(t, e);
}

static void on_lower_drain(void *ud)
{
    struct tls *t = ud;

    if (t->stream.open && own_pending(t) == 0)
        stream_drained(&t->stream);
}

static void on_lower_close(void *ud, enum err why)
{
    struct tls *t = ud;

    t->lower_why = why;
    if (t->stream.open)
        advance(t);
    settle_end(t);
}

static const struct stream_cb LOWER_CB = {on_lower_open, on_lower_data, on_lower_drain, on_lower_close};

/* -- making ---------------------------------------------------------------------------------------------- */

static const struct stream_ops TLS_OPS = {flush, pause_stream, close_stream};

struct stream *tls_wrap(struct stream **lower, struct tls_config *c, const char *host)
{
    struct tls *t = MEM_NEW(struct tls);

    ASSERT(c->server == (host == NULL));
    stream_init(&t->stream, (*lower)->loop, &TLS_OPS, (*lower)->pending.max);
    t->lower = *lower;
    *lower = NULL;
    t->stream.below = t->lower;
    t->config = tls_config_ref(c);
    t->ssl = tls_session_new(c, t, host); /* NULL: no memory; the stream ends in the next turn (advance) */
    chunks_init(&t->held, HELD_MAX, t->stream.loop->budget);
    timer_init(&t->again, on_again);
    stream_set_cb(t->lower, &LOWER_CB, t);
    if (t->lower->ended)
        t->lower_why = ERR_RESET;
    if (t->lower->open || t->ssl == NULL) /* no callback may come inside this call */
        timer_set(&t->stream.loop->wheel, &t->again, 0);
    return &t->stream;
}

int tls_on_verify(int fine, X509_STORE_CTX *x)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);

    if (!fine)
        tls_words_of_certificate(x, t->why);
    return fine;
}

int tls_on_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *t = SSL_get_app_data(ssl);

    if (t->sessions == NULL || SSL_SESSION_is_resumable(session) != 1)
        return 0;
    tls_sessions_put(t->sessions, session, t->stream.loop->now_us);
    return 1; /* the reference is ours now */
}

void tls_remember(struct stream *s, struct tls_sessions *m)
{
    struct tls *t = (struct tls *)s;
    SSL_SESSION *session = tls_sessions_take(m, s->loop->now_us);

    ASSERT(s->ops == &TLS_OPS && !s->open);
    t->sessions = m;
    if (session != NULL && t->ssl != NULL)
        SSL_set_session(t->ssl, session);
    SSL_SESSION_free(session);
}

bool tls_is_resumed(const struct stream *s)
{
    return s->ops == &TLS_OPS && s->open && SSL_session_reused(((const struct tls *)s)->ssl) == 1;
}

const char *tls_why(const struct stream *s)
{
    return s->ops == &TLS_OPS ? ((const struct tls *)s)->why : "";
}
