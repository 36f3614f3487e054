/* SPDX-License-Identifier: MIT */
/* Certificates made on the spot, so that a simulator can speak TLS without any file. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/slice.h"
#include "io/addr.h"
#include "io/tls_config.h"

#define DAY_S (24L * 60 * 60)
#define NAMES_MAX 512

/* "DNS:localhost,IP:127.0.0.1" of "localhost 127.0.0.1". */
static bool write_names(const char *names, char *out, size_t n)
{
    struct slice rest = slice_of(names);
    size_t at = 0;

    while (rest.p != NULL) {
        struct slice name = slice_cut(rest, ' ', &rest);
        struct addr ip;
        bool is_ip = addr_of_ip(name, 0, &ip);
        int took =
            snprintf(out + at, n - at, "%s%s:%.*s", at > 0 ? "," : "", is_ip ? "IP" : "DNS", SLICE_ARG(name));

        if (took < 0 || (size_t)took >= n - at)
            return false;
        at += (size_t)took;
    }
    return at > 0;
}

static bool add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e;
    X509V3_CTX ctx;
    bool fine;

    X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    fine = e != NULL && X509_add_ext(cert, e, -1) == 1;
    X509_EXTENSION_free(e);
    return fine;
}

static bool write_certificate(X509 *cert, EVP_PKEY *key, const char *names)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    char alternatives[NAMES_MAX];

    return write_names(names, alternatives, sizeof alternatives) &&
           X509_set_version(cert, X509_VERSION_3) == 1 &&
           ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(cert), 30 * DAY_S) != NULL && X509_set_pubkey(cert, key) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"tidegate sim", -1,
                                      -1, 0) == 1 &&
           X509_set_issuer_name(cert, subject) == 1 &&
           add_extension(cert, NID_subject_alt_name, alternatives) &&
           add_extension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
           X509_sign(cert, key, EVP_sha256()) > 0;
}

struct tls_config *tls_config_self_made(const char *names)
{
    struct tls_config *c = tls_config_bare();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    bool fine = key != NULL && cert != NULL && write_certificate(cert, key, names) &&
                SSL_CTX_use_certificate(c->ctx, cert) == 1 && SSL_CTX_use_PrivateKey(c->ctx, key) == 1;

    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    if (!fine)
        tls_config_free(&c);
    return c;
}

bool tls_config_save(const struct tls_config *c, const char *file)
{
    FILE *f = fopen(file, "we");
    bool fine;

    if (f == NULL)
        return false;
    fine = PEM_write_X509(f, SSL_CTX_get0_certificate(c->ctx)) == 1;
    fine = fclose(f) == 0 && fine;
    ERR_clear_error();
    return fine;
}
