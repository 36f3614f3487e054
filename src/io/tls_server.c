/* SPDX-License-Identifier: MIT */
/* TLS as a server: certificates, and which of them a client is shown.
 *
 * Session tickets are given in TLS 1.3 only, where a resumed connection still makes a key of its own: their
 * key lives as long as the configuration, so in TLS 1.2 whoever found it could read what was recorded before.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "base/mem.h"
#include "io/addr.h"
#include "io/tls_config.h"

static const unsigned char ALPN[] = TLS_ALPN;

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                           unsigned int in_n, void *ud)
{
    unsigned char *chosen;

    (void)ssl;
    (void)ud;
    if (SSL_select_next_proto(&chosen, out_n, ALPN, sizeof ALPN - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int on_hello(SSL *ssl, int *alert, void *ud)
{
    const unsigned char *versions;
    size_t n;

    (void)alert;
    (void)ud;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &versions, &n) != 1)
        SSL_set_options(ssl, SSL_OP_NO_TICKET); /* TLS 1.2 */
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Without a certificate yet. */
static SSL_CTX *new_ctx(void)
{
    SSL_CTX *ctx = tls_ctx_new(TLS_server_method());

    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    return ctx;
}

struct tls_config *tls_config_bare(void)
{
    return tls_config_new(new_ctx(), true);
}

/* -- names ----------------------------------------------------------------------------------------------- */

static SSL_CTX *ctx_at(const struct tls_config *c, size_t i)
{
    return i == 0 ? c->ctx : c->others[i - 1];
}

static SSL_CTX *find(const struct tls_config *c, const char *name, unsigned flags)
{
    for (size_t i = 0; i <= c->others_n; i++) {
        X509 *cert = SSL_CTX_get0_certificate(ctx_at(c, i));

        if (cert != NULL && X509_check_host(cert, name, strlen(name), flags, NULL) == 1)
            return ctx_at(c, i);
    }
    return NULL;
}

static int choose_certificate(SSL *ssl, int *alert, void *ud)
{
    const struct tls_config *c = ud;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *ctx;

    (void)alert;
    if (name == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    ctx = find(c, name, X509_CHECK_FLAG_NO_WILDCARDS);
    if (ctx == NULL)
        ctx = find(c, name, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    ERR_clear_error();
    if (ctx == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_SSL_CTX(ssl, ctx);
    return SSL_TLSEXT_ERR_OK;
}

/* -- files ----------------------------------------------------------------------------------------------- */

/* NULL with *why and *of_key when the files cannot be used. */
static SSL_CTX *load(const struct tls_pair *pair, const char **why, bool *of_key)
{
    SSL_CTX *ctx = new_ctx();

    *why = "";
    *of_key = false;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, pair->cert_file) != 1) {
        *why = "the certificate cannot be read or is not in PEM form";
    } else if (SSL_CTX_use_PrivateKey_file(ctx, pair->key_file, SSL_FILETYPE_PEM) != 1) {
        bool stranger = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
                        ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH;

        *of_key = true;
        *why = stranger ? "the key does not belong to the certificate"
                        : "the key cannot be read, is not in PEM form, or has a passphrase";
    }
    ERR_clear_error();
    if (**why == '\0')
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

struct tls_config *tls_config_servers(const struct tls_pair *pairs, size_t n, size_t *fault, const char **why)
{
    struct tls_config *c = NULL;

    ASSERT(n > 0);
    for (size_t i = 0; i < n; i++) {
        bool of_key;
        SSL_CTX *ctx = load(&pairs[i], why, &of_key);

        *fault = i;
        if (ctx == NULL) {
            tls_config_free(&c);
            return NULL;
        }
        if (c != NULL) {
            c->others[c->others_n++] = ctx;
            continue;
        }
        c = tls_config_new(ctx, true);
        c->others = mem_zalloc(n * sizeof(SSL_CTX *));
    }
    if (n > 1) {
        SSL_CTX_set_tlsext_servername_callback(c->ctx, choose_certificate);
        SSL_CTX_set_tlsext_servername_arg(c->ctx, c);
    }
    return c;
}

struct tls_config *tls_config_server(const char *cert_file, const char *key_file, const char **why)
{
    const struct tls_pair pair = {cert_file, key_file};
    size_t fault;

    return tls_config_servers(&pair, 1, &fault, why);
}

/* -- what a certificate says of itself ------------------------------------------------------------------- */

static int64_t seconds_of(const ASN1_TIME *t)
{
    struct tm tm;

    return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void add_name(struct tls_facts *f, const char *name, size_t n)
{
    size_t at = strlen(f->names);

    if (at < sizeof f->names)
        snprintf(f->names + at, sizeof f->names - at, "%s%.*s", at > 0 ? ", " : "", (int)n, name);
}

static void add_ip(struct tls_facts *f, const ASN1_OCTET_STRING *ip)
{
    struct slice bytes = {(const char *)ASN1_STRING_get0_data(ip), (size_t)ASN1_STRING_length(ip)};
    char shown[ADDR_TEXT_BYTES];
    struct addr a;

    if (!addr_of_bytes(bytes, 0, &a))
        return;
    addr_format_host(&a, shown, sizeof shown);
    add_name(f, shown, strlen(shown));
}

static void read_names(X509 *cert, struct tls_facts *f)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS)
            add_name(f, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                     (size_t)ASN1_STRING_length(name->d.dNSName));
        else if (name->type == GEN_IPADD)
            add_ip(f, name->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
}

bool tls_pair_check(const struct tls_pair *pair, struct tls_facts *facts, const char **why, bool *of_key)
{
    SSL_CTX *ctx = load(pair, why, of_key);
    X509 *cert;

    memset(facts, 0, sizeof *facts);
    if (ctx == NULL)
        return false;
    cert = SSL_CTX_get0_certificate(ctx);
    facts->from_s = seconds_of(X509_get0_notBefore(cert));
    facts->until_s = seconds_of(X509_get0_notAfter(cert));
    read_names(cert, facts);
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return true;
}
