/* SPDX-License-Identifier: MIT */
/* Writes the file that somebody with these engines would write, and reads it. */
#include "config/engines.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define TEXT_MAX ((size_t)1 << 20)
#define MODEL_MAX 256
#define NAME_BYTES 32

bool config_engine_can_name(struct slice model)
{
    if (model.n == 0 || model.n > MODEL_MAX || slice_eq(model, SLICE("*")))
        return false;
    for (size_t i = 0; i < model.n; i++) {
        unsigned char c = (unsigned char)model.p[i];

        if (c <= ' ' || c == 0x7f)
            return false;
    }
    return true;
}

int config_engine_for_the_rest(const struct config_engine *engines, size_t n)
{
    if (n == 1)
        return 0;
    for (size_t i = 0; i < n; i++) { /* llama-server answers with the model it has, whatever it is called */
        if (engines[i].provider == PROVIDER_LLAMA)
            return (int)i;
    }
    return -1;
}

/* "llama", or "llama-8080" where there is another one. */
static const char *name_of(const struct config_engine *engines, size_t n, size_t i, char *out)
{
    const char *colon = strrchr(engines[i].at, ':');
    size_t same_n = 0;

    for (size_t k = 0; k < n; k++)
        same_n += engines[k].provider == engines[i].provider;
    snprintf(out, NAME_BYTES, same_n > 1 && colon != NULL ? "%s-%s" : "%s",
             config_provider_name(engines[i].provider), colon != NULL ? colon + 1 : "");
    return out;
}

/* A dollar sign would begin a variable. */
static enum err write_string(struct buf *t, struct slice s)
{
    char doubled[MODEL_MAX * 2];
    size_t n = 0;

    for (size_t i = 0; i < s.n && n + 2 <= sizeof doubled; i++) {
        if (s.p[i] == '$')
            doubled[n++] = '$';
        doubled[n++] = s.p[i];
    }
    return buf_add_json_string(t, (struct slice){doubled, n});
}

static enum err write_accounts(struct buf *t, const struct config_engine *engines, size_t n)
{
    enum err err = ERR_OK;
    bool begun = false;
    char name[NAME_BYTES];

    for (size_t i = 0; i < n && !err; i++) {
        if (engines[i].slots <= 0)
            continue;
        err = buf_printf(t, "%s  - {name: %s, slots: {\"*\": %d}}\n", begun ? "" : "accounts:\n",
                         name_of(engines, n, i, name), engines[i].slots);
        begun = true;
    }
    return err;
}

static enum err write_endpoints(struct buf *t, const struct config_engine *engines, size_t n)
{
    enum err err = buf_add(t, SLICE("endpoints:\n"));
    char name[NAME_BYTES];

    for (size_t i = 0; i < n && !err; i++) {
        name_of(engines, n, i, name);
        err = buf_printf(t, "  - {name: %s, provider: %s, url: \"http://%s/v1\", key: none, local: true",
                         name, config_provider_name(engines[i].provider), engines[i].at);
        if (!err && engines[i].slots > 0)
            err = buf_printf(t, ", account: %s", name);
        if (!err)
            err = buf_add(t, SLICE("}\n"));
    }
    return err;
}

static bool lists(const struct config_engine *e, struct slice model)
{
    for (size_t i = 0; i < e->models_n; i++) {
        if (slice_eq(e->models[i].name, model))
            return true;
    }
    return false;
}

/* At every engine that has it; written where it is met first. */
static enum err write_model(struct buf *t, const struct config_engine *engines, size_t n, size_t first,
                            struct slice model)
{
    enum err err = buf_add(t, SLICE("  - {name: "));
    const char *comma = "";
    char name[NAME_BYTES];

    if (!err)
        err = write_string(t, model);
    if (!err)
        err = buf_add(t, SLICE(", tiers: [["));
    for (size_t i = first; i < n && !err; i++) {
        if (!lists(&engines[i], model))
            continue;
        err = buf_printf(t, "%s{endpoint: %s}", comma, name_of(engines, n, i, name));
        comma = ", ";
    }
    return err ? err : buf_add(t, SLICE("]]}\n"));
}

static bool listed_before(const struct config_engine *engines, size_t i, size_t k)
{
    const struct config_engine_model *models = engines[i].models;

    for (size_t j = 0; j < k; j++) {
        if (slice_eq(models[j].name, models[k].name))
            return true;
    }
    for (size_t j = 0; j < i; j++) {
        if (lists(&engines[j], models[k].name))
            return true;
    }
    return false;
}

/* llama-server looks at no name; with its own, all of these calls share its slots. */
static enum err write_rest(struct buf *t, const struct config_engine *e, const char *name)
{
    enum err err = buf_printf(t, "  - {name: \"*\", tiers: [[{endpoint: %s", name);

    if (!err && e->provider == PROVIDER_LLAMA && e->models_n == 1) {
        err = buf_add(t, SLICE(", model: "));
        if (!err)
            err = write_string(t, e->models[0].name);
    }
    return err ? err : buf_add(t, SLICE("}]]}\n"));
}

static enum err write_models(struct buf *t, const struct config_engine *engines, size_t n)
{
    int rest = config_engine_for_the_rest(engines, n);
    enum err err = buf_add(t, SLICE("models:\n"));
    char name[NAME_BYTES];

    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < engines[i].models_n && !err; k++) {
            if (!listed_before(engines, i, k))
                err = write_model(t, engines, n, i, engines[i].models[k].name);
        }
    }
    if (!err && rest >= 0)
        err = write_rest(t, &engines[rest], name_of(engines, n, (size_t)rest, name));
    return err;
}

enum err config_for_engines(const struct config_engine *engines, size_t n, const char *listen,
                            const char *admin, struct config **out, char **yaml_out,
                            struct config_report *report)
{
    struct buf text;
    enum err err;

    *out = NULL;
    *yaml_out = NULL;
    *report = (struct config_report){.text = ""};
    buf_init(&text, TEXT_MAX, NULL);
    err = buf_printf(&text, "listen: %s\nadmin: %s\n", listen, admin);
    if (!err)
        err = write_accounts(&text, engines, n);
    if (!err)
        err = write_endpoints(&text, engines, n);
    if (!err)
        err = write_models(&text, engines, n);
    if (!err)
        err = config_parse(buf_slice(&text), "<engines found>", &config_env_process, out, report);
    if (!err)
        *yaml_out = mem_strndup(text.p, text.n);
    buf_fini(&text);
    return err;
}
