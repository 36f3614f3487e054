/* SPDX-License-Identifier: MIT */
/* tidegate check [--print] [FILE]: the configuration reader with its findings printed; nothing is bound or
 * called. The files of TLS are read too: whether a key belongs to its certificate shows only then. */
#include "cmd/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "config/config.h"
#include "gateway/certs.h"
#include "gateway/trust.h"

#define DEFAULT_FILE "tidegate.yaml"

static const char usage[] =
    "usage: tidegate check [OPTION]... [FILE]\n"
    "\n"
    "Reads FILE (default " DEFAULT_FILE "; - is standard input). Mistakes go to standard error as\n"
    "FILE:LINE:COL: error: ...; of a good file, what each model resolves to is printed.\n"
    "\n"
    "  --print    instead the effective configuration: a file that reads back to the same, with every\n"
    "             default and without secrets\n"
    "\n"
    "Exit codes: 0 the file is good, 1 it is not, 2 usage.\n";

static void say_cert(void *ud, const struct config_file *at, const char *text)
{
    const struct config *config = ud;

    fprintf(stderr, "%s:%d:%d: error: %s: %s\n", config->file, at->line, at->col, at->path, text);
}

size_t check_certs(const struct config *config)
{
    return certs_check(config, clock_wall_us() / CLOCK_SECOND_US, say_cert, (void *)(uintptr_t)config);
}

static int refuse(size_t errors_n, int warnings_n)
{
    fprintf(stderr, "%zu error%s, %d warning%s\n", errors_n, errors_n == 1 ? "" : "s", warnings_n,
            warnings_n == 1 ? "" : "s");
    return 1;
}

static int check(const char *path, char *(*text_of)(const struct config *c))
{
    struct config_report report;
    struct config *config;
    enum err err = config_load(path, &config_env_process, &config, &report);
    const char *why;
    size_t faults_n;
    bool written;
    char *text;
    int fault;

    fputs(report.text, stderr);
    if (err)
        return refuse((size_t)report.errors_n, report.warnings_n);
    faults_n = check_certs(config);
    if (faults_n > 0) {
        config_unref(&config);
        return refuse(faults_n, report.warnings_n);
    }
    fault = trust_check(config, &why);
    if (fault >= 0) {
        fprintf(stderr, "%s: error: endpoint %s: %s\n1 error, %d warning%s\n", config->file,
                config->endpoints[fault].name, why, report.warnings_n, report.warnings_n == 1 ? "" : "s");
        config_unref(&config);
        return 1;
    }
    text = text_of(config);
    written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    mem_free(text);
    config_unref(&config);
    return written ? 0 : 1;
}

int check_main(int argc, char **argv)
{
    char *(*text_of)(const struct config *c) = config_describe;
    const char *path = NULL;
    bool options = true;

    for (int i = 1; i < argc; i++) {
        if (options && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            fputs(usage, stdout);
            return 0;
        }
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strcmp(argv[i], "--print") == 0) {
            text_of = config_print;
        } else if (path || (options && argv[i][0] == '-' && argv[i][1])) {
            fprintf(stderr, "tidegate check: %s is not understood\n%s", argv[i], usage);
            return 2;
        } else {
            path = argv[i];
        }
    }
    return check(path ? path : DEFAULT_FILE, text_of);
}
