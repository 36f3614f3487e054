/* SPDX-License-Identifier: MIT */
/* OpenSSL's reasons, each with what an operator needs to act on it. The texts of OpenSSL stay in front, since
 * they are what people search for. */
#include "io/tls_words.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 64 /* of a name that is shown */

/* A peer's text: letters, digits and a few signs, the rest as "?". */
static void clean(const unsigned char *text, int n, char out[NAME_BYTES])
{
    size_t k = 0;

    for (int i = 0; i < n && k + 1 < NAME_BYTES; i++) {
        unsigned char c = text[i];
        int plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        out[k++] = plain || (c != 0 && strchr(" .*-_,/", c) != NULL) ? (char)c : '?';
    }
    out[k] = '\0';
}

static void common_name(const X509_NAME *name, char out[NAME_BYTES])
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    const ASN1_STRING *s = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));

    snprintf(out, NAME_BYTES, "an unnamed authority");
    if (s != NULL)
        clean(ASN1_STRING_get0_data(s), ASN1_STRING_length(s), out);
}

/* The first name that the certificate is for. */
static void first_name(const X509 *cert, char out[NAME_BYTES])
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

    snprintf(out, NAME_BYTES, "other names");
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type != GEN_DNS)
            continue;
        clean(ASN1_STRING_get0_data(n->d.dNSName), ASN1_STRING_length(n->d.dNSName), out);
        break;
    }
    GENERAL_NAMES_free(names);
}

/* "2026-11-27", or nothing for a time that cannot be read. */
static void date_of(const ASN1_TIME *t, char out[NAME_BYTES])
{
    struct tm tm;

    out[0] = '\0';
    if (ASN1_TIME_to_tm(t, &tm) == 1)
        snprintf(out, NAME_BYTES, " (%04d-%02d-%02d)", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

void tls_words_of_certificate(X509_STORE_CTX *x, char out[TLS_WORDS_BYTES])
{
    const X509 *cert = X509_STORE_CTX_get_current_cert(x);
    int verified = X509_STORE_CTX_get_error(x);
    const char *text = X509_verify_cert_error_string(verified);
    char name[NAME_BYTES] = "";

    switch (verified) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        if (cert != NULL)
            date_of(X509_get0_notAfter(cert), name);
        snprintf(out, TLS_WORDS_BYTES, "certificate refused: %s%s; the endpoint must renew it", text, name);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        if (cert != NULL)
            date_of(X509_get0_notBefore(cert), name);
        snprintf(out, TLS_WORDS_BYTES, "certificate refused: %s%s; is this machine's clock right?", text,
                 name);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (cert != NULL)
            first_name(cert, name);
        snprintf(out, TLS_WORDS_BYTES,
                 "certificate refused: %s; it is for %s: correct url, or set server_name", text, name);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        snprintf(out, TLS_WORDS_BYTES, "certificate refused: %s; if it is the right one, name it as ca_file",
                 text);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        if (cert != NULL)
            common_name(X509_get_issuer_name(cert), name);
        snprintf(out, TLS_WORDS_BYTES,
                 "certificate refused: %s; it was signed by \"%s\", which is not trusted here: see ca_file",
                 text, name);
        break;
    default:
        snprintf(out, TLS_WORDS_BYTES, "certificate refused: %s", text);
    }
}

/* What to do about a reason that is not the certificate's; NULL: nothing that we know. */
static const char *advice(int reason)
{
    switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
        return "what answers there speaks no TLS: is it http://, or another port?";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return "the endpoint may want a client certificate: see client_cert";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return "the endpoint did not accept our client_cert";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
        return "the endpoint speaks only TLS older than 1.2";
    case SSL_R_TLSV1_UNRECOGNIZED_NAME:
        return "the endpoint does not know this name: see server_name";
    default:
        return NULL;
    }
}

void tls_words(char out[TLS_WORDS_BYTES])
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error), *more = advice(ERR_GET_REASON(error));

    snprintf(out, TLS_WORDS_BYTES, "%s%s%s", reason != NULL ? reason : "unknown TLS failure",
             more != NULL ? "; " : "", more != NULL ? more : "");
    ERR_clear_error();
}
