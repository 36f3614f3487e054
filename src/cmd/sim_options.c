/* SPDX-License-Identifier: MIT */
/* Reading the options of `tidegate sim`. */
#include "cmd/sim_options.h"

#include <stdio.h>
#include <string.h>

#include "sim/rule.h"

#define COUNT_MAX 1000000000

const char SIM_HELP[] =
    "usage: tidegate sim [OPTION]...\n"
    "\n"
    "Runs a simulated model provider: the APIs of OpenAI, DeepSeek and local engines, made-up answers that "
    "follow\n"
    "from the prompt alone, and faults. Faults are also chosen by a suffix of the model's name, such as "
    "any~cut=5\n"
    "or any~ttft=2s,gap=5ms,tokens=50 (docs/sim.md, docs/sim-faults.md).\n"
    "\n"
    "  --listen ADDR[,name=NAME][,tls[=CERT:KEY]][,fault=WHAT]\n"
    "                        where to listen (127.0.0.1:9101; port 0 takes a free one and prints it), up to "
    "8\n"
    "                        times; tls without files makes a certificate; WHAT holds for all that comes "
    "there\n"
    "                        and stands last: refuse, tls_hang, or items as behind a ~: 503,retry_after=30\n"
    "  --tls-out FILE        writes the certificate that was made, for clients to trust\n"
    "  --slots N             answers worked on at a time, others queue with keep-alives (0: no bound)\n"
    "  --account-limit N     calls in flight before 429 (0: no limit)\n"
    "  --ttft TIME[:SIGMA]   time to first token: median, and sigma of a lognormal (200ms)\n"
    "  --prefill TIME        more of it for each 1000 tokens of the prompt (0)\n"
    "  --gap TIME[:SIGMA]    time between tokens (20ms)\n"
    "  --tokens N            mean length of an answer (64)\n"
    "  --keepalive TIME      between keep-alives while queued (1s; 0: none)\n"
    "  --loading TIME        answers 503 for so long after the start, as an engine that loads its model (0)\n"
    "  --balance N           of the account, in yuan (110); 0: calls are answered 402\n"
    "  --fault NAME=P        probability of a fault; may be given several times\n"
    "  --fault-after K       tokens before cut, stall and their like show (0: drawn from 1 to 20)\n"
    "  --timeline FILE       a script of outages: rows like  at=30s for=10s fault=503 p=0.5\n"
    "  --seed N              the dice (0); the same requests in the same order meet the same faults and "
    "times\n"
    "\n"
    "SIGTERM or SIGINT stops it. Exit codes: 0 fine, 1 failed, 2 usage.\n";

/* -- values --------------------------------------------------------------------------------------------- */

static bool take_count(const char *value, int *out)
{
    uint64_t n;

    if (!slice_to_u64(slice_of(value), COUNT_MAX, &n))
        return false;
    *out = (int)n;
    return true;
}

static bool take_slots(struct sim_command *c, char *value)
{
    return take_count(value, &c->opts.slots);
}

static bool take_account_limit(struct sim_command *c, char *value)
{
    return take_count(value, &c->opts.account_limit);
}

static bool take_ttft(struct sim_command *c, char *value)
{
    return sim_time_parse(slice_of(value), &c->opts.ttft);
}

static bool take_prefill(struct sim_command *c, char *value)
{
    return sim_duration_parse(slice_of(value), &c->opts.prefill_us);
}

static bool take_gap(struct sim_command *c, char *value)
{
    return sim_time_parse(slice_of(value), &c->opts.gap);
}

static bool take_tokens(struct sim_command *c, char *value)
{
    return take_count(value, &c->opts.tokens_mean) && c->opts.tokens_mean > 0;
}

static bool take_keepalive(struct sim_command *c, char *value)
{
    return sim_duration_parse(slice_of(value), &c->opts.keepalive_us);
}

static bool take_balance(struct sim_command *c, char *value)
{
    return take_count(value, &c->opts.balance);
}

static bool take_loading(struct sim_command *c, char *value)
{
    return sim_duration_parse(slice_of(value), &c->opts.loading_us);
}

/* Connections and requests have dice of their own: the probabilities of each phase are at most 1 together. */
static bool take_fault(struct sim_command *c, char *value)
{
    struct slice p, name = slice_cut(slice_of(value), '=', &p);
    enum sim_fault f = sim_fault_of(name);
    double sums[2] = {0, 0};

    if (f == SIM_NONE || p.p == NULL || !sim_share_parse(p, &c->opts.fault_p[f]))
        return false;
    for (int i = 0; i < SIM_FAULT_N; i++)
        sums[sim_fault_is_asked((enum sim_fault)i)] += c->opts.fault_p[i];
    return sums[0] <= 1 + 1e-9 && sums[1] <= 1 + 1e-9;
}

