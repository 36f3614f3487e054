/* SPDX-License-Identifier: MIT */
/* Heads of requests and responses, written. */
#include "http/head.h"

char *head_put_number(char *at, uint64_t n)
{
    char digits[HEAD_NUMBER_BYTES];
    size_t i = sizeof digits;

    do {
        digits[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return head_put(at, (struct slice){digits + i, sizeof digits - i});
}

/* Whether a byte below a blank is among n, eight at a time (Anderson, "Bit Twiddling Hacks": hasless). */
static bool has_control(const char *p, size_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;

    for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
        memcpy(&word, p, sizeof word);
        if (((word - ones * ' ') & ~word & ones * 0x80) != 0)
            return true;
    }
    for (; n > 0; p++, n--) {
        if ((unsigned char)*p < ' ')
            return true;
    }
    return false;
}

char *head_put_fields(char *at, const struct header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct header *h = &headers[i];
        char *value;

        at = head_put(at, h->name);
        *at++ = ':';
        *at++ = ' ';
        value = at;
        at = head_put(at, h->value);
        if (has_control(value, h->value.n)) {
            for (char *p = value; p < at; p++) {
                if ((unsigned char)*p < ' ' && *p != '\t')
                    *p = ' ';
            }
        }
        *at++ = '\r';
        *at++ = '\n';
    }
    return at;
}

size_t head_fields_bytes(const struct header *headers, size_t n)
{
    size_t bytes = 4 * n;

    for (size_t i = 0; i < n; i++)
        bytes += headers[i].name.n + headers[i].value.n;
    return bytes;
}
