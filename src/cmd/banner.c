/* SPDX-License-Identifier: MIT */
/* The first minute decides: a ready gateway says the one line to change in the application and a command to
 * try. */
#include "cmd/banner.h"

#include "cmd/version.h"

static const char *first_model(const struct config *cfg)
{
    for (size_t i = 0; i < cfg->models_n; i++) {
        if (!slice_eq(cfg->models[i].name, SLICE("*")))
            return cfg->models[i].name.p; /* names in a configuration end with a NUL */
    }
    return "gpt-4o-mini";
}

static void print_source(FILE *to, const struct config *cfg, const struct banner_facts *f)
{
    switch (f->source) {
    case BANNER_FILE:
        fprintf(to, "  configuration   %s\n", f->file);
        break;
    case BANNER_ENV:
        fprintf(to, "  configuration   from the environment; as a file it would be:\n\n%s\n", f->yaml);
        break;
    case BANNER_LOCAL:
        fprintf(to,
                "  configuration   from the engines found on this machine; as a file it would be:\n\n%s\n",
                f->yaml);
        local_print(to, f->local);
        local_print_locked(to, f->local);
        return;
    case BANNER_SIM:
        fprintf(to,
                "  provider        THE BUILT-IN SIMULATOR: its answers are made up. For a real model set\n"
                "                  DEEPSEEK_API_KEY (or OPENAI_API_KEY) and start again, or write a file:\n"
                "                  see tidegate.example.yaml\n");
        local_print_locked(to, f->local);
        break;
    }
    fprintf(to, "  models         ");
    for (size_t i = 0; i < cfg->models_n; i++)
        fprintf(to, " %.*s%s", SLICE_ARG(cfg->models[i].name), i + 1 < cfg->models_n ? "," : "\n");
}

void banner_print(FILE *to, const struct config *cfg, const struct banner_facts *f)
{
    char at[64];

    addr_format(&f->bound, at, sizeof at);
    fprintf(to, "tidegate %s is ready\n\n  listening at    http://%s/v1\n", version_text(), at);
    if (cfg->admin != NULL)
        fprintf(to, "  admin           http://%s/metrics\n", cfg->admin);
    print_source(to, cfg, f);
    fprintf(to,
            "\n  try it          curl -N http://%s/v1/chat/completions%s \\\n"
            "                    -H 'Content-Type: application/json' \\\n"
            "                    -d '{\"model\":\"%s\",\"stream\":true,\"messages\":[{\"role\":\"user\","
            "\"content\":\"Hello\"}]}'\n"
            "  in your code    base_url=\"http://%s/v1\"   (the one line to change)\n\n",
            at, cfg->keys_n > 0 ? " -H 'Authorization: Bearer YOUR_KEY'" : "", first_model(cfg), at);
    fflush(to);
}
