/* SPDX-License-Identifier: MIT */
/* Embeddings (conventions 2.3): a vector of length 1 that follows from the input alone, as numbers that give
 * the same float32 back, or as base64 of its bytes, little-endian. */
#include <math.h>
#include <stdio.h>

#include "base/id.h"
#include "sim/form.h"

#define DIMENSIONS 16 /* unless the request says otherwise */
#define NUMBER_BYTES 24
#define ITEM_BYTES 96
#define FLOAT_BYTES 4

static void make_vector(uint64_t hash, uint32_t n, float *out)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = id_hash((struct slice){(const char *)&i, sizeof i}, hash);

        out[i] = (float)((double)(int64_t)bits / 9223372036854775808.0);
        sum += (double)out[i] * out[i];
    }
    for (uint32_t i = 0; i < n; i++)
        out[i] = (float)(out[i] / sqrt(sum));
}

static char *put_numbers(char *at, const float *v, uint32_t n)
{
    *at++ = '[';
    for (uint32_t i = 0; i < n; i++)
        at += snprintf(at, NUMBER_BYTES, "%s%.9g", i > 0 ? "," : "", (double)v[i]);
    *at++ = ']';
    return at;
}

static char *put_base64(char *at, const float *v, uint32_t n)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)v;
    size_t bytes_n = (size_t)n * FLOAT_BYTES;

    *at++ = '"';
    for (size_t i = 0; i < bytes_n; i += 3) {
        size_t left = bytes_n - i;
        unsigned group = (unsigned)p[i] << 16 | (left > 1 ? p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);

        for (size_t d = 0; d < 4; d++)
            *at++ = d <= left ? DIGITS[group >> (18 - 6 * d) & 63] : '=';
    }
    *at++ = '"';
    return at;
}

static struct slice plain(const struct sim_script *s, uint32_t k, size_t *after_k, struct arena *turn)
{
    const struct sim_ask *a = s->ask;
    uint32_t n = a->dimensions > 0 ? a->dimensions : DIMENSIONS;
    unsigned long long tokens = sim_form_prompt_tokens(s);
    struct slice model = sim_form_string(a->model, turn);
    struct slice tail =
        arena_printf(turn, "],\"model\":%.*s,\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}",
                     SLICE_ARG(model), tokens, tokens);
    float *v = arena_alloc(turn, n * sizeof *v);
    uint32_t items_n = s->says_nothing ? 0 : a->prompts_n;
    size_t frame_n = ITEM_BYTES + tail.n + (size_t)items_n * (ITEM_BYTES + (size_t)n * NUMBER_BYTES);
    struct sim_page p;

    sim_page_begin(&p, s, frame_n, k, turn);
    sim_page_put(&p, SLICE("{\"object\":\"list\",\"data\":["));
    for (uint32_t i = 0; i < items_n; i++) {
        make_vector(a->prompts[i].hash, n, v);
        p.at += snprintf(p.at, ITEM_BYTES,
                         "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", i > 0 ? "," : "", i);
        p.at = a->base64 ? put_base64(p.at, v, n) : put_numbers(p.at, v, n);
        sim_page_put(&p, SLICE("}"));
    }
    sim_page_put(&p, tail);
    return sim_page_end(&p, SLICE("}"), after_k, turn);
}

const struct sim_form SIM_FORM_EMBEDDINGS = {
    .path = "/embeddings", .read = sim_ask_embeddings, .shape = SIM_SHAPE_OPENAI, .plain = plain};
