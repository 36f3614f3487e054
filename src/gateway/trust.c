/* SPDX-License-Identifier: MIT */
/* TLS settings of endpoints. */
#include "gateway/trust.h"

#include <string.h>

#include "base/mem.h"

static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool trusts_alike(const struct config_endpoint *a, const struct config_endpoint *b)
{
    return same(a->ca_file, b->ca_file) && same(a->client_cert, b->client_cert) &&
           same(a->client_key, b->client_key);
}

static struct tls_config *make_one(const struct config_endpoint *ep, const char **why)
{
    struct tls_config *c = tls_config_client(ep->ca_file, why);

    if (c != NULL && ep->client_cert != NULL && !tls_config_identify(c, ep->client_cert, ep->client_key, why))
        tls_config_free(&c);
    return c;
}

int trust_make(const struct config *cfg, struct tls_config **out, const char **why)
{
    for (size_t i = 0; i < cfg->endpoints_n; i++) {
        const struct config_endpoint *ep = &cfg->endpoints[i];

        out[i] = NULL;
        for (size_t j = 0; j < i && ep->tls && out[i] == NULL; j++) {
            if (out[j] != NULL && trusts_alike(ep, &cfg->endpoints[j]))
                out[i] = out[j];
        }
        if (ep->tls && out[i] == NULL)
            out[i] = make_one(ep, why);
        if (ep->tls && out[i] == NULL)
            return (int)i;
    }
    return -1;
}

void trust_free(const struct config *cfg, struct tls_config **out)
{
    for (size_t i = 0; i < cfg->endpoints_n; i++) {
        struct tls_config *t = out[i];

        for (size_t j = i; t != NULL && j < cfg->endpoints_n; j++) {
            if (out[j] == t)
                out[j] = NULL;
        }
        tls_config_free(&t);
    }
}

int trust_check(const struct config *cfg, const char **why)
{
    struct tls_config **all = mem_zalloc((cfg->endpoints_n + 1) * sizeof *all);
    int fault = trust_make(cfg, all, why);

    trust_free(cfg, all);
    mem_free(all);
    return fault;
}
