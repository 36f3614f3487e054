/* SPDX-License-Identifier: MIT */
/* Heap memory. Running out aborts with a message: every growth that a peer drives is bounded (base/budget.h
 * and the limits of each buffer) before it is allocated, so a failing malloc here means the machine itself is
 * out of memory. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t n);  /* uninitialised; n may be 0 */
void *mem_zalloc(size_t n); /* zeroed */
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
char *mem_strndup(const char *p, size_t n); /* NUL-terminated copy */
void mem_free(void *p);                     /* NULL is fine */

/* What is free goes back to the system as far as possible; takes milliseconds. Thread: any. */
void mem_give_back(void);

/* Allocations made by the calling thread so far: tests assert the exact cost of a request with it. */
uint64_t mem_alloc_n(void);

#define MEM_NEW(type) ((type *)mem_zalloc(sizeof(type)))

#endif
