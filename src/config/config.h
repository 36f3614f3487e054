/* SPDX-License-Identifier: MIT */
/* The configuration as the program uses it: one immutable, reference-counted snapshot, resolved and
 * validated.
 *
 * Everything in it lives in the snapshot's own arena. Names are resolved to indices when it is built, so
 * that the request path never searches for an endpoint or account by name. */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum provider {
    PROVIDER_OPENAI,
    PROVIDER_DEEPSEEK,
    PROVIDER_LLAMA,
    PROVIDER_VLLM,
    PROVIDER_SGLANG,
    PROVIDER_OLLAMA,
    PROVIDER_ANTHROPIC,
    PROVIDER_TIDEGATE,
    PROVIDER_N
};

enum priority { PRIORITY_CRITICAL, PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_BULK, PRIORITY_N };

enum key_mode {
    KEY_NONE,   /* calls carry no credential */
    KEY_CLIENT, /* the client's own Authorization goes up */
    KEY_OWN     /* the endpoint's secret */
};

/* What use can be limited by. The first three count requests, each in its own span of time. */
enum limit { LIMIT_RPS, LIMIT_RPM, LIMIT_RPH, LIMIT_TPM, LIMIT_INFLIGHT, LIMIT_N };

struct config_limits {
    int64_t n[LIMIT_N]; /* 0: not limited */
};

/* Limits of one key for one model. */
struct config_model_limits {
    int model; /* index */
    struct config_limits limits;
};

/* A client's key. */
struct config_key {
    const char *name;
    struct slice secret;
    const char
        *secret_from; /* where the secret was read, for messages: "${WEB_KEY}", "file /run/secrets/web" */
    enum priority priority; /* the best class that requests with this key may have */
    const int *models;      /* indices of allowed models; models_n 0: all */
    size_t models_n;
    struct config_limits limits; /* over all models */
    const struct config_model_limits *model_limits;
    size_t model_limits_n;
    bool sensitive; /* its requests may go to endpoints that are local, and to no other */
};

/* A header that a request must have, with exactly this value; "*": any. */
struct config_rule_header {
    struct slice name, value;
    bool from_env; /* the value holds one of the environment: not to be shown */
};

/* One rule of a list: which requests it is for (all of it must hold), and where they go. */
struct config_rule {
    const int *keys; /* indices, ascending; keys_n 0: whoever calls */
    size_t keys_n;
    const struct config_rule_header *headers;
    size_t headers_n;
    int64_t tokens_min, tokens_max; /* of the prompt as estimated; 0 and INT64_MAX: any number */
    /* Where to: at most one of these. */
    const int *use; /* indices of endpoints, no other is asked; use_n 0: not given */
    size_t use_n;
    int model;      /* index: as if the client had named this one; -1: not given */
    int tier;       /* the first one that is asked, from 1; 0: not given */
    bool sensitive; /* beside that, or alone */
    int line;       /* where it stands in the file */
};

struct config_rules {
    const struct config_rule *rules; /* in order: the first that says where decides */
    size_t n;
};

struct config_slots {
    struct slice model; /* upstream model name; "*": any */
    int n;              /* 0: none was given, of an account that learns */
};

/* What is counted together. The slots of an endpoint are an account that nobody else uses. */
struct config_account {
    const char *name; /* of an endpoint's: "endpoint:" and its name, which no account of the file can have */
    bool learn;       /* slots are learned, below these */
    const struct config_slots *slots;
    size_t slots_n;
};

/* What a provider takes for a million tokens, in millionths of whatever unit the file means. */
struct config_rate {
    int64_t input, output;
};

struct config_price_window {
    unsigned days;        /* bit per day on which it begins, from Monday on */
    int from_min, to_min; /* minutes of the day, UTC; to <= from: it ends on the next day */
    struct config_rate rate;
};

struct config_price {
    struct config_rate rate;                   /* outside of all windows */
    const struct config_price_window *windows; /* the first that fits counts */
    size_t windows_n;
};

