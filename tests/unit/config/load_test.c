/* SPDX-License-Identifier: MIT */
/* Files on disk: the example, every beginning of it, secrets in files, and files that cannot be read. */
#include "config/config.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "config/options.h"
#include "config/secret.h"
#include "tap.h"
#include "unit/config/reading.h"

#define EXAMPLE "tidegate.example.yaml" /* tests run at the root of the tree */

/* A new folder that the test removes. */
static char *folder(char out[64])
{
    snprintf(out, 64, "/tmp/tidegate-load-XXXXXX");
    if (!mkdtemp(out)) {
        printf("Bail out! no folder in /tmp\n");
        exit(1);
    }
    return out;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "w");

    CHECK(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
}

static char *read_example(size_t *n)
{
    FILE *f = fopen(EXAMPLE, "r");
    char *text = mem_alloc(1 << 20);

    *n = f ? fread(text, 1, 1 << 20, f) : 0;
    if (!f || fclose(f) != 0 || *n == 0) {
        printf("Bail out! no " EXAMPLE " here\n");
        exit(1);
    }
    return text;
}

TEST(the_example_is_good_and_names_every_option_with_its_default)
{
    struct config_report report;
    const struct option *rows;
    struct config *c;
    size_t n, rows_n;
    char *text = read_example(&n);

    CHECK_INT(config_load(EXAMPLE, &reading_env, &c, &report), ERR_OK);
    CHECK_STR(report.text, "");
    rows = options_table(&rows_n);
    for (size_t i = 0; i < rows_n && c; i++) {
        char line[128], value[32];

        CHECK_INT(options_get(&c->opt, &rows[i]), rows[i].dflt);
        snprintf(line, sizeof(line), "\n  %s: %s\n", strchr(rows[i].path, '.') + 1,
                 options_print(&rows[i], rows[i].dflt, value));
        if (!CHECK(slice_find((struct slice){text, n}, slice_of(line)) >= 0))
            printf("# %s\n", rows[i].path);
    }
    mem_free(text);
    config_unref(&c);
}

TEST(no_beginning_of_the_example_does_harm_or_shows_a_secret)
{
    size_t n;
    char *text = read_example(&n);

    for (size_t i = 0; i <= n; i++) {
        struct config_report report;
        struct config *c;
        char *copy = tap_guard(text, i);
        enum err err = config_parse((struct slice){copy, i}, EXAMPLE, &reading_env, &c, &report);

        if ((err == ERR_OK) != (c != NULL) || (err == ERR_OK) != (report.errors_n == 0) ||
            strstr(report.text, CANARY))
            CHECK_INT(i, -1);
        config_unref(&c);
        tap_guard_free(copy, i);
    }
    CHECK(n > 1000);
    mem_free(text);
}

TEST(no_changed_byte_of_the_example_does_harm)
{
    static const char bytes[] = {'\0', '\n', '\t', ' ', '"', '\'', '{',  '}', '[', ']',        ':',       '-',
                                 '$',  '*',  '&',  '!', '#', '%',  '\\', ',', '0', (char)0xff, (char)0xc3};
    size_t n;
    char *text = read_example(&n);
    int read_n = 0;

    for (size_t i = 0; i < n; i += 3) {
        char old = text[i];
        struct config_report report;
        struct config *c;

        text[i] = bytes[i / 3 % sizeof(bytes)];
        if ((config_parse((struct slice){text, n}, EXAMPLE, &reading_env, &c, &report) == ERR_OK) !=
                (c != NULL) ||
            strstr(report.text, CANARY))
            CHECK_INT(i, -1);
        config_unref(&c);
        text[i] = old;
        read_n++;
    }
    CHECK(read_n > 300);
    mem_free(text);
}

TEST(secrets_come_from_files)
{
    static char large[SECRET_BYTES_MAX + 10];
    static const struct {
        const char *bytes;
        size_t n;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"sk-canary", 9, "sk-canary"},
        {"sk-canary\n", 10, "sk-canary"},
        {"sk-canary\r\n", 11, "sk-canary"},
        {"", 0, NULL},
        {"\n", 1, NULL},
        {"sk-canary\nx", 11, NULL},
        {"sk-canary\0", 10, NULL},
        {" sk-canary", 10, NULL},
        {large, SECRET_BYTES_MAX, large},
        {large, sizeof(large), NULL},
    };
    char dir[64], path[80], yaml[256];

    memset(large, 'k', sizeof(large));
    snprintf(path, sizeof(path), "%s/key", folder(dir));
    snprintf(yaml, sizeof(yaml),
             "endpoints: [{name: a, provider: openai, url: \"https://h/v1\", key: {file: %s}}]\n"
             "models: [{name: m, tiers: [[{endpoint: a}]]}]\n",
             path);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_report report;
        struct config *c;

        write_file(path, rows[i].bytes, rows[i].n);
        c = reading_of(yaml, &report);
        CHECK(!strstr(report.text, CANARY));
        if (CHECK_INT(c != NULL, rows[i].want != NULL) && c) {
            size_t n = rows[i].want == large ? SECRET_BYTES_MAX : strlen(rows[i].want);

            CHECK_MEM(c->endpoints[0].secret.p, c->endpoints[0].secret.n, rows[i].want, n);
            CHECK(strncmp(c->endpoints[0].secret_from, "file /tmp/", 10) == 0);
        }
        config_unref(&c);
    }
    unlink(path);
    CHECK_INT(mkfifo(path, 0600), 0); /* nobody writes: it must be refused, not waited for */
    struct config_report report;
    CHECK(reading_of(yaml, &report) == NULL);
    CHECK(strstr(report.text, "cannot be read: not a plain file") != NULL);
    unlink(path);
    rmdir(dir);
}

TEST(files_that_cannot_be_read_say_why)
{
    struct config_report report;
    struct config *c;
    char dir[64], path[80], want[200];
    FILE *f;

    snprintf(path, sizeof(path), "%s/tidegate.yaml", folder(dir));
    CHECK_INT(config_load(path, &reading_env, &c, &report), ERR_CONFIG);
    CHECK(c == NULL);
    snprintf(want, sizeof(want), "%s: error: cannot be read: No such file or directory\n", path);
    CHECK_STR(report.text, want);
    CHECK_INT(config_load(dir, &reading_env, &c, &report), ERR_CONFIG);
    snprintf(want, sizeof(want), "%s: error: cannot be read: Is a directory\n", dir);
    CHECK_STR(report.text, want);
    f = fopen(path, "w");
    if (CHECK(f != NULL)) {
        for (int i = 0; i < 5 << 10; i++)
            fprintf(f, "#%1022s\n", "");
        fclose(f);
    }
    CHECK_INT(config_load(path, &reading_env, &c, &report), ERR_CONFIG);
    snprintf(want, sizeof(want), "%s: error: larger than 4 MiB\n", path);
    CHECK_STR(report.text, want);
    unlink(path);
    rmdir(dir);
}
