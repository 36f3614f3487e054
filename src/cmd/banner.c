/* SPDX-License-Identifier: MIT */
/* The first minute decides: a ready gateway says the one line to change in the application and a command to
 * try. */
#include "cmd/banner.h"

#include <string.h>

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
        nofile_print(to, f->nofile);
        nofile_print_locked(to, f->nofile);
        return;
    case BANNER_SIM:
        fprintf(to,
                "  provider        THE BUILT-IN SIMULATOR: its answers are made up. For a real model set\n"
                "                  DEEPSEEK_API_KEY (or OPENAI_API_KEY) and start again, or write a file:\n"
                "                  see tidegate.example.yaml\n");
        nofile_print_locked(to, f->nofile);
        break;
    }
    fprintf(to, "  models         ");
    for (size_t i = 0; i < cfg->models_n; i++)
        fprintf(to, " %.*s%s", SLICE_ARG(cfg->models[i].name), i + 1 < cfg->models_n ? "," : "\n");
}

/* "https://127.0.0.1:8443"; what stands behind --unix-socket has no address that a URL could name. */
static const char *base_of(const struct config *cfg, const struct banner_facts *f,
                           char out[ADDR_TEXT_BYTES + 8])
{
    char at[ADDR_TEXT_BYTES];

    addr_format(&f->bound, at, sizeof at);
    snprintf(out, ADDR_TEXT_BYTES + 8, "%s%s", cfg->listen[0].tls != NULL ? "https://" : "http://",
             addr_is_unix(&f->bound) ? "localhost" : at);
    return out;
}

static void print_listeners(FILE *to, const struct config *cfg, const struct banner_facts *f,
                            const char *base)
{
    char at[ADDR_TEXT_BYTES];

    addr_format(&f->bound, at, sizeof at);
    if (addr_is_unix(&f->bound))
        fprintf(to, "  listening at    %s\n", at);
    else
        fprintf(to, "  listening at    %s/v1\n", base);
    for (size_t i = 1; i < cfg->listen_n; i++)
        fprintf(to, "                  %s%s\n", cfg->listen[i].at,
                cfg->listen[i].tls != NULL ? " (TLS)" : "");
    if (cfg->admin != NULL && strncmp(cfg->admin->at, "unix:", 5) == 0)
        fprintf(to, "  admin           %s\n", cfg->admin->at);
    else if (cfg->admin != NULL)
        fprintf(to, "  admin           %s%s/metrics\n", cfg->admin->tls != NULL ? "https://" : "http://",
                cfg->admin->at);
}

/* How curl is told of a socket: "unix:/PATH" or "unix:@NAME". */
static const char *socket_flag(const char *at)
{
    if (strncmp(at, "unix:", 5) != 0)
        return "";
    return at[5] == '@' ? " --abstract-unix-socket " : " --unix-socket ";
}

void banner_print(FILE *to, const struct config *cfg, const struct banner_facts *f)
{
    char url[ADDR_TEXT_BYTES + 8], at[ADDR_TEXT_BYTES];
    const char *base = base_of(cfg, f, url);
    bool by_path = addr_is_unix(&f->bound);

    addr_format(&f->bound, at, sizeof at);
    fprintf(to, "tidegate %s is ready\n\n", version_text());
    print_listeners(to, cfg, f, base);
    print_source(to, cfg, f);
    fprintf(to,
            "\n  try it          curl -N%s%s %s/v1/chat/completions%s \\\n"
            "                    -H 'Content-Type: application/json' \\\n"
            "                    -d '{\"model\":\"%s\",\"stream\":true,\"messages\":[{\"role\":\"user\","
            "\"content\":\"Hello\"}]}'\n",
            socket_flag(at), by_path ? at + (at[5] == '@' ? 6 : 5) : "", base,
            cfg->keys_n > 0 ? " -H 'Authorization: Bearer YOUR_KEY'" : "", first_model(cfg));
    if (!by_path)
        fprintf(to, "  in your code    base_url=\"%s/v1\"   (the one line to change)\n", base);
    fputs("\n", to);
    fflush(to);
}
