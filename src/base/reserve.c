/* SPDX-License-Identifier: MIT */
/* Rows of pieces, smallest first; a request too large for its row, or one whose row is empty, takes from the
 * next. Pieces past malloc's mapping threshold cost address space and no pages until somebody writes to them.
 */
#include "base/reserve.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

#define PIECES_MAX 32

struct row {
    size_t bytes, wanted, have;
    void *pieces[PIECES_MAX];
};

/* 64 KiB: yyjson's larger documents, a body's next step; 320 KiB: the block of a loop's turn; 2 MiB: what one
 * read behind a pipelined request may have to copy. */
static struct row rows[] = {
    {.bytes = RESERVE_SMALL_BYTES, .wanted = 32},
    {.bytes = (size_t)64 * 1024, .wanted = 4},
    {.bytes = (size_t)320 * 1024, .wanted = 2},
    {.bytes = RESERVE_LARGE_BYTES, .wanted = 1},
};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool opened;
static size_t missing_n; /* read without the lock */

#define ROWS_N (sizeof rows / sizeof *rows)

bool reserve_fill(void)
{
    bool whole;

    if (__atomic_load_n(&missing_n, __ATOMIC_RELAXED) == 0)
        return true;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ROWS_N && opened; i++) {
        struct row *r = &rows[i];

        while (r->have < r->wanted) {
            void *piece = mem_raw(r->bytes);

            if (piece == NULL)
                break;
            r->pieces[r->have++] = piece;
            __atomic_fetch_sub(&missing_n, 1, __ATOMIC_RELAXED);
        }
    }
    whole = missing_n == 0;
    pthread_mutex_unlock(&lock);
    return whole;
}

bool reserve_open(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ROWS_N && !opened; i++)
        missing_n += rows[i].wanted;
    opened = true;
    pthread_mutex_unlock(&lock);
    return reserve_fill();
}

void reserve_close(void)
{
    pthread_mutex_lock(&lock);
    opened = false;
    missing_n = 0;
    for (size_t i = 0; i < ROWS_N; i++) {
        while (rows[i].have > 0)
            mem_free(rows[i].pieces[--rows[i].have]);
    }
    pthread_mutex_unlock(&lock);
}

void *reserve_take(size_t n)
{
    void *piece = NULL;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ROWS_N && piece == NULL; i++) {
        struct row *r = &rows[i];

        if (n > r->bytes || r->have == 0)
            continue;
        piece = r->pieces[--r->have];
        __atomic_fetch_add(&missing_n, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&lock);
    return piece;
}

bool reserve_is_low(void)
{
    bool low;

    if (__atomic_load_n(&missing_n, __ATOMIC_RELAXED) == 0)
        return false;
    pthread_mutex_lock(&lock);
    low = opened && rows[0].have < rows[0].wanted / 2;
    pthread_mutex_unlock(&lock);
    return low;
}
