/* SPDX-License-Identifier: MIT */
/* What TLS streams hold of OpenSSL's memory: while they are open, and when they have gone. */
#include "support/certs.h"
#include "virtual_kit.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "io/tls_config.h"

#define STREAMS 50
#define PAIR_BYTES ((size_t)36 * 1024) /* both ends of a connection; 33 KB with OpenSSL 3.0 */
#define LARGE_BYTES ((size_t)16 * 1024)

static struct certs certs;
static size_t live_bytes, large_n; /* large: a record buffer, or one of the handshake */

static void *counted_alloc(size_t n, const char *file, int line)
{
    void *p = n > 0 ? malloc(n) : NULL;

    (void)file;
    (void)line;
    if (p != NULL) {
        live_bytes += malloc_usable_size(p);
        large_n += malloc_usable_size(p) >= LARGE_BYTES;
    }
    return p;
}

static void counted_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    if (p != NULL) {
        live_bytes -= malloc_usable_size(p);
        large_n -= malloc_usable_size(p) >= LARGE_BYTES;
    }
    free(p);
}

static void *counted_realloc(void *p, size_t n, const char *file, int line)
{
    size_t had = p != NULL ? malloc_usable_size(p) : 0;
    void *grown = counted_alloc(n, file, line);

    if (p != NULL && grown != NULL)
        memcpy(grown, p, had < n ? had : n);
    if (grown != NULL || n == 0)
        counted_free(p, file, line);
    return grown;
}

__attribute__((constructor)) static void make_certs(void)
{
    if (CRYPTO_set_mem_functions(counted_alloc, counted_realloc, counted_free) != 1)
        abort();
    certs_make(&certs);
}

__attribute__((destructor)) static void remove_certs(void)
{
    certs_remove(&certs);
}

static void open_all(struct world *w, struct side sides[STREAMS], struct tls_sessions *m)
{
    memset(sides, 0, STREAMS * sizeof *sides);
    for (size_t i = 0; i < STREAMS; i++) {
        connect_side(w, &sides[i]);
        tls_remember(sides[i].s, m);
        stream_send(sides[i].s, SLICE("secret"));
    }
    run(w);
}

/* The order that an upstream connection has: the request goes out, then the tickets and the answer come. */
static void hold(bool old)
{
    struct side sides[STREAMS];
    struct world w;
    struct tls_sessions *m = tls_sessions_new();
    const char *why;
    size_t before, large_before, first = 0;

    world_init(&w, &(struct vnet_opts){.seed = 1, .latency_us = 1000});
    w.tls_server = tls_config_server(certs.good, certs.good_key, &why);
    w.tls_client = tls_config_client(certs.ca, &why);
    w.host = "localhost";
    w.model.let_go = true;
    w.model.echo = true;
    if (old)
        CHECK_INT(SSL_CTX_set_max_proto_version(w.tls_server->ctx, TLS1_2_VERSION), 1);
    before = live_bytes;
    large_before = large_n;
    for (int wave = 0; wave < 3; wave++) {
        open_all(&w, sides, m);
        CHECK_INT(large_n, large_before); /* nobody who waits for the next event holds a record's buffer */
        CHECK((live_bytes - before) / STREAMS < PAIR_BYTES);
        for (size_t i = 0; i < STREAMS; i++) {
            CHECK_INT(sides[i].got_n, 6);
            stream_close(&sides[i].s);
        }
        run(&w);
        first = wave == 0 ? live_bytes : first;
        CHECK(live_bytes < first + 4096); /* beside the few sessions that are kept, all of it comes back */
    }
    tls_sessions_free(&m);
    world_fini(&w);
}

TEST(an_open_stream_holds_no_record_buffer)
{
    hold(false);
}

TEST(nor_does_one_of_TLS_1_2)
{
    hold(true);
}
