/* SPDX-License-Identifier: MIT */
/* Writing bodies.
 *
 * Text is copied in long pieces out of one page of words, from a place that depends on what is written: a
 * request's own part on its number, a block on its id. So a prompt of 100 KB costs little more than its
 * copying. Words are plain ASCII: nothing needs escaping, and bytes are characters. */
#include "load/prompt.h"

#include <stdio.h>

#include "base/assert.h"

#define HEAD_MAX_BYTES (64 * 1024)
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)
#define PLACE SLICE("{answer}")

static const char *const WORDS[] = {
    "the",  "tide",  "comes",   "in",     "and",   "goes",  "out",    "with",  "every", "moon",
    "a",    "gate",  "holds",   "back",   "water", "until", "it",     "is",    "time",  "to",
    "let",  "boats", "pass",    "again",  "slow",  "while", "others", "wait",  "their", "turn",
    "calm", "deep",  "harbour", "light",  "wind",  "of",    "salt",   "stone", "shore", "night",
    "why",  "does",  "this",    "answer", "take",  "so",    "long",   "today",
};

static void fill_page(struct prompts *p)
{
    struct rng dice;
    size_t n = 0;

    rng_seed(&dice, p->opts.seed);
    while (n < sizeof p->fill) {
        const char *word = WORDS[rng_below(&dice, sizeof WORDS / sizeof WORDS[0])];

        for (; *word != '\0' && n < sizeof p->fill; word++)
            p->fill[n++] = *word;
        if (n < sizeof p->fill)
            p->fill[n++] = ' ';
    }
}

static void make_frame(struct prompts *p)
{
    struct slice model = p->opts.model, before = model, behind = SLICE_NONE;
    ptrdiff_t at = slice_find(model, PLACE);
    enum err e;

    if (at >= 0) {
        p->numbered = true;
        before.n = (size_t)at;
        behind = slice_from(model, (size_t)at + PLACE.n);
    }
    e = buf_add(&p->head, SLICE("{\"model\":"));
    if (e == ERR_OK)
        e = buf_add_json_string(&p->head, before);
    p->head.n--; /* the quote at the end: the name goes on */
    if (e == ERR_OK)
        e = buf_add_json_string(&p->tail, behind);
    buf_drop_front(&p->tail, 1);
    if (e == ERR_OK)
        e = buf_add(&p->tail, SLICE(",\"messages\":[{\"role\":\"user\",\"content\":\""));
    ASSERT(e == ERR_OK); /* the caller has bounded the name */
}

void prompts_init(struct prompts *p, const struct prompt_opts *o)
{
    memset(p, 0, offsetof(struct prompts, fill));
    p->opts = *o;
    p->mark_n =
        (size_t)snprintf(p->mark, sizeof p->mark, "[%012llx ", (unsigned long long)(o->seed * GOLDEN) >> 16);
    buf_init(&p->head, HEAD_MAX_BYTES, NULL);
    buf_init(&p->tail, HEAD_MAX_BYTES, NULL);
    fill_page(p);
    make_frame(p);
}

void prompts_fini(struct prompts *p)
{
    buf_fini(&p->head);
    buf_fini(&p->tail);
}

/* n bytes of words that follow from `what`. There is room for them. */
static void add_words(const struct prompts *p, struct buf *out, size_t n, uint64_t what)
{
    size_t at = (size_t)((what + 1) * GOLDEN >> 32) % sizeof p->fill;

    while (n > 0) {
        size_t piece = sizeof p->fill - at < n ? sizeof p->fill - at : n;

        memcpy(out->p + out->n, p->fill + at, piece);
        out->n += piece;
        n -= piece;
        at = 0;
    }
}

/* Text that begins with a word of its own and is n bytes long. */
static void add_named(const struct prompts *p, struct buf *out, const char *name, size_t n)
{
    size_t name_n = strlen(name);
    uint64_t what = 0;

    if (name_n > n)
        name_n = n;
    for (size_t i = 0; i < name_n; i++)
        what = what * 131 + (unsigned char)name[i];
    memcpy(out->p + out->n, name, name_n);
    out->n += name_n;
    add_words(p, out, n - name_n, what);
}

/* What several prompts begin with; returns its length. */
static size_t add_shared(const struct prompts *p, const struct arrival *a, size_t room, struct buf *out)
{
    size_t block = (size_t)TRACE_BLOCK_TOKENS * PROMPT_TOKEN_BYTES, begun = out->n;
    char name[64];

    if (a->shared >= 0) {
        size_t n = (size_t)p->opts.shared_tokens * PROMPT_TOKEN_BYTES;

        snprintf(name, sizeof name, "%s shared %d] ", p->mark, a->shared);
        add_named(p, out, name, n < room ? n : room);
    }
    for (uint32_t i = 0; a->shared < 0 && i < a->blocks_n; i++) {
        size_t left = room - (out->n - begun);

        snprintf(name, sizeof name, "%s block %u of %u] ", p->mark, a->blocks[i], a->copy);
        add_named(p, out, name, left < block ? left : block);
    }
    return out->n - begun;
}

static enum err add_prompt(const struct prompts *p, const struct arrival *a, struct buf *out)
{
    size_t n = (size_t)a->prompt_tokens * PROMPT_TOKEN_BYTES, mark_n, used;
    char mark[64];
    enum err e;

    mark_n = (size_t)snprintf(mark, sizeof mark, "%s%llu] ", p->mark, (unsigned long long)a->number);
    if (n < mark_n)
        n = mark_n;
    e = buf_reserve(out, n);
    if (e != ERR_OK)
        return e;
    used = add_shared(p, a, n - mark_n, out);
    memcpy(out->p + out->n, mark, mark_n);
    out->n += mark_n;
    add_words(p, out, n - mark_n - used, a->number);
    return ERR_OK;
}

static enum err add_end(const struct prompts *p, const struct arrival *a, struct buf *out)
{
    enum err e = buf_add(out, SLICE("\"}]"));

    if (e == ERR_OK && p->opts.length_field != NULL && a->answer_tokens > 0)
        e = buf_printf(out, ",\"%s\":%u", p->opts.length_field, a->answer_tokens);
    if (e == ERR_OK && a->stream)
        e = buf_add(out, SLICE(",\"stream\":true"));
    if (e == ERR_OK)
        e = buf_add(out, p->opts.more);
    return e == ERR_OK ? buf_add(out, SLICE("}")) : e;
}

enum err prompts_write(const struct prompts *p, const struct arrival *a, struct buf *out)
{
    enum err e = buf_add(out, buf_slice(&p->head));

    if (e == ERR_OK && p->numbered)
        e = buf_printf(out, "%u", a->answer_tokens);
    if (e == ERR_OK)
        e = buf_add(out, buf_slice(&p->tail));
    if (e == ERR_OK)
        e = add_prompt(p, a, out);
    return e == ERR_OK ? add_end(p, a, out) : e;
}
