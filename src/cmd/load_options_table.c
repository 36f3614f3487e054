/* SPDX-License-Identifier: MIT */
/* How each option of tidegate load is read, and the table of them. */
#include "cmd/load_options.h"

#include "base/json.h"
#include "cmd/load_options_table.h"

#define MODEL_MAX_BYTES 256
#define CONNECTIONS_MAX 1000000
#define RATE_MAX 1000000
#define SPEED_MIN 0.001 /* ten years of a trace then stay far from the end of the clock */
#define SPEED_MAX 1000000

/* -- readers: false when the value is not understood ----------------------------------------------------- */

static bool take_positive(struct slice v, double max, double *out)
{
    return amount_decimal(v, out) && *out > 0 && *out <= max;
}

static bool take_share(struct slice v, double *out)
{
    return amount_decimal(v, out) && *out <= 1;
}

static bool take_time(struct slice v, int64_t *out)
{
    return amount_duration(v, out) && *out > 0;
}

static bool take_model(struct load_command *c, struct slice v)
{
    c->model = v.p;
    return v.n > 0 && v.n <= MODEL_MAX_BYTES;
}

static bool take_rate(struct load_command *c, struct slice v)
{
    return take_positive(v, RATE_MAX, &c->source.rate);
}

static bool take_arrivals(struct load_command *c, struct slice v)
{
    struct slice cv, name = slice_cut(v, ':', &cv);

    if (slice_eq(v, SLICE("constant"))) {
        c->source.process = PROCESS_CONSTANT;
    } else if (slice_eq(v, SLICE("poisson"))) {
        c->source.process = PROCESS_POISSON;
    } else {
        c->source.process = PROCESS_GAMMA;
        return slice_eq(name, SLICE("gamma")) && cv.p != NULL && take_positive(cv, 30, &c->source.cv) &&
               c->source.cv >= 0.01;
    }
    return true;
}

static bool take_trace(struct load_command *c, struct slice v)
{
    if (c->paths_n == LOAD_TRACES_MAX || v.n == 0)
        return false;
    c->paths[c->paths_n++] = v.p;
    return true;
}

static bool take_speed(struct load_command *c, struct slice v)
{
    return take_positive(v, SPEED_MAX, &c->source.speed) && c->source.speed >= SPEED_MIN;
}

static bool take_scale(struct load_command *c, struct slice v)
{
    return take_positive(v, SOURCE_SCALE_MAX, &c->source.scale);
}

static bool take_from(struct load_command *c, struct slice v)
{
    return amount_duration(v, &c->source.from_us);
}

static bool take_duration(struct load_command *c, struct slice v)
{
    c->bounded = true;
    return take_time(v, &c->source.duration_us);
}

static bool take_limit(struct load_command *c, struct slice v)
{
    c->bounded = true;
    return slice_to_u64(v, UINT64_MAX, &c->source.limit) && c->source.limit > 0;
}

static bool take_prompt(struct load_command *c, struct slice v)
{
    c->source.own_prompt = true;
    return amount_spread(v, &c->source.prompt);
}

static bool take_answer(struct load_command *c, struct slice v)
{
    c->source.own_answer = true;
    return amount_spread(v, &c->source.answer);
}

static bool take_prompt_max(struct load_command *c, struct slice v)
{
    uint64_t n;

    if (!slice_to_u64(v, TRACE_TOKENS_MAX, &n) || n == 0)
        return false;
    c->source.prompt_max = (uint32_t)n;
    return true;
}

static bool take_streams(struct load_command *c, struct slice v)
{
    return take_share(v, &c->source.stream_share);
}

static bool take_shared(struct load_command *c, struct slice v)
{
    struct slice tokens, kinds, share = slice_cut(v, ':', &tokens);
    uint64_t n = 512, k = 1;

    tokens = slice_cut(tokens, ':', &kinds);
    if (!take_share(share, &c->source.shared_share))
        return false;
    if (tokens.p != NULL && !slice_to_u64(tokens, TRACE_TOKENS_MAX, &n))
        return false;
    if (kinds.p != NULL && !slice_to_u64(kinds, 1000000, &k))
        return false;
    c->shared_tokens = (uint32_t)n;
    c->source.shared_kinds = (uint32_t)k;
    return n > 0 && k > 0;
}

