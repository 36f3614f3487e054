/* SPDX-License-Identifier: MIT */
/* tidegate check [OPTION]... [FILE]: the configuration reader with its findings printed; nothing is bound or
 * called. The files of TLS are read too: whether a key belongs to its certificate shows only then. */
#include "cmd/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cmd/rehearsal.h"
#include "config/config.h"
#include "config/schema.h"
#include "gateway/certs.h"
#include "gateway/trust.h"

#define DEFAULT_FILE "tidegate.yaml"

static const char usage[] =
    "usage: tidegate check [OPTION]... [FILE]\n"
    "\n"
    "Reads FILE (default " DEFAULT_FILE "; - is standard input). Mistakes go to standard error as\n"
    "FILE:LINE:COL: error: ...; of a good file, what each model resolves to is printed, and what becomes of\n"
    "a request when its endpoints fail: tried out with simulators in their place, nobody is called.\n"
    "\n"
    "  --no-failover  does not try out failures\n"
    "  --json         prints what came of the failures, and that alone, as JSON\n"
    "  --print        prints the effective configuration instead: a file that reads back to the same, with\n"
    "                 every default and without secrets\n"
    "  --quiet        prints nothing of a good file\n"
    "  --schema       prints the JSON Schema of a configuration file, for editors; reads no file\n"
    "\n"
    "Exit codes: 0 the file is good, 1 it is not, 2 usage.\n";

/* What of a good file is printed. */
enum wish { WISH_ALL, WISH_RESOLVED, WISH_FAILURES, WISH_EFFECTIVE, WISH_NOTHING, WISH_SCHEMA };

static void say_cert(void *ud, const struct config_file *at, const char *text, bool fault)
{
    const struct config *config = ud;

    fprintf(stderr, "%s:%d:%d: %s: %s: %s\n", config->file, at->line, at->col, fault ? "error" : "warning",
            at->path, text);
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

/* Whether what the files of TLS hold can be used; says what cannot. */
static bool files_are_good(const struct config *config, int warnings_n)
{
    size_t faults_n = check_certs(config);
    const char *why;
    int fault;

    if (faults_n > 0)
        return refuse(faults_n, warnings_n) == 0;
    fault = trust_check(config, &why);
    if (fault < 0)
        return true;
    fprintf(stderr, "%s: error: endpoint %s: %s\n", config->file, config->endpoints[fault].name, why);
    return refuse(1, warnings_n) == 0;
}

/* Prints a heap text and frees it; false when it could not be written. */
static bool print(char *text)
{
    bool written = fputs(text, stdout) >= 0 && fflush(stdout) == 0;

    mem_free(text);
    return written;
}

static bool show(struct config *config, enum wish wish)
{
    if (wish == WISH_EFFECTIVE)
        return print(config_print(config));
    if (wish == WISH_RESOLVED || wish == WISH_ALL) {
        if (!print(config_describe(config)))
            return false;
    }
    if (wish == WISH_ALL)
        rehearsal_print(config, stdout);
    else if (wish == WISH_FAILURES)
        rehearsal_print_json(config, stdout);
    return fflush(stdout) == 0 && !ferror(stdout);
}

static int check(const char *path, enum wish wish)
{
    struct config_report report;
    struct config *config;
    enum err err = config_load(path, &config_env_process, &config, &report);
    bool fine;

    fputs(report.text, stderr);
    if (err)
        return refuse((size_t)report.errors_n, report.warnings_n);
    fine = files_are_good(config, report.warnings_n) && show(config, wish);
    config_unref(&config);
    return fine ? 0 : 1;
}

/* False when the argument is no option that is known. */
static bool read_option(const char *arg, enum wish *wish)
{
    static const struct {
        const char *name;
        enum wish wish;
    } options[] = {{"--no-failover", WISH_RESOLVED},
                   {"--json", WISH_FAILURES},
                   {"--print", WISH_EFFECTIVE},
                   {"--quiet", WISH_NOTHING},
                   {"--schema", WISH_SCHEMA}};

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (strcmp(arg, options[i].name) == 0) {
            *wish = options[i].wish;
            return true;
        }
    }
    return false;
}

int check_main(int argc, char **argv)
{
    enum wish wish = WISH_ALL;
    const char *path = NULL;
    bool options = true;

    for (int i = 1; i < argc; i++) {
        bool is_option = options && argv[i][0] == '-' && argv[i][1];

        if (is_option && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            fputs(usage, stdout);
            return 0;
        }
        if (is_option && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (is_option ? !read_option(argv[i], &wish) : path != NULL) {
            fprintf(stderr, "tidegate check: %s is not understood\n%s", argv[i], usage);
            return 2;
        } else if (!is_option) {
            path = argv[i];
        }
    }
    if (wish == WISH_SCHEMA)
        return print(config_schema()) ? 0 : 1;
    return check(path ? path : DEFAULT_FILE, wish);
}
