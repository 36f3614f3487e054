/* SPDX-License-Identifier: MIT */
/* Large blocks first: of each the page with its beginning stays.
 *
 * Free memory whose pages went back earlier is met again and has none ("dry"); so has what the allocator
 * makes of fresh memory when nothing free is large enough. A few dry ones in a row end a size; of the largest
 * size more, because whatever is dry may stand before what is not. */
#include "base/shed.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)4096)
#define PAGES_MAX 64 /* of the largest block, with the smallest pages there are */

/* Of so many pieces. Close to each other, so that a free place is taken whole or nearly: 938 places of 32 KiB
 * behind 1,000 connections with TLS kept half of their pages when sizes were halved from one to the next. */
static const unsigned char SIZES[] = {64, 56, 48, 40, 32, 28, 24, 20, 16, 14, 12, 10, 8, 7, 6, 5, 4, 3, 2};
#define SIZES_N (sizeof SIZES / sizeof *SIZES)
#define DRY_FIRST_MAX 64
#define DRY_MAX 8
#define PUT_BACK_N (SHED_STEP_BYTES / PIECE_BYTES / 2)

void shed_init(struct shed *s)
{
    *s = (struct shed){0};
}

/* More than the one page that taking the block costs: some stay in all that went back before. */
static bool has_pages(char *begin, size_t bytes, size_t page)
{
    unsigned char there[PAGES_MAX];
    size_t pages_n = bytes / page, there_n = 0;

    if (pages_n > PAGES_MAX || mincore(begin, bytes, there) != 0)
        return true;
    for (size_t i = 0; i < pages_n; i++)
        there_n += there[i] & 1;
    return there_n == pages_n || there_n > 1 + pages_n / 8;
}

/* False: no page lies wholly inside. */
static bool inside(const void *p, size_t n, char **from, size_t *bytes, size_t page)
{
    uintptr_t begin = ((uintptr_t)p + page - 1) & ~(page - 1), end = ((uintptr_t)p + n) & ~(page - 1);

    *from = (char *)begin;
    *bytes = end > begin ? end - begin : 0;
    return *bytes > 0;
}

void shed_pages(void *p, size_t n)
{
    char *from;
    size_t bytes;

    if (!inside(p, n, &from, &bytes, (size_t)sysconf(_SC_PAGESIZE)))
        return;
    for (size_t at = 0; at < bytes; at += SHED_STEP_BYTES)
        (void)!madvise(from + at, bytes - at < SHED_STEP_BYTES ? bytes - at : SHED_STEP_BYTES, MADV_DONTNEED);
}

/* All but its first word. False: there was nothing. */
static bool empty(void *block, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes;
    char *from;

    if (!inside((char *)block + sizeof(void *), n - sizeof(void *), &from, &bytes, page) ||
        !has_pages(from, bytes, page))
        return false;
    (void)!madvise(from, bytes, MADV_DONTNEED);
    return true;
}

void shed_step(struct shed *s)
{
    size_t done = 0;

    while (s->size < SIZES_N && done < SHED_STEP_BYTES) {
        size_t n = SIZES[s->size] * PIECE_BYTES, dry_max = s->size == 0 ? DRY_FIRST_MAX : DRY_MAX;
        void *block = s->dry_n < dry_max ? malloc(n) : NULL;

        if (block == NULL) {
            s->size++;
            s->dry_n = 0;
            continue;
        }
        *(void **)block = s->blocks;
        s->blocks = block;
        s->dry_n = empty(block, n) ? 0 : s->dry_n + 1;
        done += n;
    }
}

void shed_put_back(struct shed *s)
{
    for (size_t i = 0; i < PUT_BACK_N && s->blocks != NULL; i++) {
        void *block = s->blocks;

        s->blocks = *(void **)block;
        free(block);
    }
}

void shed_fini(struct shed *s)
{
    while (s->blocks != NULL)
        shed_put_back(s);
}
