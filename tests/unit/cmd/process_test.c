/* SPDX-License-Identifier: MIT */
/* What the process asks of the kernel. */
#include "cmd/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "tap.h"

/* For how many descriptors the kernel has a table ready. */
static long table_size(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    long n = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "FDSize:", 7) == 0)
            n = strtol(line + 7, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    return n;
}

static long open_n(void)
{
    DIR *d = opendir("/proc/self/fd");
    long n = 0;

    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        closedir(d);
    return n;
}

TEST(the_table_of_descriptors_is_made_once_for_all_that_may_come)
{
    long before_n = open_n();

    (void)process_raise_files();
    CHECK(table_size() < 1000);
    process_spread_files(1000);
    CHECK(table_size() >= 1000);
    CHECK_INT(open_n(), before_n);
}

TEST(more_than_is_allowed_changes_nothing)
{
    struct rlimit r;
    long before = table_size();

    CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = 1024;
    CHECK(setrlimit(RLIMIT_NOFILE, &r) == 0);
    process_spread_files(1 << 20);
    process_spread_files(INT64_MAX);
    process_spread_files(0);
    CHECK_INT(table_size(), before);
}
