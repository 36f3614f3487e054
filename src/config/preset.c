/* SPDX-License-Identifier: MIT */
/* Configurations for those who have written none: from well-known environment variables, or around our
 * simulator.
 *
 * Why as text: there is one reader of configurations, and the text is what the user starts his own file
 * from. */
#include "config/config.h"

#include "base/buf.h"
#include "base/mem.h"
#include "config/address.h"
#include "config/notes.h"

#define TEXT_MAX ((size_t)8 << 10)

/* The retired names are still what many clients send (DeepSeek withdrew them on 24 July 2026). */
#define DEEPSEEK_ALIASES                                                 \
    "    aliases:\n"                                                     \
    "      - {name: deepseek-chat, set: {thinking: {type: disabled}}}\n" \
    "      - {name: deepseek-reasoner, set: {thinking: {type: enabled}}}\n"
#define HEAD "listen: 127.0.0.1:8080\nadmin: 127.0.0.1:8081\n"

static bool is_set(const struct config_env *env, const char *name)
{
    const char *value = env->get(env->ud, name);

    return value && *value;
}

static enum err finish(struct buf *text, const char *name, const struct config_env *env, struct config **out,
                       char **yaml_out, struct config_report *report)
{
    enum err err = config_parse(buf_slice(text), name, env, out, report);

    if (yaml_out)
        *yaml_out = mem_strndup(text->p, text->n);
    buf_fini(text);
    return err;
}

static enum err write_env(struct buf *t, bool deepseek, bool openai_key, bool openai_url)
{
    bool openai = openai_key || openai_url;
    enum err err = buf_add(t, SLICE(HEAD "endpoints:\n"));

    if (!err && deepseek)
        err = buf_add(t, SLICE("  - name: deepseek\n"
                               "    provider: deepseek\n"
                               "    url: https://api.deepseek.com\n"
                               "    key: \"${DEEPSEEK_API_KEY}\"\n"));
    if (!err && openai)
        err = buf_printf(t, "  - name: openai\n    provider: openai\n    url: %s\n    key: %s\n",
                         openai_url ? "\"${OPENAI_BASE_URL}\"" : "https://api.openai.com/v1",
                         openai_key ? "\"${OPENAI_API_KEY}\"" : "none");
    if (!err)
        err = buf_add(t, SLICE("models:\n"));
    if (!err && deepseek)
        err = buf_add(t, SLICE("  - name: deepseek-flash\n" DEEPSEEK_ALIASES
                               "    tiers: [[{endpoint: deepseek}]]\n"
                               "  - name: deepseek-v4-pro\n"
                               "    tiers: [[{endpoint: deepseek}]]\n"));
    if (!err)
        err = buf_printf(t, "  - {name: \"*\", tiers: [[{endpoint: %s}]]}\n", openai ? "openai" : "deepseek");
    return err;
}

enum err config_from_env(const struct config_env *env, struct config **out, char **yaml_out,
                         struct config_report *report)
{
    bool deepseek = is_set(env, "DEEPSEEK_API_KEY"), key = is_set(env, "OPENAI_API_KEY");
    bool url = is_set(env, "OPENAI_BASE_URL");
    struct buf text;
    enum err err;

    *out = NULL;
    *report = (struct config_report){.text = ""};
    if (yaml_out)
        *yaml_out = NULL;
    if (!deepseek && !key && !url)
        return ERR_OK;
    buf_init(&text, TEXT_MAX, NULL);
    err = write_env(&text, deepseek, key, url);
    if (!err)
        return finish(&text, "<environment>", env, out, yaml_out, report);
    buf_fini(&text);
    return err;
}

enum err config_for_sim(const char *sim_addr, struct config **out, char **yaml_out,
                        struct config_report *report)
{
    struct arena arena;
    struct address a;
    struct buf text;
    struct notes notes;
    enum err err = ERR_CONFIG;
    const char *why;

    *out = NULL;
    *report = (struct config_report){.text = ""};
    if (yaml_out)
        *yaml_out = NULL;
    buf_init(&text, TEXT_MAX, NULL);
    arena_init(&arena, NULL, 0, 4096);
    why = address_parse(slice_of(sim_addr), &arena, &a);
    if (why) {
        notes_init(&notes, &arena);
        notes_error(&notes, (struct place){0, 0}, "%s", why);
        notes_report(&notes, "<simulator>", report);
    } else {
        err = buf_printf(
            &text,
            HEAD
            "endpoints:\n"
            "  - {name: sim, provider: tidegate, url: \"http://%s/v1\", key: none}\n"
            "  - {name: sim-deepseek, provider: deepseek, url: \"http://%s\", key: none}\n"
            "models:\n"
            "  - name: deepseek-flash\n" DEEPSEEK_ALIASES "    tiers: [[{endpoint: sim-deepseek}]]\n"
            "  - {name: \"*\", tiers: [[{endpoint: sim}]]}\n"
            "# Faults that are asked for are shown at once; without these two lines they are waited out.\n"
            "retry: {outage: 0s}\n"
            "breaker: {failures: 0}\n",
            a.text, a.text);
    }
    arena_fini(&arena);
    if (!err)
        return finish(&text, "<simulator>", &config_env_process, out, yaml_out, report);
    buf_fini(&text);
    return err;
}
