/* SPDX-License-Identifier: MIT */
/*
 * What both measuring programs need: a clock, memory, sockets, options and a histogram.
 *
 * Why: the origin and the client measure tidegate, so they share no code with it; a mistake in src/ must not
 * hide itself by being made on both sides. Everything is here in the header, so that each program is one
 * source file. They run for seconds and then exit, so memory is only ever taken.
 * Threads: one.
 */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4, epoll_pwait2, memmem */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

/* Writes the message to stderr and exits with 1. */
__attribute__((noreturn, format(printf, 1, 2))) static inline void kit_die(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static inline int64_t kit_clock_us(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) != 0)
        kit_die("clock: %s", strerror(errno));
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Monotonic time in microseconds. */
static inline int64_t kit_now_us(void)
{
    return kit_clock_us(CLOCK_MONOTONIC);
}

/* CPU time that these processes, all their threads, user and kernel together, have used so far. The kernel's
 * CPU clock of another process counts nanoseconds, where /proc/PID/stat counts ticks of 10 ms. */
static inline int64_t kit_cpu_us(const pid_t *pids, int pid_n)
{
    int64_t sum = 0;

    for (int i = 0; i < pid_n; i++) {
        clockid_t clock;
        int rc = clock_getcpuclockid(pids[i], &clock);

        if (rc != 0)
            kit_die("CPU clock of process %d: %s", (int)pids[i], strerror(rc));
        sum += kit_clock_us(clock);
    }
    return sum;
}

/* Zeroed memory that becomes resident only where it is touched; never given back. Dies when there is none. */
static inline void *kit_pages(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED || p == NULL)
        kit_die("memory, %zu bytes: %s", bytes, strerror(errno));
    return p;
}

/* Raises the limit of open files as far as it goes and returns it, at most a million. */
static inline int kit_raise_files(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        kit_die("getrlimit: %s", strerror(errno));
    lim.rlim_cur = lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) != 0)
        kit_die("setrlimit: %s", strerror(errno));
    return lim.rlim_cur > 1 << 20 ? 1 << 20 : (int)lim.rlim_cur;
}

/* A whole number in min...max; dies with the option's name otherwise. */
static inline long kit_number(const char *option, const char *text, long min, long max)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < min || value > max)
        kit_die("%s = %s: a whole number from %ld to %ld is needed", option, text, min, max);
    return value;
}

/* "127.0.0.1:8080" to an address; dies when it is anything else. */
static inline struct sockaddr_in kit_address(const char *text)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    char host[INET_ADDRSTRLEN];

    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        kit_die("%s: an address like 127.0.0.1:8080 is needed", text);
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    if (inet_pton(AF_INET, host, &addr.sin_addr) != 1)
        kit_die("%s: an address like 127.0.0.1:8080 is needed", text);
    addr.sin_port = htons((uint16_t)kit_number("port", colon + 1, 1, 65535));
    return addr;
}

/* A listening socket, non-blocking; dies on failure. */
static inline int kit_listen(const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 || listen(fd, 4096) != 0)
        kit_die("listen on port %d: %s", ntohs(addr->sin_port), strerror(errno));
    return fd;
}

/* A non-blocking socket whose connection is under way, or -1. */
static inline int kit_connect(const struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd, (const struct sockaddr *)addr, sizeof *addr) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Finds the value of a header in a head whose lines all end. The value has no blanks around it. Returns its
 * start, or NULL when the header is absent; *value_n is its length. */
static inline const char *kit_header(const char *head, size_t head_n, const char *name, size_t *value_n)
{
    const char *end = head + head_n;
    size_t name_n = strlen(name);

    for (const char *line = head; line < end;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        const char *value = line + name_n + 1;

        if (eol == NULL)
            break;
        if ((size_t)(eol - line) > name_n && line[name_n] == ':' && strncasecmp(line, name, name_n) == 0) {
            while (value < eol && (*value == ' ' || *value == '\t'))
                value++;
            while (eol > value && (eol[-1] == '\r' || eol[-1] == ' ' || eol[-1] == '\t'))
                eol--;
            *value_n = (size_t)(eol - value);
            return value;
        }
        line = eol + 1;
    }
    return NULL;
}

/* Durations in buckets of one microsecond up to about one second, so a quantile is exact to the
 * microsecond. */
#define KIT_HIST_US (1 << 20)

struct kit_hist {
    uint32_t *count; /* KIT_HIST_US buckets, the last one also takes everything longer */
    uint64_t n;
};

/* An empty histogram. */
static inline void kit_hist_init(struct kit_hist *h)
{
    h->count = kit_pages(KIT_HIST_US * sizeof h->count[0]);
    h->n = 0;
}

/* Counts one duration; what is out of range goes to the nearest bucket. */
static inline void kit_hist_add(struct kit_hist *h, int64_t us)
{
    if (us < 0)
        us = 0;
    if (us >= KIT_HIST_US)
        us = KIT_HIST_US - 1;
    h->count[us]++;
    h->n++;
}

/* The smallest duration that at least the share q (0 to 1) of all samples do not exceed; 0 when empty. */
static inline int64_t kit_hist_at(const struct kit_hist *h, double q)
{
    uint64_t want = (uint64_t)(q * (double)h->n + 0.999999);
    uint64_t seen = 0;

    if (h->n == 0)
        return 0;
    for (int64_t us = 0; us < KIT_HIST_US; us++) {
        seen += h->count[us];
        if (seen >= want)
            return us;
    }
    return KIT_HIST_US - 1;
}

#endif
