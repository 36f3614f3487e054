/* SPDX-License-Identifier: MIT */
/* tidegate: names the commands and starts one. */
#include <stdio.h>
#include <string.h>

#include "cmd/check.h"
#include "cmd/drill.h"
#include "cmd/explain.h"
#include "cmd/load.h"
#include "cmd/serve.h"
#include "cmd/sim.h"
#include "cmd/version.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} COMMANDS[] = {
    {"serve", serve_main,
     "[FILE]   run the gateway (no FILE: tidegate.yaml, else the environment, else the simulator)"},
    {"check", check_main, "[FILE]   say what is wrong with a configuration, or what each model resolves to"},
    {"sim", sim_main, "         run the provider simulator"},
    {"load", load_main, "[URL]    send requests as an open loop and say what came of them"},
    {"explain", explain_main, "ID       say why a request went where it went"},
    {"drill", drill_main, "[NAME]  play an outage or a flood in virtual time and say what came of it"},
};

#define COMMANDS_N (sizeof COMMANDS / sizeof COMMANDS[0])

static void print_help(FILE *to)
{
    fprintf(to,
            "tidegate %s: keeps applications answered when their language models are busy\n\n"
            "usage: tidegate COMMAND [ARGUMENTS]\n\n",
            version_text());
    for (size_t i = 0; i < COMMANDS_N; i++)
        fprintf(to, "  %-9s%s\n", COMMANDS[i].name, COMMANDS[i].what);
    fprintf(to, "\n  tidegate COMMAND --help says more; exit codes: 0 fine, 1 failed, 2 usage\n");
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        printf("tidegate %s (%s)\n", version_text(), version_revision());
        return 0;
    }
    for (size_t i = 0; i < COMMANDS_N; i++) {
        if (strcmp(name, COMMANDS[i].name) == 0)
            return COMMANDS[i].run(argc - 1, argv + 1);
    }
    if (argc > 1)
        fprintf(stderr, "tidegate: there is no command \"%s\"\n\n", name);
    print_help(stderr);
    return 2;
}
