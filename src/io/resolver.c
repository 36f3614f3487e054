/* SPDX-License-Identifier: MIT */
/* Names to addresses with c-ares, and a small cache.
 *
 *     lookup --+
 *     lookup --+--> entry (one per host: result, expiry) --> query (c-ares works on it)
 *
 * Why the query is a thing of its own: c-ares can only cancel everything at once. When an entry has waited
 * long enough it answers its look-ups with a failure and lets go of the query, which ends by itself some
 * seconds later.
 *
 * Every look-up is answered by a timer of its own in a later turn, so no callback of ours runs inside c-ares
 * or inside resolver_lookup.
 *
 * Invariants: an entry with look-ups is never dropped; the cache holds at most ENTRIES_MAX entries; an entry
 * without a query has a result.
 *
 * The system's list of name servers is read again after a query found none that answers: a machine that
 * changed its network must not need a restart. */
#include "io/resolver.h"

#include <ares.h>
#include <sys/time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

#define ENTRIES_MAX 256
#define ADDRS_MAX 16
#define HOST_MAX 253 /* RFC 1035 2.3.4, as text */
#define TTL_MIN_S 1
#define TTL_MAX_S 60
#define WAIT_MAX_US (5 * CLOCK_SECOND_US)
#define TRY_MS 1500 /* for the first try; c-ares doubles it for the next */
#define TRIES 2
#define SOCKETS_MAX 32

struct query;

struct entry {
    struct list node; /* in resolver->entries, least recently used first */
    struct resolver *resolver;
    char host[HOST_MAX + 1];
    struct list lookups;
    struct query *query; /* NULL: not being looked up */
    struct timer patience;
    int64_t expires_us;
    bool exhausted; /* the last look-up failed for want of memory or descriptors: it is not kept */
    size_t addrs_n; /* 0: the name has none, or the look-up failed */
    struct addr addrs[ADDRS_MAX];
};

struct query {
    struct resolver *resolver;
    struct entry *entry; /* NULL: nobody waits any more */
};

struct lookup {
    struct list node;    /* in entry->lookups */
    struct entry *entry; /* NULL: the host was an address, or cannot be looked up */
    struct loop *loop;
    struct timer answer; /* set once there is a result */
    struct addr addr;
    enum err result; /* without an entry */
    uint16_t port;
    lookup_cb cb;
    void *ud;
};

/* A descriptor of c-ares and what the loop keeps with it. */
struct socket {
    int fd; /* -1: free */
    void *handle;
};

struct resolver {
    struct loop *loop;
    resolver_watch_cb watch;
    void *ud;
    ares_channel channel;
    bool has_channel;
    char *servers; /* NULL: the system's */
    bool stale;    /* no server answered: read the system's list again */
    size_t queries_n;
    struct timer timer;
    struct map by_host;
    struct list entries;
    size_t entries_n;
    struct socket sockets[SOCKETS_MAX];
};

/* -- c-ares ---------------------------------------------------------------------------------------------- */

static void on_socket(void *ud, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = ud;
    struct socket *s = NULL;

    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (r->sockets[i].fd == fd || (s == NULL && r->sockets[i].fd < 0))
            s = &r->sockets[i];
        if (r->sockets[i].fd == fd)
            break;
    }
    if (s == NULL || (s->fd < 0 && !readable && !writable))
        return; /* with every place taken the query runs into its bound */
    s->fd = fd;
    r->watch(r->ud, fd, readable != 0, writable != 0, &s->handle);
    if (!readable && !writable)
        *s = (struct socket){-1, NULL};
}

/* c-ares wants to be called again, at the latest, when its next try is due. */
static void rearm(struct resolver *r)
{
    struct timeval tv, *next = r->has_channel ? ares_timeout(r->channel, NULL, &tv) : NULL;

    if (next == NULL)
        timer_stop(&r->loop->wheel, &r->timer);
    else
        timer_set(&r->loop->wheel, &r->timer,
                  r->loop->now_us + next->tv_sec * CLOCK_SECOND_US + next->tv_usec);
}

static void on_timer(struct timer *t)
{
    struct resolver *r = CONTAINER_OF(t, struct resolver, timer);

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(r);
}

void resolver_ready(struct resolver *r, int fd, bool readable, bool writable)
{
    if (!r->has_channel)
        return;
    ares_process_fd(r->channel, readable ? fd : ARES_SOCKET_BAD, writable ? fd : ARES_SOCKET_BAD);
    rearm(r);
}

static void close_channel(struct resolver *r)
{
    if (r->has_channel)
        ares_destroy(r->channel);
    r->has_channel = false;
    timer_stop(&r->loop->wheel, &r->timer);
}

static enum err open_channel(struct resolver *r)
{
    char lookups[] = "fb"; /* /etc/hosts first */
    struct ares_options o = {.timeout = TRY_MS, .tries = TRIES, .lookups = lookups};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;

