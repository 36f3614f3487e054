/* SPDX-License-Identifier: MIT */
/* The simulator's words: each is drawn from a small vocabulary by the prompt's hash and its place.
 *
 * Why a vocabulary of awkward words: what breaks relays is not English. Quotes, backslashes and line feeds
 * need escaping, Chinese and emoji take three and four bytes, and words such as "data: [DONE]" look like the
 * framing around them. */
#include "sim/text.h"

#include "base/assert.h"
#include "base/id.h"
#include "base/utf8.h"

#define THOUGHT_SALT UINT64_C(0x7468696e6b696e67)
#define LENGTH_SALT UINT64_C(0x6c656e6774682e2e)
#define GOLDEN UINT64_C(0x9e3779b97f4a7c15)

/* clang-format off */
static const struct slice WORDS[] = {
    SLICE(" the"),      SLICE(" tide"),   SLICE(" comes"),   SLICE(" in"),      SLICE(" and"),
    SLICE(" goes"),     SLICE(" out"),    SLICE(" with"),    SLICE(" every"),   SLICE(" moon"),
    SLICE(" a"),        SLICE(" gate"),   SLICE(" holds"),   SLICE(" back"),    SLICE(" water"),
    SLICE(" until"),    SLICE(" it"),     SLICE(" is"),      SLICE(" time"),    SLICE(" to"),
    SLICE(" let"),      SLICE(" boats"),  SLICE(" through"), SLICE(" again"),   SLICE(" slowly"),
    SLICE(" while"),    SLICE(" others"), SLICE(" wait"),    SLICE(" their"),   SLICE(" turn"),
    SLICE(" calm"),     SLICE(" deep"),   SLICE(" harbour"), SLICE(" light"),   SLICE(" wind"),
    SLICE(" of"),       SLICE(" salt"),   SLICE(" stone"),   SLICE(" shore"),   SLICE(" night"),
    SLICE("s"),         SLICE("ing"),     SLICE("ed"),       SLICE("ly"),       SLICE(","),
    SLICE(","),         SLICE("."),       SLICE("."),        SLICE(";"),        SLICE(" -"),
    SLICE(" 42"),       SLICE(" 3.14"),   SLICE("\n"),       SLICE("\n\n"),     SLICE("\t"),
    SLICE(" \"quoted"), SLICE("\""),      SLICE(" C:\\dir"), SLICE("\\n"),      SLICE(" {\"a\":[1]}"),
    SLICE(" </s>"),     SLICE(" & co"),   SLICE(" data: "),  SLICE(" [DONE]"),  SLICE(": comment"),
    SLICE("潮水"),      SLICE("来了"),    SLICE("，"),       SLICE("闸门"),     SLICE("慢慢地"),
    SLICE("打开"),      SLICE("。"),      SLICE(" é"),       SLICE(" straße"),  SLICE(" 🌊"),
    SLICE("🚪"),        SLICE(" Ω"),      SLICE(" прилив"),  SLICE("\r\n"),     SLICE("👩‍💻"),
};
/* clang-format on */

#define WORDS_N (sizeof WORDS / sizeof WORDS[0])

/* The finaliser of splitmix64 (Steele, Lea and Flood 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_text_hash(struct slice prompt, uint64_t hash)
{
    return id_hash(prompt, hash);
}

uint64_t sim_text_thought(uint64_t hash)
{
    return hash ^ THOUGHT_SALT;
}

static struct slice word(uint64_t hash, uint64_t i)
{
    struct slice w = WORDS[mix(hash + (i + 1) * GOLDEN) % WORDS_N];

    return i == 0 && w.p[0] == ' ' ? slice_from(w, 1) : w; /* a text does not begin with a space */
}

size_t sim_text_token(uint64_t hash, uint64_t i, char *out)
{
    struct slice w = word(hash, i);

    ASSERT(w.n > 0 && w.n <= SIM_TOKEN_MAX);
    memcpy(out, w.p, w.n);
    return w.n;
}

uint64_t sim_text_sample(uint64_t hash, uint32_t n)
{
    return n == 0 ? hash : mix(hash ^ n * GOLDEN);
}

size_t sim_text_token_json(uint64_t hash, uint64_t i, char *out)
{
    return sim_text_tail_json(hash, i, 0, out);
}

size_t sim_text_tail_json(uint64_t hash, uint64_t i, size_t skip, char *out)
{
    struct slice w = slice_from(word(hash, i), skip);
    size_t n = 0;

    while (w.n > 0) {
        unsigned char c = (unsigned char)w.p[0];
        size_t took = 1;

        ASSERT(n + UTF8_ESCAPED_MAX <= SIM_TOKEN_JSON_MAX);
        if (c < 0x20 || c == '"' || c == '\\')
            n += utf8_escape(w, out + n, &took);
        else
            out[n++] = (char)c; /* the vocabulary is valid UTF-8 */
        w = slice_from(w, took);
    }
    return n;
}

size_t sim_text_length(uint64_t hash, size_t mean)
{
    size_t n = mean / 2 + (size_t)(mix(hash ^ LENGTH_SALT) % (mean + 1));

    return n > 0 ? n : 1;
}
