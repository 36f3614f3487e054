/* SPDX-License-Identifier: MIT */
/* A few sessions, newest first.
 *
 * A TLS 1.3 ticket is used once (RFC 8446 appendix C.4: who uses one twice can be recognised); a TLS 1.2
 * session stays until it is too old. Nothing is kept for longer than an hour, because a resumed session does
 * not look at the endpoint's certificate again. */
#include "io/tls_session.h"

#include "base/clock.h"
#include "base/mem.h"

#define SESSIONS_MAX 4
#define KEEP_US (3600 * CLOCK_SECOND_US)

struct kept {
    SSL_SESSION *session;
    int64_t since_us;
};

struct tls_sessions {
    struct kept kept[SESSIONS_MAX]; /* newest last */
    size_t n;
};

struct tls_sessions *tls_sessions_new(void)
{
    return MEM_NEW(struct tls_sessions);
}

static void drop_first(struct tls_sessions *m)
{
    SSL_SESSION_free(m->kept[0].session);
    m->n--;
    for (size_t i = 0; i < m->n; i++)
        m->kept[i] = m->kept[i + 1];
}

void tls_sessions_free(struct tls_sessions **mp)
{
    struct tls_sessions *m = *mp;

    *mp = NULL;
    if (m == NULL)
        return;
    while (m->n > 0)
        drop_first(m);
    mem_free(m);
}

void tls_sessions_put(struct tls_sessions *m, SSL_SESSION *s, int64_t now_us)
{
    if (m->n == SESSIONS_MAX)
        drop_first(m);
    m->kept[m->n++] = (struct kept){s, now_us};
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *m, int64_t now_us)
{
    SSL_SESSION *s;

    while (m->n > 0 && now_us - m->kept[0].since_us >= KEEP_US)
        drop_first(m);
    if (m->n == 0)
        return NULL;
    s = m->kept[m->n - 1].session;
    if (SSL_SESSION_get_protocol_version(s) < TLS1_3_VERSION)
        SSL_SESSION_up_ref(s);
    else
        m->n--;
    return s;
}
