/* SPDX-License-Identifier: MIT */
/* Sessions, newest first, bounded in number and in bytes.
 *
 * A TLS 1.3 ticket is used once as long as there are others (RFC 8446 appendix C.4: who uses one twice can be
 * recognised by those who listen on the way). The last one serves everybody until fresh ones have come: a
 * gateway always calls from the same address, so there is nothing to recognise, and a crowd that connects at
 * once would else shake hands in full, at 0.3 ms and 9 KB of certificates each. A server that takes a ticket
 * only once refuses it, and the handshake is a full one. A TLS 1.2 session stays until it is too old.
 *
 * Nothing is kept for longer than an hour, because a resumed session does not look at the endpoint's
 * certificate again. */
#include "io/tls_session.h"

#include "base/clock.h"
#include "base/mem.h"

#define SESSIONS_MAX 64
#define BYTES_MAX ((size_t)128 * 1024) /* as they are written; in memory some four times that */
#define KEEP_US (3600 * CLOCK_SECOND_US)

struct kept {
    SSL_SESSION *session;
    int64_t since_us;
    size_t bytes;
};

struct tls_sessions {
    struct kept kept[SESSIONS_MAX]; /* a ring: `first` is the oldest */
    size_t first, n, bytes;
};

struct tls_sessions *tls_sessions_new(void)
{
    return MEM_NEW(struct tls_sessions);
}

static struct kept *at(struct tls_sessions *m, size_t i)
{
    return &m->kept[(m->first + i) % SESSIONS_MAX];
}

static void drop_oldest(struct tls_sessions *m)
{
    struct kept *k = at(m, 0);

    SSL_SESSION_free(k->session);
    m->bytes -= k->bytes;
    m->first = (m->first + 1) % SESSIONS_MAX;
    m->n--;
}

static SSL_SESSION *drop_newest(struct tls_sessions *m)
{
    struct kept *k = at(m, --m->n);

    m->bytes -= k->bytes;
    return k->session;
}

void tls_sessions_free(struct tls_sessions **mp)
{
    struct tls_sessions *m = *mp;

    *mp = NULL;
    if (m == NULL)
        return;
    while (m->n > 0)
        drop_oldest(m);
    mem_free(m);
}

void tls_sessions_put(struct tls_sessions *m, SSL_SESSION *s, int64_t now_us)
{
    int written = i2d_SSL_SESSION(s, NULL);
    size_t bytes = written > 0 ? (size_t)written : BYTES_MAX + 1;

    if (bytes > BYTES_MAX) {
        SSL_SESSION_free(s);
        return;
    }
    while (m->n == SESSIONS_MAX || m->bytes + bytes > BYTES_MAX)
        drop_oldest(m);
    *at(m, m->n++) = (struct kept){s, now_us, bytes};
    m->bytes += bytes;
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *m, int64_t now_us)
{
    SSL_SESSION *s;

    while (m->n > 0 && now_us - at(m, 0)->since_us >= KEEP_US)
        drop_oldest(m);
    while (m->n > 0 && SSL_SESSION_is_resumable(at(m, m->n - 1)->session) != 1) /* a failure spoilt it */
        SSL_SESSION_free(drop_newest(m));
    if (m->n == 0)
        return NULL;
    s = at(m, m->n - 1)->session;
    if (m->n > 1 && SSL_SESSION_get_protocol_version(s) >= TLS1_3_VERSION)
        return drop_newest(m);
    SSL_SESSION_up_ref(s);
    return s;
}
