/* SPDX-License-Identifier: MIT */
/* Recorded traffic, read from text. The format is seen from the text itself:
 *
 * Azure     CSV "TIMESTAMP,ContextTokens,GeneratedTokens": one request a line
 * Mooncake  JSON lines {"timestamp": ms, "input_length", "output_length", "hash_ids": [...]}: a request each;
 *           an id stands for a block of 512 tokens, and equal ids for equal beginnings
 * ServeGen  CSV start in seconds, requests per second, CV, "Gamma" or "Weibull", shape, scale: the arrivals
 *           of one client window by window; it holds no lengths
 *
 * Empty lines and lines that begin with # are passed over. */
#ifndef LOAD_TRACE_H
#define LOAD_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define TRACE_TOKENS_MAX 10000000
#define TRACE_BLOCK_ID_MAX ((UINT32_C(1) << 28) - 1)
#define TRACE_BLOCK_TOKENS 512

enum trace_format { TRACE_AZURE, TRACE_MOONCAKE, TRACE_SERVEGEN };

struct trace_row {
    int64_t at_us; /* since the first row */
    uint32_t prompt_tokens, answer_tokens;
    uint32_t blocks_n; /* 0: none are told */
    size_t blocks_at;  /* index of the first in the trace's blocks */
};

enum trace_gaps { GAPS_GAMMA, GAPS_WEIBULL };

struct trace_window {
    int64_t from_us, to_us; /* as written: a day begins at 0 */
    double rate;            /* requests per second */
    enum trace_gaps gaps;
    double shape;
};

struct trace {
    enum trace_format format;
    struct trace_row *rows; /* Azure, Mooncake: in order of time */
    size_t rows_n;
    uint32_t *blocks;
    size_t blocks_n;
    struct trace_window *windows; /* ServeGen: in order of time */
    size_t windows_n;
};

struct trace_fault {
    size_t line; /* from 1 */
    const char *text;
};

/* NULL with *bad when a line is not understood or nothing is in it. Memory: at most some 40 bytes for each
 * byte of text that makes a row. */
struct trace *trace_read(struct slice text, struct trace_fault *bad);
void trace_free(struct trace **t);
const char *trace_format_name(enum trace_format f); /* "azure" */

#endif
