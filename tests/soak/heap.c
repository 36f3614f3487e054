/* SPDX-License-Identifier: MIT */
/* Counts the bytes that a program has allocated and not freed, where soak.py can read them: preloaded.
 *
 * Why: what is resident says little about a leak. It follows what bursts have left in the allocator, in steps
 * of a mebibyte that stay for minutes; sixteen bytes a request would need hours to rise above them. The live
 * bytes of a program at rest are the same to a few hundred whenever it rests.
 *
 * The file that SOAK_HEAP names holds one number of 64 bits. glibc alone: its own names stand behind ours. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t each);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t to, size_t n);
void __libc_free(void *p);

static int64_t before_start; /* what was allocated before the file was there */
static int64_t *live = &before_start;

static void *count(void *p)
{
    if (p != NULL)
        __atomic_fetch_add(live, (int64_t)malloc_usable_size(p), __ATOMIC_RELAXED);
    return p;
}

static int64_t size_of(void *p)
{
    return p != NULL ? (int64_t)malloc_usable_size(p) : 0;
}

__attribute__((constructor)) static void open_file(void)
{
    const char *path = getenv("SOAK_HEAP");
    int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    int64_t *at = MAP_FAILED;

    if (fd >= 0 && ftruncate(fd, sizeof *live) == 0)
        at = mmap(NULL, sizeof *live, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (at == MAP_FAILED)
        return;
    *at = before_start; /* there is no other thread yet */
    live = at;
}

void *malloc(size_t n)
{
    return count(__libc_malloc(n));
}

void *calloc(size_t n, size_t each)
{
    return count(__libc_calloc(n, each));
}

void *realloc(void *p, size_t n)
{
    int64_t had = size_of(p);
    void *grown = __libc_realloc(p, n);

    if (grown != NULL || n == 0)
        __atomic_fetch_sub(live, had, __ATOMIC_RELAXED);
    return count(grown);
}

void free(void *p)
{
    __atomic_fetch_sub(live, size_of(p), __ATOMIC_RELAXED);
    __libc_free(p);
}

void *memalign(size_t to, size_t n)
{
    return count(__libc_memalign(to, n));
}

void *aligned_alloc(size_t to, size_t n)
{
    return memalign(to, n);
}

int posix_memalign(void **out, size_t to, size_t n)
{
    void *p = memalign(to, n);

    if (p == NULL)
        return ENOMEM;
    *out = p;
    return 0;
}
