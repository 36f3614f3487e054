/* SPDX-License-Identifier: MIT */
/* Request ids, the comparison of secrets, and the one home of xxHash. */
#include "base/id.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define ID_SAFE_MAX_BYTES 128

void id_make(struct rng *r, char out[ID_BYTES + 1])
{
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint64_t fraction = 0;

    memcpy(out, "req_", 4);
    for (size_t i = 4; i < ID_BYTES; i++) {
        if ((i - 4) % 10 == 0) /* ten digits to base 62 take 59.5 of the 64 bits */
            fraction = rng_u64(r);
        unsigned __int128 scaled = (unsigned __int128)fraction * 62;
        out[i] = alphabet[(size_t)(scaled >> 64)];
        fraction = (uint64_t)scaled;
    }
    out[ID_BYTES] = 0;
}

static bool is_id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '-';
}

bool id_is_safe(struct slice s)
{
    if (s.n == 0 || s.n > ID_SAFE_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_id_char(s.p[i]))
            return false;
    }
    return true;
}

bool id_equal_secret(struct slice a, struct slice b)
{
    volatile unsigned char differ = 0; /* volatile: the loop must not be left early by the optimiser */

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        differ = (unsigned char)(differ | (a.p[i] ^ b.p[i]));
    return differ == 0;
}

uint64_t id_hash(struct slice s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.p ? s.p : "", s.n, seed);
}