/* An HTTP proxy on the way to an endpoint. */
struct config_proxy {
    const char *host; /* without brackets */
    uint16_t port;
    struct slice authorization; /* "Basic ...", or empty */
    const char *from;           /* who said so, for messages: "proxy", "HTTPS_PROXY" */
};

struct config_endpoint {
    const char *name;
    enum provider provider;
    struct slice url; /* for messages: as written, or with the provider's own path where it has none */
    const char *host; /* without brackets */
    uint16_t port;
    struct slice base_path; /* "" or "/v1": no slash at the end */
    struct slice authority; /* Host header: "api.deepseek.com" or "127.0.0.1:9101" */
    enum key_mode key_mode;
    struct slice secret;              /* KEY_OWN */
    const char *secret_from;          /* KEY_OWN: where the secret was read, for messages */
    int account;                      /* index or -1 */
    int own;                          /* 1 + index of the account made of them; 0: there is none */
    const struct config_slots *slots; /* of its own, besides the account's */
    size_t slots_n;
    const char *region;                   /* or NULL */
    int64_t distance_us;                  /* from the gateway's region; 0: it is the same, or not known */
    const struct config_price *price;     /* or NULL */
    const char *ca_file;                  /* PEM, or NULL for the system's */
    const char *client_cert, *client_key; /* PEM files, both or none */
    const char *server_name;              /* for SNI and verification, or NULL: host */
    const struct config_proxy *proxy;     /* or NULL */
    const char *socket;                   /* Unix socket where it is reached, "/PATH" or "@NAME"; or NULL */
    bool tls;
    bool learn;   /* its own slots are learned, below these */
    bool signals; /* it is asked what load it has (llm/signals.h) */
    bool local;   /* sensitive requests may go there */
};

/* One entry of a tier. */
struct config_target {
    int endpoint;
    int weight;         /* 1..1000000; 0: not given (every entry of the tier counts the same) */
    struct slice model; /* name sent upstream; p NULL: the one that the client named (after alias) */
    const struct config_price *price; /* or NULL: the endpoint's */
};

struct config_tier {
    const struct config_target *targets;
    size_t targets_n;
};

/* A member that an alias writes into the request body: name and JSON text. */
struct config_set {
    struct slice name;
    struct slice json;
    bool from_env; /* holds a value of the environment: not to be shown */
};

struct config_alias {
    struct slice name;
    const struct config_set *sets;
    size_t sets_n;
};

struct config_model {
    struct slice name; /* "*": every name that is not listed */
    const struct config_alias *aliases;
    size_t aliases_n;
    const struct config_tier *tiers;
    size_t tiers_n;
    int64_t deadline_us;         /* for this model, or timeouts.deadline */
    int64_t spill_after_us;      /* CLOCK_NEVER_US: not given */
    struct config_limits limits; /* over all keys */
    bool sensitive;              /* its requests may go to endpoints that are local, and to no other */
    struct config_rules rules;
};

/* A PEM file, and the place in the configuration that names it. */
struct config_file {
    const char *path;
    int line, col;
};

/* A certificate (its chain behind it) and its key. */
struct config_pair {
    struct config_file cert, key;
};

struct config_tls {
    const struct config_pair *pairs; /* chosen by the name that the client asks for; else the first */
    size_t pairs_n;
};

struct config_listener {
    const char *at;               /* as io's addr_parse takes it: "127.0.0.1:8080", "unix:/PATH", "fd:NAME" */
    const struct config_tls *tls; /* NULL: plain */
    bool proxy_protocol;          /* every connection begins with a PROXY header */
    int mode;                     /* permissions of a Unix socket's file */
};

/* Options with a default: one field per row of options.def, by its section ("" is the top level). */
struct config_options {
#define OPT(path, field, kind, dflt, min, max, doc) int64_t field;
#include "config/options.def"
#undef OPT
};

#define CONFIG_LISTEN_DEFAULT "127.0.0.1:8080"

