/* SPDX-License-Identifier: MIT */
/* The command as a process runs it: exit codes, and what goes to which stream. */
#include "cmd/check.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "tap.h"

struct outcome {
    int code;
    char out[8192], err[8192];
};

static void read_back(const char *path, char *text, size_t n)
{
    FILE *f = fopen(path, "r");
    size_t got = f ? fread(text, 1, n - 1, f) : 0;

    text[got] = 0;
    if (f)
        fclose(f);
}

/* In the child: standard streams become files of the folder, then the command runs there. */
static void run_child(char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    if (!freopen("in", "r", stdin) || !freopen("out", "w", stdout) || !freopen("err", "w", stderr))
        _exit(99);
    argc = check_main(argc, argv);
    fflush(stdout);
    fflush(stderr);
    _exit(argc);
}

/* Runs `tidegate check ARGS...` in a new folder, with `yaml` as its tidegate.yaml and as its standard input.
 */
static struct outcome run(const char *yaml, const char **argv)
{
    char dir[] = "/tmp/tidegate-check-XXXXXX";
    static const char *const files[] = {"in", "out", "err", "tidegate.yaml"};
    struct outcome o = {.code = -1};
    int here = open(".", O_RDONLY | O_DIRECTORY), status = -1;
    pid_t child;

    if (here < 0 || !mkdtemp(dir) || chdir(dir) != 0) {
        printf("Bail out! no folder in /tmp\n");
        exit(1);
    }
    for (int i = 0; i < 4 && yaml; i += 3) {
        FILE *f = fopen(files[i], "w");

        CHECK(f && fputs(yaml, f) >= 0 && fclose(f) == 0);
    }
    fflush(stdout);
    child = fork();
    if (child == 0)
        run_child((char **)argv);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    o.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    read_back("out", o.out, sizeof(o.out));
    read_back("err", o.err, sizeof(o.err));
    for (int i = 0; i < 4; i++)
        unlink(files[i]);
    CHECK(fchdir(here) == 0 && rmdir(dir) == 0);
    close(here);
    return o;
}

static const char good[] =
    "endpoints: [{name: a, provider: openai, url: \"http://127.0.0.1:1/v1\", key: none}]\n"
    "models: [{name: m, tiers: [[{endpoint: a}]]}]\n";
static const char bad[] = "workers: 0\nendpoints: []\n";

TEST(a_good_file_is_described_with_0)
{
    struct outcome o = run(good, (const char *[]){"check", "tidegate.yaml", NULL});

    CHECK_INT(o.code, 0);
    CHECK_STR(o.err, "");
    CHECK(strstr(o.out, "model m\n") && strstr(o.out, "100%  a http://127.0.0.1:1/v1"));
}

TEST(a_bad_file_is_refused_with_1)
{
    struct outcome o = run(bad, (const char *[]){"check", "tidegate.yaml", NULL});

    CHECK_INT(o.code, 1);
    CHECK_STR(o.out, "");
    CHECK(strstr(o.err, "tidegate.yaml:1:10: error: workers is 0, it must be from 1 to 1024\n") != NULL);
    CHECK(strstr(o.err, "3 errors, 0 warnings\n") != NULL);
}

TEST(without_a_name_the_file_of_this_folder_is_checked)
{
    CHECK_INT(run(good, (const char *[]){"check", NULL}).code, 0);
    CHECK_INT(run(bad, (const char *[]){"check", NULL}).code, 1);
}

TEST(a_dash_is_standard_input)
{
    struct outcome o = run(bad, (const char *[]){"check", "-", NULL});

    CHECK_INT(o.code, 1);
    CHECK(strstr(o.err, "<stdin>:1:10: error: ") != NULL);
    CHECK_INT(run(good, (const char *[]){"check", "-", NULL}).code, 0);
}

TEST(wrong_usage_is_2_and_help_is_0)
{
    struct outcome o = run(good, (const char *[]){"check", "--fast", NULL});

    CHECK_INT(o.code, 2);
    CHECK(strstr(o.err, "--fast is not understood\nusage: tidegate check [OPTION]... [FILE]\n") != NULL);
    CHECK_INT(run(good, (const char *[]){"check", "a", "b", NULL}).code, 2);
    CHECK_INT(run(good, (const char *[]){"check", "--", "tidegate.yaml", NULL}).code, 0);
    CHECK_INT(run(good, (const char *[]){"check", "--", "--help", NULL}).code, 1);
    o = run(good, (const char *[]){"check", "--help", NULL});
    CHECK_INT(o.code, 0);
    CHECK(strncmp(o.out, "usage: tidegate check [OPTION]... [FILE]\n", 41) == 0);
}
