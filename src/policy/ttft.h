/* SPDX-License-Identifier: MIT */
/* Times to first token, made comparable: what a prompt's size explains is taken off, and a window of them
 * tells its ninetieth percentile. Pure.
 *
 * Why: an endpoint reads a prompt before it answers, so a long prompt's first token comes late on an idle
 * endpoint too, and must not look like overload. How long a token of a prompt takes is learned: the slope of
 * a regression over about the last TTFT_MEMORY answers. It is drawn towards 0 where prompts are all alike
 * (then their sizes explain nothing, and noise would) and never leaves 0..TTFT_SLOPE_MAX_US.
 *
 * A window is a histogram with bins of 1/32 of the target up to twice the target. More is not told apart:
 * whoever asks acts on target / p90, and not below 0.7. */
#ifndef POLICY_TTFT_H
#define POLICY_TTFT_H

#include <stdint.h>

#define TTFT_MEMORY 512
#define TTFT_SLOPE_MIN_N 10       /* answers before a slope is believed */
#define TTFT_SLOPE_MAX_US 20000.0 /* per token: an engine that reads 50 tokens a second */
#define TTFT_BINS_N 65            /* the last one: twice the target and more */

struct ttft_slope {
    int n;                       /* answers, counted up to TTFT_MEMORY */
    double tokens, us;           /* means */
    double variance, covariance; /* of tokens; of tokens and us */
    double spread;               /* variance of us */
};

struct ttft_window {
    int64_t target_us;
    int n;
    double sum_us;
    uint32_t bins[TTFT_BINS_N];
};

/* Both begin as zero bytes but for the window's target_us. */
void ttft_learn(struct ttft_slope *s, int64_t prompt_tokens, int64_t ttft_us);
double ttft_slope_us(const struct ttft_slope *s); /* per token of the prompt */
/* A time without what the prompt's size explains: never below 0. */
int64_t ttft_normal_us(const struct ttft_slope *s, int64_t prompt_tokens, int64_t ttft_us);

void ttft_add(struct ttft_window *w, int64_t normal_us);
void ttft_clear(struct ttft_window *w);
/* There must be a sample. More than twice the target is told as twice the target. */
int64_t ttft_p90_us(const struct ttft_window *w);
double ttft_mean_us(const struct ttft_window *w);

#endif
