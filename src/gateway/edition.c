/* SPDX-License-Identifier: MIT */
/* Making and unmaking an edition. */
#include "gateway/edition.h"

#include "base/assert.h"
#include "base/mem.h"
#include "shared/admission.h"
#include "shared/limits.h"

static bool make_tls(struct edition *e, const char **why)
{
    for (size_t i = 0; i < e->cfg->endpoints_n; i++) {
        const struct config_endpoint *ep = &e->cfg->endpoints[i];

        if (!ep->tls)
            continue;
        for (size_t j = 0; j < i && e->tls[i] == NULL; j++) { /* one CA store for all that use the same */
            const char *other = e->cfg->endpoints[j].ca_file;

            if (e->tls[j] != NULL && (other == NULL ? ep->ca_file == NULL
                                                    : ep->ca_file != NULL && strcmp(other, ep->ca_file) == 0))
                e->tls[i] = e->tls[j];
        }
        if (e->tls[i] == NULL)
            e->tls[i] = tls_config_client(ep->ca_file, why);
        if (e->tls[i] == NULL)
            return false;
    }
    return true;
}

static void free_tls(struct edition *e)
{
    for (size_t i = 0; i < e->cfg->endpoints_n; i++) {
        struct tls_config *t = e->tls[i];

        for (size_t j = i; t != NULL && j < e->cfg->endpoints_n; j++) {
            if (e->tls[j] == t)
                e->tls[j] = NULL;
        }
        if (t != NULL)
            tls_config_free(&t);
    }
    mem_free(e->tls);
}

struct edition *edition_new(struct config *cfg, const struct edition *before, const char **why)
{
    struct edition *e = MEM_NEW(struct edition);

    config_ref(cfg);
    e->cfg = cfg;
    e->refs_n = 1;
    stats_init(&e->stats, cfg);
    e->admission = admission_new(cfg);
    e->limits = limits_new(cfg, before != NULL ? before->limits : NULL);
    e->tls = mem_zalloc((cfg->endpoints_n + 1) * sizeof *e->tls);
    if (!make_tls(e, why))
        edition_unref(&e);
    return e;
}

void edition_ref(struct edition *e)
{
    ASSERT(e->refs_n > 0);
    e->refs_n++;
}

void edition_unref(struct edition **ep)
{
    struct edition *e = *ep;

    *ep = NULL;
    if (e == NULL || --e->refs_n > 0)
        return;
    free_tls(e);
    admission_free(&e->admission);
    limits_free(&e->limits);
    stats_fini(&e->stats);
    config_unref(&e->cfg);
    mem_free(e);
}
