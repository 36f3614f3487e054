/* SPDX-License-Identifier: MIT */
/* Telling clients apart. Every configured key is compared, whether one has matched or not, so that the time
 * tells nothing about which one it was or how much of it was right. */
#include "gateway/identify.h"

#include "base/id.h"

static struct slice presented(const struct http_request *rq)
{
    struct slice v = http_header(rq->headers, rq->headers_n, "authorization");

    if (v.n > 0 && slice_istarts(v, SLICE("bearer ")))
        return slice_trim(slice_from(v, 7));
    return http_header(rq->headers, rq->headers_n, "x-api-key");
}

enum err identify_client(const struct config *cfg, const struct http_request *rq,
                         const struct config_key **key)
{
    struct slice secret = presented(rq);

    *key = NULL;
    if (cfg->keys_n == 0)
        return ERR_OK;
    if (secret.n == 0)
        return ERR_KEY_MISSING;
    for (size_t i = 0; i < cfg->keys_n; i++) {
        if (id_equal_secret(secret, cfg->keys[i].secret))
            *key = &cfg->keys[i];
    }
    return *key != NULL ? ERR_OK : ERR_KEY_INVALID;
}

bool identify_may_use(const struct config_key *key, int model)
{
    if (key == NULL || key->models_n == 0)
        return true;
    for (size_t i = 0; i < key->models_n; i++) {
        if (key->models[i] == model)
            return true;
    }
    return false;
}
