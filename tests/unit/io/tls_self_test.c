/* SPDX-License-Identifier: MIT */
/* Certificates made on the spot: what they say, and that they are written and read again. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "io/tls_config.h"
#include "tap.h"

TEST(a_certificate_is_for_its_names_and_can_be_trusted)
{
    struct tls_config *c = tls_config_self_made("localhost 127.0.0.1 ::1"), *client;
    char file[] = "/tmp/tidegate-self-XXXXXX";
    int fd = mkstemp(file);
    const char *why;
    X509 *cert;

    CHECK(fd >= 0 && close(fd) == 0);
    if (!CHECK(c != NULL))
        return;
    cert = SSL_CTX_get0_certificate(c->ctx);
    CHECK_INT(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    CHECK_INT(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
    CHECK_INT(X509_check_ip_asc(cert, "::1", 0), 1);
    CHECK_INT(X509_check_host(cert, "other.test", 0, 0, NULL), 0);
    CHECK_INT(X509_self_signed(cert, 1), 1);
    CHECK(X509_cmp_current_time(X509_get0_notBefore(cert)) < 0);
    CHECK(X509_cmp_current_time(X509_get0_notAfter(cert)) > 0);
    CHECK(tls_config_save(c, file));
    client = tls_config_client(file, &why);
    CHECK(client != NULL);
    tls_config_free(&client);
    CHECK(!tls_config_save(c, "/nowhere/to/be/found.pem"));
    tls_config_free(&c);
    unlink(file);
}

TEST(names_that_cannot_be_are_refused)
{
    static char many[2000];

    memset(many, 'a', sizeof many - 1);
    CHECK(tls_config_self_made(many) == NULL);
}
