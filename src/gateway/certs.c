/* SPDX-License-Identifier: MIT */
/* Certificates of listeners. */
#include "gateway/certs.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

#define SIDE_LISTENERS 2 /* admin, metrics */
#define DAY_S (INT64_C(24) * 3600)

const struct config_listener *certs_listener(const struct config *cfg, size_t i)
{
    const struct config_listener *sides[SIDE_LISTENERS];
    size_t n = 0;

    if (i < cfg->listen_n)
        return &cfg->listen[i];
    if (cfg->admin != NULL)
        sides[n++] = cfg->admin;
    if (cfg->metrics != NULL)
        sides[n++] = cfg->metrics;
    return i - cfg->listen_n < n ? sides[i - cfg->listen_n] : NULL;
}

static struct tls_config *make_one(const struct config_tls *tls, const char **why)
{
    struct tls_pair *pairs = mem_zalloc(tls->pairs_n * sizeof *pairs);
    struct tls_config *c;
    size_t fault;

    for (size_t i = 0; i < tls->pairs_n; i++)
        pairs[i] = (struct tls_pair){tls->pairs[i].cert.path, tls->pairs[i].key.path};
    c = tls_config_servers(pairs, tls->pairs_n, &fault, why);
    mem_free(pairs);
    return c;
}

bool certs_load(const struct config *cfg, struct tls_config ***out, const char **why)
{
    struct tls_config **all = mem_zalloc((cfg->listen_n + SIDE_LISTENERS) * sizeof *all);
    const struct config_listener *l;

    *out = all;
    for (size_t i = 0; (l = certs_listener(cfg, i)) != NULL; i++) {
        for (size_t j = 0; j < i && l->tls != NULL && all[i] == NULL; j++) {
            if (certs_listener(cfg, j)->tls == l->tls)
                all[i] = tls_config_ref(all[j]);
        }
        if (l->tls != NULL && all[i] == NULL && (all[i] = make_one(l->tls, why)) == NULL)
            return false;
    }
    return true;
}

void certs_free(const struct config *cfg, struct tls_config ***out)
{
    struct tls_config **all = *out;

    *out = NULL;
    for (size_t i = 0; all != NULL && certs_listener(cfg, i) != NULL; i++)
        tls_config_free(&all[i]);
    mem_free(all);
}

struct tls_config *certs_find(const struct config *cfg, struct tls_config **certs, const char *at)
{
    const struct config_listener *l;

    for (size_t i = 0; (l = certs_listener(cfg, i)) != NULL; i++) {
        if (strcmp(l->at, at) == 0)
            return certs[i];
    }
    return NULL;
}

/* -- checking -------------------------------------------------------------------------------------------- */

static const char *day_of(int64_t s, char out[16])
{
    time_t t = (time_t)s;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || strftime(out, 16, "%Y-%m-%d", &tm) == 0)
        snprintf(out, 16, "?");
    return out;
}

static size_t check_pair(const struct config_pair *pair, int64_t now_s, certs_say_cb say, void *ud)
{
    const struct tls_pair files = {pair->cert.path, pair->key.path};
    struct tls_facts f;
    char text[160], day[16];
    const char *why;
    bool of_key;

    if (!tls_pair_check(&files, &f, &why, &of_key)) {
        say(ud, of_key ? &pair->key : &pair->cert, why, true);
        return 1;
    }
    if (now_s > f.until_s)
        snprintf(text, sizeof text, "the certificate expired on %s, %lld days ago: clients refuse it",
                 day_of(f.until_s, day), (long long)((now_s - f.until_s) / DAY_S));
    else if (now_s < f.from_s)
        snprintf(text, sizeof text, "the certificate is valid from %s on only: clients refuse it",
                 day_of(f.from_s, day));
    else
        return 0;
    say(ud, &pair->cert, text, false);
    return 0;
}

size_t certs_check(const struct config *cfg, int64_t now_s, certs_say_cb say, void *ud)
{
    const struct config_listener *l;
    size_t faults_n = 0;

    for (size_t i = 0; (l = certs_listener(cfg, i)) != NULL; i++) {
        bool known = l->tls == NULL;

        for (size_t j = 0; j < i && !known; j++)
            known = certs_listener(cfg, j)->tls == l->tls;
        for (size_t k = 0; !known && k < l->tls->pairs_n; k++)
            faults_n += check_pair(&l->tls->pairs[k], now_s, say, ud);
    }
    return faults_n;
}

struct warning {
    const struct config *cfg;
    struct log *log;
};

static void warn(void *ud, const struct config_file *at, const char *text, bool fault)
{
    const struct warning *w = ud;

    (void)fault;
    LOG_WRN(w->log, "%s:%d:%d: %s: %s", w->cfg->file, at->line, at->col, at->path, text);
}

void certs_warn(const struct config *cfg, int64_t now_s, struct log *log)
{
    struct warning w = {cfg, log};

    certs_check(cfg, now_s, warn, &w);
}
