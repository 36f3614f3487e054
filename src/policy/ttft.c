/* SPDX-License-Identifier: MIT */
/* Times to first token: a fading regression on prompt size, and a histogram of one window. */
#include "policy/ttft.h"

#include "base/assert.h"

#define TOKENS_MAX INT64_C(10000000)
#define US_MAX INT64_C(3600000000)
#define SHRINK 4

static double between(int64_t v, int64_t most)
{
    return (double)(v < 0 ? 0 : v > most ? most : v);
}

void ttft_learn(struct ttft_slope *s, int64_t prompt_tokens, int64_t ttft_us)
{
    double x = between(prompt_tokens, TOKENS_MAX), y = between(ttft_us, US_MAX);

    if (s->n < TTFT_MEMORY)
        s->n++;
    double weight = 1.0 / s->n, dx = x - s->tokens, dy = y - s->us;

    s->tokens += weight * dx;
    s->us += weight * dy;
    s->variance = (1 - weight) * (s->variance + weight * dx * dx);
    s->covariance = (1 - weight) * (s->covariance + weight * dx * dy);
    s->spread = (1 - weight) * (s->spread + weight * dy * dy);
}

double ttft_slope_us(const struct ttft_slope *s)
{
    double slope, explained, rest;

    if (s->n < TTFT_SLOPE_MIN_N || s->covariance <= 0 || s->variance < 1)
        return 0;
    slope = s->covariance / s->variance;
    explained = slope * s->covariance; /* of the spread of us; t^2 = n * explained / rest */
    rest = s->spread > explained ? s->spread - explained : 0;
    slope *= 1 - SHRINK * rest / (s->n * explained);
    return slope < 0 ? 0 : slope > TTFT_SLOPE_MAX_US ? TTFT_SLOPE_MAX_US : slope;
}

int64_t ttft_normal_us(const struct ttft_slope *s, int64_t prompt_tokens, int64_t ttft_us)
{
    double left = between(ttft_us, US_MAX) - ttft_slope_us(s) * between(prompt_tokens, TOKENS_MAX);

    return left < 0 ? 0 : (int64_t)left;
}

void ttft_add(struct ttft_window *w, int64_t normal_us)
{
    int64_t bin = normal_us * ((TTFT_BINS_N - 1) / 2) / w->target_us;

    w->bins[bin < TTFT_BINS_N - 1 ? bin : TTFT_BINS_N - 1]++;
    w->sum_us += (double)normal_us;
    w->n++;
}

void ttft_clear(struct ttft_window *w)
{
    *w = (struct ttft_window){.target_us = w->target_us};
}

int64_t ttft_p90_us(const struct ttft_window *w)
{
    double rank = 0.9 * w->n, below = 0;
    int bin = 0;

    ASSERT(w->n > 0);
    while (bin < TTFT_BINS_N - 1 && below + w->bins[bin] < rank)
        below += w->bins[bin++];
    if (bin == TTFT_BINS_N - 1)
        return 2 * w->target_us;
    return (int64_t)((bin + (rank - below) / w->bins[bin]) * (double)w->target_us * 2 / (TTFT_BINS_N - 1));
}

double ttft_mean_us(const struct ttft_window *w)
{
    ASSERT(w->n > 0);
    return w->sum_us / w->n;
}