struct config {
    const char *file; /* where it came from, for messages */
    const struct config_listener *listen;
    size_t listen_n;
    const struct config_listener *admin;   /* or NULL */
    const struct config_listener *metrics; /* or NULL */
    int workers;                           /* resolved: at least 1 */
    const struct slice *cors_origins;      /* pages of these may call from a browser; "*": any */
    size_t cors_origins_n;
    const char *access_log; /* "stdout", "off" or a path */
    const char *log_level;
    bool watch;      /* read the file again when it changes */
    bool core_dumps; /* the kernel may write the memory of a process that crashed: with all secrets */
    struct config_options opt;
    const struct config_key *keys;
    size_t keys_n;
    const struct config_account *accounts; /* those of the file, then those of endpoints */
    size_t accounts_n;
    const char *region; /* where the gateway is, or NULL */
    const struct config_endpoint *endpoints;
    size_t endpoints_n;
    const struct config_model *models;
    size_t models_n;
    int wildcard;              /* index of "*" in models, or -1 */
    struct config_rules rules; /* for every model, before the model's own */
};

/* Where and why a configuration was refused, ready to print: "FILE:LINE:COL: error: ..." lines. */
struct config_report {
    char text[4096]; /* all findings, a line each, in the order of the file; cut at a line's end */
    int errors_n, warnings_n;
};

/* How ${NAME} and files are read: values for tests, the process's own in production. */
struct config_env {
    const char *(*get)(void *ud, const char *name); /* NULL: not set */
    void *ud;
};

/* The process's own environment. */
extern const struct config_env config_env_process;

/* Reads, checks and resolves. On ERR_CONFIG *out is NULL and the report says why; warnings may come with
 * ERR_OK. `name` stands in messages. The result has one reference. */
enum err config_parse(struct slice yaml, const char *name, const struct config_env *env, struct config **out,
                      struct config_report *report);
/* The file at `path`; "-" reads standard input. */
enum err config_load(const char *path, const struct config_env *env, struct config **out,
                     struct config_report *report);
/* A configuration from DEEPSEEK_API_KEY, OPENAI_API_KEY and OPENAI_BASE_URL, or (*out NULL, ERR_OK) with
 * none set. *yaml_out (may be NULL) gets a heap copy of the equivalent file with secrets as ${NAME}, to
 * print and to start from. */
enum err config_from_env(const struct config_env *env, struct config **out, char **yaml_out,
                         struct config_report *report);
/* The configuration that uses our own simulator at `sim_addr` as the provider; same yaml_out. */
enum err config_for_sim(const char *sim_addr, struct config **out, char **yaml_out,
                        struct config_report *report);

void config_ref(struct config *c);    /* Thread: any */
void config_unref(struct config **c); /* Thread: any; wipes secrets with the last reference */

/* What a client's model name resolves to. */
struct config_match {
    int model;                        /* index, or -1: no such model */
    const struct config_alias *alias; /* or NULL */
    struct slice upstream; /* name for targets that set none: the client's own for "*", else the model's */
};
struct config_match config_find_model(const struct config *c, struct slice name);

/* The targets of a model, bit per target over all tiers: those that a rule leaves, and those whose endpoint
 * is local. */
uint64_t config_rule_targets(const struct config *c, int model, const struct config_rule *r);
uint64_t config_local_targets(const struct config *c, int model);

/* Table names. */
const char *config_provider_name(enum provider p);
const char *config_priority_name(enum priority p);
bool config_priority_parse(struct slice s, enum priority *out);
const char *config_limit_name(enum limit l); /* "rpm" */
/* Whether nothing is limited. */
bool config_limits_are_none(const struct config_limits *l);

/* What `tidegate check` prints: every model, its aliases, tiers, endpoints, with secrets redacted. Heap
 * text. */
char *config_describe(const struct config *c);
/* The effective configuration as YAML, with what was left out and without secrets: `check` reads it back to
 * the same. Heap text. */
char *config_print(const struct config *c);

#endif