static bool take_leave(struct load_command *c, struct slice v)
{
    struct slice time, share = slice_cut(v, ':', &time);

    return take_share(share, &c->source.leave_share) && time.p != NULL &&
           take_time(time, &c->source.leave_us);
}

static bool take_class(struct load_command *c, struct slice v)
{
    double sum = 0;

    memset(c->source.class_share, 0, sizeof c->source.class_share);
    while (v.p != NULL) {
        struct slice share, name = slice_cut(slice_cut(v, ',', &v), '=', &share);
        enum priority p;

        if (!config_priority_parse(name, &p) || share.p == NULL || c->source.class_share[p] > 0 ||
            !take_share(share, &c->source.class_share[p]))
            return false;
        sum += c->source.class_share[p];
    }
    return sum > 0.999 && sum < 1.001;
}

static bool take_key_env(struct load_command *c, struct slice v)
{
    struct slice name, of_class = slice_cut(v, '=', &name);
    enum priority p;

    if (name.p == NULL) {
        c->key_env[SOURCE_NO_CLASS] = v.p;
        return v.n > 0;
    }
    if (!config_priority_parse(of_class, &p) || name.n == 0)
        return false;
    c->key_env[p] = name.p;
    return true;
}

static bool is_token(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
              c == '_'))
            return false;
    }
    return s.n > 0;
}

/* Framing is the program's own business. */
static bool take_header(struct load_command *c, struct slice v)
{
    struct slice value, name = slice_cut(v, ':', &value);

    if (c->headers_n == LOAD_HEADERS_MAX || value.p == NULL || !is_token(name) ||
        slice_ieq(name, SLICE("content-length")) || slice_ieq(name, SLICE("transfer-encoding")) ||
        slice_ieq(name, SLICE("host")) || slice_ieq(name, SLICE("connection")))
        return false;
    c->headers[c->headers_n++] = (struct header){name, slice_trim(value)};
    return true;
}

static bool take_set(struct load_command *c, struct slice v)
{
    static const struct slice OURS[] = {{"model", 5}, {"messages", 8}, {"stream", 6}};
    struct slice value, name = slice_cut(v, '=', &value);
    struct json_doc *doc;

    for (size_t i = 0; i < COUNT_OF(OURS); i++) {
        if (slice_eq(name, OURS[i]))
            return false;
    }
    if (!is_token(name) || value.p == NULL || json_parse(value, NULL, &doc, NULL) != ERR_OK)
        return false;
    json_free(&doc);
    return buf_printf(&c->more, ",\"%.*s\":%.*s", SLICE_ARG(name), SLICE_ARG(value)) == ERR_OK;
}

static bool take_length_field(struct load_command *c, struct slice v)
{
    c->length_field = slice_eq(v, SLICE("none")) ? NULL : v.p;
    return is_token(v);
}

static bool take_ca_file(struct load_command *c, struct slice v)
{
    c->ca_file = v.p;
    return v.n > 0;
}

static bool take_connections(struct load_command *c, struct slice v)
{
    return slice_to_u64(v, CONNECTIONS_MAX, &c->connections) && c->connections > 0;
}

static bool take_connect_timeout(struct load_command *c, struct slice v)
{
    return take_time(v, &c->connect_us);
}

static bool take_first_timeout(struct load_command *c, struct slice v)
{
    return take_time(v, &c->first_us);
}

static bool take_gap_timeout(struct load_command *c, struct slice v)
{
    return take_time(v, &c->gap_us);
}

static bool take_timeout(struct load_command *c, struct slice v)
{
    return take_time(v, &c->total_us);
}

static bool take_retry(struct load_command *c, struct slice v)
{
    c->sdk = slice_eq(v, SLICE("sdk"));
    return c->sdk || slice_eq(v, SLICE("none"));
}

static bool take_over_limit(struct load_command *c, struct slice v)
{
    c->own_limits = slice_eq(v, SLICE("refused"));
    return c->own_limits || slice_eq(v, SLICE("failed"));
}

static bool take_need(struct load_command *c, struct slice v)
{
    return take_share(v, &c->need);
}

