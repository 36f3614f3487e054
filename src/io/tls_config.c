/* SPDX-License-Identifier: MIT */
/* TLS configurations: one SSL_CTX, so that the certificates of the CA store are parsed once for all workers.
 *
 * Limits: TLS 1.2 or later, no renegotiation and no compression (both are attack surface without a use here).
 * Idle connections keep no record buffers (SSL_MODE_RELEASE_BUFFERS).
 *
 * Threads: any; OpenSSL locks what the streams of several workers share. */
#include "io/tls_config.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/mem.h"
#include "io/addr.h"

#define HOST_BYTES 256

static const unsigned char ALPN[] = TLS_ALPN;

/* A key with a passphrase is refused: OpenSSL would ask for it on the terminal. */
static int no_passphrase(char *out, int max, int writing, void *ud)
{
    (void)out;
    (void)max;
    (void)writing;
    (void)ud;
    return -1;
}

static void *ssl_alloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n > 0 ? mem_try_alloc(n) : NULL;
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(p);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    if (n > 0)
        return mem_try_realloc(p, n);
    ssl_free(p, file, line);
    return NULL;
}

void tls_use_counted_memory(void)
{
    ASSERT(CRYPTO_set_mem_functions(ssl_alloc, ssl_realloc, ssl_free) == 1);
}

SSL_CTX *tls_ctx_new(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    ASSERT(ctx != NULL);
    ASSERT(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    return ctx;
}

struct tls_config *tls_config_new(SSL_CTX *ctx, bool server)
{
    struct tls_config *c = MEM_NEW(struct tls_config);

    c->refs_n = 1;
    c->server = server;
    c->bio = tls_bio_method();
    c->ctx = ctx;
    return c;
}

static struct tls_config *refuse(struct tls_config *c, const char *text, const char **why)
{
    tls_config_free(&c);
    ERR_clear_error();
    *why = text;
    return NULL;
}

/* OpenSSL reads a certificate's extensions when it first needs them, and takes it for invalid ever after when
 * it finds no memory at that moment. So they are read now. */
static void read_extensions(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

        if (x != NULL)
            X509_check_purpose(x, -1, 0);
    }
}

struct tls_config *tls_config_client(const char *ca_file, const char **why)
{
    struct tls_config *c = tls_config_new(tls_ctx_new(TLS_client_method()), false);

    *why = "";
    ERR_clear_error();
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, tls_on_verify);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, tls_on_session);
    ASSERT(SSL_CTX_set_alpn_protos(c->ctx, ALPN, sizeof ALPN - 1) == 0);
    if (ca_file != NULL && SSL_CTX_load_verify_file(c->ctx, ca_file) != 1)
        return refuse(c, "the CA file cannot be read or holds no certificate", why);
    if (ca_file == NULL && SSL_CTX_set_default_verify_paths(c->ctx) != 1)
        return refuse(c, "the system's CA store cannot be read", why);
    read_extensions(SSL_CTX_get_cert_store(c->ctx));
    ERR_clear_error(); /* a default path that does not exist is no failure, but leaves an entry */
    return c;
}

bool tls_config_identify(struct tls_config *c, const char *cert_file, const char *key_file, const char **why)
{
    bool fine = false;

    *why = "";
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(c->ctx, cert_file) != 1)
        *why = "the client certificate cannot be read or is not in PEM form";
    else if (SSL_CTX_use_PrivateKey_file(c->ctx, key_file, SSL_FILETYPE_PEM) == 1)
        fine = true;
    else if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        *why = "the client key does not belong to the client certificate";
    else
        *why = "the client key cannot be read, is not in PEM form, or has a passphrase";
    ERR_clear_error();
    return fine;
}

/* SNI, and what the certificate must say; false: no memory. A host that cannot be a name fails the
 * verification later. */
static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(ssl);
    struct slice h = slice_of(host);
    char name[HOST_BYTES] = "";
    struct addr ip;

    if (h.n > 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
        h = (struct slice){h.p + 1, h.n - 2};
    if (h.n > 1 && h.p[h.n - 1] == '.')
        h.n--; /* "api.example." is written without the dot in certificates and SNI */
    if (h.n > 0 && h.n < sizeof name)
        memcpy(name, h.p, h.n);
    if (addr_of_ip(slice_of(name), 0, &ip)) {
        return X509_VERIFY_PARAM_set1_ip_asc(p, name) == 1;
    }
    X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (name[0] == '\0' || SSL_set1_host(ssl, name) != 1)
        return SSL_set1_host(ssl, "invalid.invalid") == 1;
    return SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *tls_session_new(struct tls_config *c, void *owner, const char *host)
{
    SSL *ssl = SSL_new(c->ctx);
    BIO *bio = ssl != NULL ? BIO_new(c->bio) : NULL;

    if (bio == NULL || SSL_set_app_data(ssl, owner) != 1 || (host != NULL && !expect_host(ssl, host))) {
        BIO_free(bio);
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    BIO_set_data(bio, owner);
    SSL_set_bio(ssl, bio, bio);
    if (host != NULL)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    return ssl;
}

struct tls_config *tls_config_ref(struct tls_config *c)
{
    __atomic_add_fetch(&c->refs_n, 1, __ATOMIC_RELAXED);
    return c;
}

void tls_config_free(struct tls_config **cp)
{
    struct tls_config *c = *cp;

    *cp = NULL;
    if (c == NULL || __atomic_sub_fetch(&c->refs_n, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < c->others_n; i++)
        SSL_CTX_free(c->others[i]);
    mem_free(c->others);
    SSL_CTX_free(c->ctx);
    BIO_meth_free(c->bio);
    mem_free(c);
}