    o.sock_state_cb = on_socket;
    o.sock_state_cb_data = r;
    r->stale = false;
    r->has_channel = ares_init_options(&r->channel, &o, mask) == ARES_SUCCESS;
    if (!r->has_channel)
        return ERR_SYSTEM;
    if (r->servers != NULL && ares_set_servers_ports_csv(r->channel, r->servers) != ARES_SUCCESS)
        return ERR_MALFORMED;
    return ERR_OK;
}

/* -- entries --------------------------------------------------------------------------------------------- */

static void drop_entry(struct resolver *r, struct entry *e)
{
    ASSERT(list_empty(&e->lookups));
    if (e->query != NULL)
        e->query->entry = NULL;
    timer_stop(&r->loop->wheel, &e->patience);
    map_remove(&r->by_host, slice_of(e->host));
    list_remove(&e->node);
    r->entries_n--;
    mem_free(e);
}

/* The entry has a result: all who wait hear of it in the next turn. */
static void settle(struct entry *e, int64_t keep_us)
{
    struct loop *l = e->resolver->loop;

    if (e->query != NULL)
        e->query->entry = NULL;
    e->query = NULL;
    e->expires_us = clock_add(l->now_us, keep_us);
    timer_stop(&l->wheel, &e->patience);
    LIST_EACH (node, &e->lookups)
        timer_set(&l->wheel, &CONTAINER_OF(node, struct lookup, node)->answer, 0);
}

static void on_patience_over(struct timer *t)
{
    struct entry *e = CONTAINER_OF(t, struct entry, patience);

    e->addrs_n = 0;
    e->resolver->stale = true;
    settle(e, TTL_MIN_S * CLOCK_SECOND_US);
}

/* Keeps what fits of an answer; returns for how long it holds, in seconds. */
static int keep_answer(struct entry *e, const struct ares_addrinfo *found)
{
    int ttl = TTL_MAX_S;

    e->addrs_n = 0;
    for (const struct ares_addrinfo_node *n = found->nodes; n != NULL && e->addrs_n < ADDRS_MAX;
         n = n->ai_next) {
        struct addr *a = &e->addrs[e->addrs_n];

        if ((n->ai_family != AF_INET && n->ai_family != AF_INET6) || n->ai_addrlen > sizeof a->ss)
            continue;
        memset(a, 0, sizeof *a);
        memcpy(&a->ss, n->ai_addr, n->ai_addrlen);
        a->n = n->ai_addrlen;
        e->addrs_n++;
        if (n->ai_ttl < ttl)
            ttl = n->ai_ttl;
    }
    return ttl < TTL_MIN_S ? TTL_MIN_S : ttl;
}

static void on_found(void *ud, int status, int timeouts, struct ares_addrinfo *found)
{
    struct query *q = ud;
    struct entry *e = q->entry;
    int ttl = TTL_MIN_S;

    (void)timeouts;
    q->resolver->queries_n--;
    if (e != NULL)
        e->exhausted = status == ARES_ENOMEM;
    if (status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED)
        q->resolver->stale = true;
    if (e != NULL) {
        e->addrs_n = 0;
        if (status == ARES_SUCCESS && found != NULL)
            ttl = keep_answer(e, found);
        settle(e, e->exhausted ? 0 : ttl * CLOCK_SECOND_US);
    }
    if (found != NULL)
        ares_freeaddrinfo(found);
    mem_free(q);
}

static void ask(struct resolver *r, struct entry *e)
{
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct query *q;

    if (r->stale && r->queries_n == 0)
        close_channel(r);
    if (!r->has_channel && open_channel(r) == ERR_SYSTEM) {
        e->addrs_n = 0;
        e->exhausted = true; /* c-ares found no memory or no descriptor for itself */
        settle(e, 0);
        return;
    }
    q = MEM_NEW(struct query);
    q->resolver = r;
    q->entry = e;
    e->query = q;
    r->queries_n++;
    timer_set(&r->loop->wheel, &e->patience, clock_add(r->loop->now_us, WAIT_MAX_US));
    ares_getaddrinfo(r->channel, e->host, NULL, &hints, on_found, q);
    rearm(r);
}

/* Makes room for one more; false if every entry is in use. */
static bool make_room(struct resolver *r)
{
    if (r->entries_n < ENTRIES_MAX)
        return true;
    LIST_EACH (node, &r->entries) {
        struct entry *e = CONTAINER_OF(node, struct entry, node);

        if (!list_empty(&e->lookups))
            continue;
        drop_entry(r, e);
        return true;
    }
    return false;
}

/* Whether a host can be asked for: letters, digits, "-" and "_" in labels that are not empty. */
static bool is_name(struct slice h)
{
    bool in_label = false;

    for (size_t i = 0; i < h.n; i++) {
        char c = h.p[i];

        if (c == '.' && !in_label)
            return false;
        in_label = c != '.';
        if (in_label && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') &&
            (c < 'a' || c > 'z'))
            return false;
    }
    return in_label && h.n <= HOST_MAX;
}

