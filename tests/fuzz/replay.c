/* SPDX-License-Identifier: MIT */
/* Runs a fuzz target over its corpus and over what once broke it, without a fuzzer: tests/fuzz/corpus/NAME
 * and tests/fuzz/regress/NAME, or the files and folders given. Speaks TAP. */
#include <dirent.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX (4 << 20)
#define PATH_BYTES 4096

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX), *exact;
    size_t n;

    if (f == NULL || bytes == NULL) {
        perror(path);
        exit(1);
    }
    n = fread(bytes, 1, INPUT_MAX, f);
    fclose(f);
    exact = realloc(bytes, n > 0 ? n : 1); /* so that a read past the end is seen */
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

/* How many files were run. */
static int run(const char *path)
{
    struct dirent **names;
    struct stat st;
    int ran = 0, n;

    if (stat(path, &st) != 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return run_file(path);
    n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char inside[PATH_BYTES];

        snprintf(inside, sizeof inside, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            ran += run(inside);
        free(names[i]);
    }
    if (n >= 0)
        free(names);
    return ran;
}

/* A corpus that is not there would pass unseen. */
static void replay(const char *folder, const char *target, int least)
{
    char path[PATH_BYTES];
    int n;

    snprintf(path, sizeof path, "tests/fuzz/%s/%.*s", folder, (int)(strlen(target) - strlen("_fuzz")),
             target);
    n = run(path);
    printf("%sok - %d inputs of %s\n", n < least ? "not " : "", n, path);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            printf("# %d inputs of %s\n", run(argv[i]), argv[i]);
        return 0;
    }
    printf("1..2\n");
    replay("corpus", basename(argv[0]), 10);
    replay("regress", basename(argv[0]), 0);
    return 0;
}