static bool take_json(struct load_command *c, struct slice v)
{
    c->json = v.p;
    return v.n > 0;
}

static bool take_seed(struct load_command *c, struct slice v)
{
    c->seeded = true;
    return slice_to_u64(v, UINT64_MAX, &c->source.seed);
}

static bool take_quiet(struct load_command *c, struct slice v)
{
    (void)v;
    return c->quiet = true;
}

static bool take_dry_run(struct load_command *c, struct slice v)
{
    (void)v;
    return c->dry_run = true;
}

/* -- the table ------------------------------------------------------------------------------------------- */

const struct load_option LOAD_OPTIONS[] = {
    {"--rate", "R", take_rate, "requests per second (10)"},
    {"--arrivals", "KIND", take_arrivals, "constant, poisson or gamma:CV (poisson)"},
    {"--trace", "PATH", take_trace,
     "arrivals and lengths from a trace: Azure, Mooncake, ServeGen (a folder\n"
     "of chunk-*-trace.csv, or several --trace, for its clients together)"},
    {"--speed", "X", take_speed, "runs the trace X times as fast (1)"},
    {"--scale", "X", take_scale, "X times as many requests in the same time (1)"},
    {"--from", "TIME", take_from, "begins that far into the trace (0)"},
    {"--duration", "TIME", take_duration, "no arrivals after it (60s without a trace and --limit)"},
    {"--limit", "N", take_limit, "at most N requests"},
    {"--model", "NAME", take_model, "what is asked for; {answer} in it becomes the answer's tokens (sim)"},
    {"--prompt", "N[:SIGMA]", take_prompt, "tokens of a prompt: median, and sigma of a lognormal (128)"},
    {"--answer", "N[:SIGMA]", take_answer,
     "tokens of an answer, sent as max_tokens (the trace's, else none)"},
    {"--prompt-max", "N", take_prompt_max, "longer prompts are cut to N tokens"},
    {"--length-field", "NAME", take_length_field, "instead of max_tokens; none sends no length"},
    {"--set", "NAME=JSON", take_set, "one more member of every body; may be repeated"},
    {"--streams", "SHARE", take_streams, "share of requests that stream (1)"},
    {"--shared", "SHARE[:N[:K]]", take_shared,
     "that share of prompts begins with one of K texts of N tokens\n"
     "(0:512:1); otherwise no two prompts begin alike"},
    {"--leave", "SHARE:TIME", take_leave, "that share of clients leaves after TIME"},
    {"--class", "NAME=SHARE,..", take_class,
     "critical, high, normal, bulk: sends x-tidegate-priority and\n"
     "reports by class; shares add up to 1"},
    {"--key-env", "[CLASS=]VAR", take_key_env,
     "the API key is in this variable; may be given for each class"},
    {"--header", "NAME:VALUE", take_header, "one more header; may be repeated"},
    {"--retry", "KIND", take_retry, "sdk: twice, as the official SDKs; none (none)"},
    {"--over-limit", "KIND", take_over_limit,
     "refused: 429 rate_limit_exceeded is the key's own limit and no part of\nthe answered rate; failed "
     "(failed)"},
    {"--connections", "N", take_connections, "most requests under way; later ones wait (1000)"},
    {"--connect-timeout", "TIME", take_connect_timeout, "to connect (5s)"},
    {"--first-timeout", "TIME", take_first_timeout, "to the first token of a stream (as --timeout)"},
    {"--gap-timeout", "TIME", take_gap_timeout, "between two tokens (150s)"},
    {"--timeout", "TIME", take_timeout, "to the end of the answer (600s)"},
    {"--ca-file", "FILE", take_ca_file, "certificates to trust instead of the system's"},
    {"--seed", "N", take_seed, "repeats a run: times, lengths and every byte of the bodies"},
    {"--need", "SHARE", take_need, "exit code 1 when the answered rate is below it (0)"},
    {"--json", "FILE", take_json, "also writes the result as JSON; - is standard output"},
    {"--quiet", NULL, take_quiet, "shows no progress"},
    {"--dry-run", NULL, take_dry_run, "sends nothing; says what would be sent"},
};

const size_t LOAD_OPTIONS_N = COUNT_OF(LOAD_OPTIONS);