/* The entry of a host, new or not, with a result or a query; NULL for what cannot be looked up. */
static struct entry *entry_of(struct resolver *r, const char *host)
{
    struct slice h = slice_of(host);
    char folded[HOST_MAX + 1];
    struct entry *e;

    if (h.n > 1 && h.p[h.n - 1] == '.')
        h.n--;
    if (!is_name(h))
        return NULL;
    for (size_t i = 0; i < h.n; i++)
        folded[i] = (char)(h.p[i] >= 'A' && h.p[i] <= 'Z' ? h.p[i] - 'A' + 'a' : h.p[i]);
    folded[h.n] = '\0';
    e = map_find(&r->by_host, (struct slice){folded, h.n});
    if (e == NULL && make_room(r)) {
        e = MEM_NEW(struct entry);
        e->resolver = r;
        memcpy(e->host, folded, h.n + 1);
        list_init(&e->node);
        list_init(&e->lookups);
        timer_init(&e->patience, on_patience_over);
        map_put(&r->by_host, slice_of(e->host), e);
        r->entries_n++;
    }
    if (e == NULL)
        return NULL;
    list_remove(&e->node);
    list_push_back(&r->entries, &e->node);
    return e;
}

/* -- look-ups -------------------------------------------------------------------------------------------- */

static void forget(struct lookup *k)
{
    timer_stop(&k->loop->wheel, &k->answer);
    list_remove(&k->node);
    mem_free(k);
}

static void on_answer(struct timer *t)
{
    struct lookup *k = CONTAINER_OF(t, struct lookup, answer);
    struct addr addrs[ADDRS_MAX];
    size_t n = 0;
    lookup_cb cb = k->cb;
    void *ud = k->ud;
    enum err none = k->entry != NULL && k->entry->exhausted ? ERR_EXHAUSTED : ERR_DNS;

    if (k->entry != NULL) {
        n = k->entry->addrs_n;
        memcpy(addrs, k->entry->addrs, n * sizeof *addrs);
    } else if (k->result == ERR_OK) {
        n = 1;
        addrs[0] = k->addr;
    }
    for (size_t i = 0; i < n; i++)
        addr_set_port(&addrs[i], k->port);
    forget(k);
    cb(ud, n > 0 ? ERR_OK : none, addrs, n);
}

struct lookup *resolver_lookup(struct resolver *r, const char *host, uint16_t port, lookup_cb cb, void *ud)
{
    struct lookup *k = MEM_NEW(struct lookup);

    k->loop = r->loop;
    k->port = port;
    k->cb = cb;
    k->ud = ud;
    k->result = ERR_DNS;
    list_init(&k->node);
    timer_init(&k->answer, on_answer);
    if (addr_of_ip(slice_of(host), port, &k->addr))
        k->result = ERR_OK;
    else
        k->entry = entry_of(r, host);
    if (k->entry == NULL) {
        timer_set(&r->loop->wheel, &k->answer, 0);
        return k;
    }
    list_push_back(&k->entry->lookups, &k->node);
    if (k->entry->query != NULL)
        return k;
    if (k->entry->expires_us > r->loop->now_us)
        timer_set(&r->loop->wheel, &k->answer, 0);
    else
        ask(r, k->entry);
    return k;
}

void resolver_cancel(struct lookup **kp)
{
    struct lookup *k = *kp;

    *kp = NULL;
    if (k != NULL)
        forget(k);
}

/* -- making ---------------------------------------------------------------------------------------------- */

struct resolver *resolver_new(struct loop *l, resolver_watch_cb watch, void *ud)
{
    struct resolver *r = MEM_NEW(struct resolver);

    r->loop = l;
    r->watch = watch;
    r->ud = ud;
    timer_init(&r->timer, on_timer);
    map_init(&r->by_host);
    list_init(&r->entries);
    for (size_t i = 0; i < SOCKETS_MAX; i++)
        r->sockets[i].fd = -1;
    return r;
}

enum err resolver_set_servers(struct resolver *r, const char *servers)
{
    ASSERT(r->queries_n == 0);
    close_channel(r);
    mem_free(r->servers);
    r->servers = mem_strdup(servers);
    return open_channel(r);
}

void resolver_free(struct resolver **rp)
{
    struct resolver *r = *rp;

    *rp = NULL;
    if (r == NULL)
        return;
    close_channel(r); /* ends every query with ARES_EDESTRUCTION */
    while (!list_empty(&r->entries))
        drop_entry(r, CONTAINER_OF(r->entries.next, struct entry, node));
    map_fini(&r->by_host);
    mem_free(r->servers);
    mem_free(r);
}
