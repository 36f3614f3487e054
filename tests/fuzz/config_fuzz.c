/* SPDX-License-Identifier: MIT */
/* A configuration file: refused with findings at places, or taken; and what was taken can be shown, printed,
 * read back, and prints the same again. */
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "fuzz/fuzz.h"

#define SECRET "sk-secret-of-the-environment"

static const char *get(void *ud, const char *name)
{
    (void)ud;
    return name[0] == 'K' ? SECRET : NULL;
}

static const struct config_env ENV = {get, NULL};

static struct config *parse(struct slice text, struct config_report *report)
{
    struct config *c = NULL;
    enum err e;

    memset(report, 0, sizeof *report);
    e = config_parse(text, "t", &ENV, &c, report);
    FUZZ_CHECK(e == ERR_OK || e == ERR_CONFIG);
    FUZZ_CHECK((e == ERR_OK) == (c != NULL));
    FUZZ_CHECK(memchr(report->text, '\0', sizeof report->text) != NULL);
    FUZZ_CHECK((e == ERR_OK) == (report->errors_n == 0));
    FUZZ_CHECK(e == ERR_OK || strstr(report->text, "error: ") != NULL);
    return c;
}

/* Printing leaves secrets out as they were written: what stood in the file itself cannot be read back. */
static void check_printed(const struct config *c)
{
    struct config_report report;
    char *once = config_print(c), *twice;
    struct config *again;

    FUZZ_CHECK(strstr(once, SECRET) == NULL);
    again = parse(slice_of(once), &report);
    if (again == NULL && strstr(once, "REDACTED") == NULL) {
        fprintf(stderr, "%s\n%s\n", once, report.text);
        FUZZ_CHECK(again != NULL);
    }
    if (again != NULL) {
        twice = config_print(again);
        FUZZ_CHECK(strcmp(once, twice) == 0);
        mem_free(twice);
        config_unref(&again);
    }
    mem_free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct config_report report;
    char *copy;
    struct config *c;

    if (slice_find((struct slice){(const char *)data, n}, SLICE(SECRET)) >= 0)
        return 0; /* what stands in the file may be shown */
    copy = fuzz_copy((struct slice){(const char *)data, n});
    c = parse((struct slice){copy, n}, &report);

    FUZZ_CHECK(strstr(report.text, SECRET) == NULL);
    free(copy); /* a configuration keeps nothing of the text */
    if (c != NULL) {
        char *shown = config_describe(c);

        FUZZ_CHECK(strstr(shown, SECRET) == NULL);
        mem_free(shown);
        check_printed(c);
        config_unref(&c);
    }
    return 0;
}
