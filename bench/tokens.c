/* SPDX-License-Identifier: MIT */
/* How the token estimate sees texts, for bench/tokens.py: each line of standard input is a text, as it stands
 * between the quotes of a JSON string; each line of output has its estimate, then the number of pieces of
 * each kind of tokens.def. `tokens --kinds` prints the kinds and their weights, `tokens --speed` what one KiB
 * of the input costs, as the least of some rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "llm/tokens.h"

#define ROUNDS 9

static void print_kinds(void)
{
#define TOKEN(name, weight, doc) printf("%s %d\n", #name, weight);
#include "llm/tokens.def"
#undef TOKEN
}

static void print_text(struct slice text)
{
    struct tokens t = {{0}};

    tokens_json(&t, text);
    printf("%lld", (long long)tokens_sum(&t));
    for (int i = 0; i < TOKEN_N; i++)
        printf(" %lld", (long long)t.n[i]);
    printf("\n");
}

static void print_speed(struct slice *texts, size_t n)
{
    int64_t best_us = INT64_MAX, tokens = 0;
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++)
        bytes += texts[i].n;
    for (int round = 0; round < ROUNDS; round++) {
        struct tokens t = {{0}};
        int64_t from_us = clock_mono_us(), took_us;

        for (size_t i = 0; i < n; i++)
            tokens_json(&t, texts[i]);
        took_us = clock_mono_us() - from_us;
        best_us = took_us < best_us ? took_us : best_us;
        tokens = tokens_sum(&t);
    }
    printf("%zu bytes, about %lld tokens: %.0f ns per KiB\n", bytes, (long long)tokens,
           (double)best_us * 1000.0 * 1024.0 / (double)(bytes > 0 ? bytes : 1));
}

int main(int argc, char **argv)
{
    bool speed = argc > 1 && strcmp(argv[1], "--speed") == 0;
    struct slice *texts = NULL;
    size_t texts_n = 0, cap = 0;
    char *line = NULL;
    ssize_t n;

    if (argc > 1 && strcmp(argv[1], "--kinds") == 0) {
        print_kinds();
        return 0;
    }
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct slice text = {line, (size_t)(line[n - 1] == '\n' ? n - 1 : n)};

        if (!speed) {
            print_text(text);
            continue;
        }
        texts = realloc(texts, (texts_n + 1) * sizeof *texts);
        texts[texts_n++] = (struct slice){strndup(text.p, text.n), text.n};
    }
    if (speed)
        print_speed(texts, texts_n);
    free(line);
    return 0;
}
