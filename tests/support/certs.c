/* SPDX-License-Identifier: MIT */
/* Throw-away certificates, with OpenSSL's API: no program has to be installed and no key is ever in the tree.
 */
#include "support/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DAY_S (24L * 60 * 60)

/* A key and the certificate that goes with it. */
struct identity {
    EVP_PKEY *key;
    X509 *cert;
};

static void must(int held, const char *what)
{
    if (held)
        return;
    printf("Bail out! certificates: %s\n", what);
    exit(1);
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    must(e != NULL && X509_add_ext(cert, e, -1) == 1, value);
    X509_EXTENSION_free(e);
}

/* issuer NULL: a CA that signs itself. */
static struct identity make(const char *name, const struct identity *issuer, long from_s, long to_s)
{
    struct identity id = {EVP_EC_gen("P-256"), X509_new()};
    const struct identity *by = issuer != NULL ? issuer : &id;
    X509_NAME *subject = X509_get_subject_name(id.cert);
    static long serial;

    must(id.key != NULL && id.cert != NULL, "key");
    X509_set_version(id.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), from_s);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), to_s);
    X509_set_pubkey(id.cert, id.key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(by->cert));
    add_extension(id.cert, by->cert, NID_subject_key_identifier, "hash");
    if (issuer == NULL) {
        add_extension(id.cert, by->cert, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(id.cert, by->cert, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
    } else {
        add_extension(id.cert, by->cert, NID_ext_key_usage, "serverAuth,clientAuth");
    }
    add_extension(id.cert, by->cert, NID_subject_alt_name,
                  "DNS:localhost,DNS:*.wild.test,IP:127.0.0.1,IP:::1");
    must(X509_sign(id.cert, by->key, EVP_sha256()) > 0, "signature");
    return id;
}

static void save(const struct certs *c, const char *name, const struct identity *id, char *cert_path,
                 char *key_path)
{
    FILE *f;

    snprintf(cert_path, 96, "%s/%s.pem", c->dir, name);
    f = fopen(cert_path, "w");
    must(f != NULL && PEM_write_X509(f, id->cert) == 1 && fclose(f) == 0, cert_path);
    if (key_path == NULL)
        return;
    snprintf(key_path, 96, "%s/%s.key", c->dir, name);
    f = fopen(key_path, "w");
    must(f != NULL && PEM_write_PrivateKey(f, id->key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(f) == 0,
         key_path);
}

static void forget(struct identity *id)
{
    EVP_PKEY_free(id->key);
    X509_free(id->cert);
}

static void make_leaf(struct certs *c, const struct identity *ca, const char *name, const long *span_s,
                      char **paths)
{
    struct identity leaf = make(name, ca, span_s[0], span_s[1]);

    save(c, name, &leaf, paths[0], paths[1]);
    forget(&leaf);
}

void certs_make(struct certs *c)
{
    struct identity ca = make("test CA", NULL, -30 * DAY_S, 30 * DAY_S);
    struct identity other = make("another CA", NULL, -30 * DAY_S, 30 * DAY_S);

    snprintf(c->dir, sizeof c->dir, "%s", "/tmp/tidegate-certs-XXXXXX");
    must(mkdtemp(c->dir) != NULL, c->dir);
    save(c, "ca", &ca, c->ca, NULL);
    save(c, "other-ca", &other, c->other_ca, NULL);
    make_leaf(c, &ca, "good", (long[]){-DAY_S, DAY_S}, (char *[]){c->good, c->good_key});
    make_leaf(c, &ca, "expired", (long[]){-9 * DAY_S, -DAY_S}, (char *[]){c->expired, c->expired_key});
    make_leaf(c, &ca, "early", (long[]){DAY_S, 9 * DAY_S}, (char *[]){c->early, c->early_key});
    make_leaf(c, NULL, "alone", (long[]){-DAY_S, DAY_S}, (char *[]){c->alone, c->alone_key});
    forget(&ca);
    forget(&other);
}

void certs_remove(struct certs *c)
{
    const char *files[] = {c->ca,          c->other_ca, c->good,      c->good_key, c->expired,
                           c->expired_key, c->early,    c->early_key, c->alone,    c->alone_key};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(files[i]);
    rmdir(c->dir);
}