static bool take_fault_after(struct sim_command *c, char *value)
{
    return take_count(value, &c->opts.fault_after);
}

static bool take_seed(struct sim_command *c, char *value)
{
    return slice_to_u64(slice_of(value), UINT64_MAX, &c->opts.seed);
}

static bool take_timeline(struct sim_command *c, char *value)
{
    c->timeline = value;
    return true;
}

static bool take_tls_out(struct sim_command *c, char *value)
{
    c->tls_out = value;
    return true;
}

/* -- listeners ------------------------------------------------------------------------------------------ */

static bool take_files(struct sim_place *p, char *files)
{
    char *colon = strchr(files, ':');

    if (colon == NULL)
        return false;
    *colon = '\0';
    p->cert = files;
    p->key = colon + 1;
    return *p->cert != '\0' && *p->key != '\0';
}

static bool take_word(struct sim_place *p, char *word)
{
    if (strncmp(word, "name=", 5) == 0) {
        p->name = word + 5;
        return *p->name != '\0';
    }
    p->tls = strncmp(word, "tls", 3) == 0;
    if (!p->tls || word[3] == '\0')
        return p->tls;
    return word[3] == '=' && take_files(p, word + 4);
}

/* ADDR[,name=NAME][,tls[=CERT:KEY]][,fault=WHAT]: what the fault is may hold commas, so it stands last. */
static bool take_listen(struct sim_command *c, char *value)
{
    struct sim_place *p = &c->places[c->places_n];
    char *next = strchr(value, ',');
    struct sim_rule rule;

    if (c->places_n == SIM_PLACES_MAX)
        return false;
    c->places_n++;
    *p = (struct sim_place){.address = value, .name = value};
    if (next != NULL)
        *next++ = '\0';
    if (addr_parse(slice_of(value), &p->at) != ERR_OK)
        return false;
    while (next != NULL) {
        char *word = next;

        if (strncmp(word, "fault=", 6) == 0) {
            p->rule = word + 6;
            return sim_rule_parse(slice_of(p->rule), &rule) &&
                   (rule.early == SIM_NONE || sim_fault_row(rule.early)->phase != SIM_PHASE_TLS || p->tls);
        }
        next = strchr(word, ',');
        if (next != NULL)
            *next++ = '\0';
        if (!take_word(p, word))
            return false;
    }
    return true;
}

/* -- options -------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    bool (*take)(struct sim_command *c, char *value);
} OPTIONS[] = {
    {"--listen", take_listen},     {"--tls-out", take_tls_out},
    {"--slots", take_slots},       {"--account-limit", take_account_limit},
    {"--ttft", take_ttft},         {"--gap", take_gap},
    {"--tokens", take_tokens},     {"--keepalive", take_keepalive},
    {"--loading", take_loading},   {"--balance", take_balance},
    {"--fault", take_fault},       {"--fault-after", take_fault_after},
    {"--timeline", take_timeline}, {"--seed", take_seed},
    {"--prefill", take_prefill},
};

/* One option as "--name value" or "--name=value"; returns how many arguments it took, 0 when it is wrong. */
static int read_option(struct sim_command *c, char **argv, int left_n)
{
    struct slice value, name = slice_cut(slice_of(argv[0]), '=', &value);
    char *text = argv[0] + name.n + 1;
    char shown[160];

    for (size_t i = 0; i < sizeof OPTIONS / sizeof OPTIONS[0]; i++) {
        if (!slice_eq(name, slice_of(OPTIONS[i].name)))
            continue;
        if (value.p == NULL && left_n == 1) {
            fprintf(stderr, "tidegate sim: %s needs a value\n", OPTIONS[i].name);
            return 0;
        }
        if (value.p == NULL)
            text = argv[1];
        snprintf(shown, sizeof shown, "%s", text); /* reading cuts it */
        if (OPTIONS[i].take(c, text))
            return value.p == NULL ? 2 : 1;
        fprintf(stderr, "tidegate sim: %s: \"%s\" is not understood; see tidegate sim --help\n",
                OPTIONS[i].name, shown);
        return 0;
    }
    fprintf(stderr, "tidegate sim: %s is not understood; tidegate sim --help lists the options\n", argv[0]);
    return 0;
}

bool sim_command_read(struct sim_command *c, int argc, char **argv)
{
    static char place[] = "127.0.0.1:9101";

    memset(c, 0, sizeof *c);
    sim_opts_default(&c->opts);
    c->opts.deepseek = true;
    for (int i = 1; i < argc;) {
        int took = read_option(c, argv + i, argc - i);

        if (took == 0)
            return false;
        i += took;
    }
    return c->places_n > 0 || take_listen(c, place);
}
