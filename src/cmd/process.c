/* SPDX-License-Identifier: MIT */
/* What the process asks of the kernel: figures under Prometheus' usual names (conventions 4.4), descriptors,
 * and silence about its memory. */
#include "cmd/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/version.h"

static void add(struct buf *out, const char *name, const char *kind, const char *help, double v)
{
    (void)!buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.6g\n", name, help, name, kind, name, v);
}

static double cpu_seconds(void)
{
    struct rusage u;

    if (getrusage(RUSAGE_SELF, &u) != 0)
        return 0;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1)
        pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double open_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    double n = -3; /* itself, "." and ".." */

    if (d == NULL)
        return 0;
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

void process_metrics(void *ud, struct buf *out)
{
    struct rlimit r = {0};

    (void)ud;
    getrlimit(RLIMIT_NOFILE, &r);
    add(out, "process_cpu_seconds_total", "counter", "User and system CPU time.", cpu_seconds());
    add(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    add(out, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
    add(out, "process_max_fds", "gauge", "Most file descriptors allowed.", (double)r.rlim_cur);
    (void)!buf_printf(out,
                      "# HELP tidegate_build_info What program this is.\n# TYPE tidegate_build_info gauge\n"
                      "tidegate_build_info{version=\"%s\",revision=\"%s\"} 1\n",
                      version_text(), version_revision());
}

int64_t process_raise_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
        return 0;
    return (int64_t)r.rlim_cur;
}

/* The table never shrinks, and a duplicate at its end makes it as large as that. */
void process_spread_files(int64_t n)
{
    int end = n > 0 && n <= INT_MAX ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)n - 1) : -1;

    if (end >= 0)
        close(end);
}

/* Not by RLIMIT_CORE, which a pipe in kernel.core_pattern ignores. */
void process_allow_cores(bool allow)
{
    (void)!prctl(PR_SET_DUMPABLE, allow ? 1 : 0);
}
