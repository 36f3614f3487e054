/* SPDX-License-Identifier: MIT */
/* Making and unmaking an edition. */
#include "gateway/edition.h"

#include "base/assert.h"
#include "base/mem.h"
#include "gateway/certs.h"
#include "gateway/trust.h"
#include "shared/admission.h"
#include "shared/limits.h"
#include "shared/storms.h"

struct edition *edition_new(struct config *cfg, const struct edition *before, const char **why)
{
    struct edition *e = MEM_NEW(struct edition);

    config_ref(cfg);
    e->cfg = cfg;
    e->refs_n = 1;
    e->number = before != NULL ? before->number + 1 : 1;
    stats_init(&e->stats, cfg,
               before != NULL ? before->stats.layout.rows_n[LABELS_WORKER] : (size_t)cfg->workers);
    e->tls = mem_zalloc((cfg->endpoints_n + 1) * sizeof *e->tls);
    if (!certs_load(cfg, &e->certs, why) || trust_make(cfg, e->tls, why) >= 0) {
        edition_unref(&e);
        return NULL;
    }
    e->storms = storms_new((int)cfg->opt.refusals_max);
    /* Last, because both are felt at once. */
    e->limits = limits_new(cfg, before != NULL ? before->limits : NULL);
    e->admission = before != NULL ? admission_succeed(before->admission, cfg) : admission_new(cfg);
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
    trust_free(e->cfg, e->tls);
    mem_free(e->tls);
    certs_free(e->cfg, &e->certs);
    admission_free(&e->admission);
    limits_free(&e->limits);
    storms_free(&e->storms);
    stats_fini(&e->stats);
    config_unref(&e->cfg);
    mem_free(e);
}
