/* SPDX-License-Identifier: MIT */
/* tidegate sim from the outside: options, exit codes, the line it prints, signals. */
#include "cmd/sim.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "tap.h"

#define ARGS_MAX 8

struct program {
    pid_t pid;
    int err_fd; /* reads what it says on stderr and stdout */
    char said[8192];
    size_t said_n;
};

static void start(struct program *p, const char *const *args)
{
    char *argv[ARGS_MAX + 2] = {(char *)(uintptr_t) "sim"};
    int argc = 1, fds[2];

    for (; args[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    memset(p, 0, sizeof *p);
    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    fflush(stdout);
    p->pid = fork();
    if (p->pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        dup2(fds[1], STDOUT_FILENO);
        exit(sim_main(argc, argv));
    }
    close(fds[1]);
    p->err_fd = fds[0];
}

/* Reads until it has said `text` or ended. */
static bool wait_for(struct program *p, const char *text)
{
    while (strstr(p->said, text) == NULL) {
        ssize_t n = read(p->err_fd, p->said + p->said_n, sizeof p->said - 1 - p->said_n);

        if (n <= 0)
            return false;
        p->said_n += (size_t)n;
    }
    return true;
}

static int end_of(struct program *p)
{
    int status = -1;

    (void)wait_for(p, "\001"); /* never said: reads to the end */
    close(p->err_fd);
    CHECK(waitpid(p->pid, &status, 0) == p->pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run(struct program *p, const char *const *args)
{
    start(p, args);
    return end_of(p);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(help_goes_to_stdout_and_is_fine)
{
    struct program p;

    CHECK_INT(run(&p, ARGS("--help")), 0);
    CHECK(strstr(p.said, "--account-limit N") != NULL);
    CHECK_INT(run(&p, ARGS("--slots", "2", "-h")), 0);
}

TEST(usage_errors_end_with_2_and_name_the_option)
{
    static const struct {
        const char *option, *value;
    } BAD[] = {
        {"--slots", "x"},       {"--slots", "-1"},      {"--account-limit", ""},     {"--ttft", "5"},
        {"--gap", "1ms:x"},     {"--tokens", "0"},      {"--keepalive", "soon"},     {"--fault", "cut"},
        {"--fault", "x=0.5"},   {"--fault", "cut=1.5"}, {"--fault", "cut=-1"},       {"--fault", "cut=.5"},
        {"--fault-after", "x"}, {"--seed", "0x1"},      {"--listen", "localhost:1"}, {"--listen", "nowhere"},
        {"--nothing", "1"},     {"file", "1"},
    };
    struct program p;

    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        CHECK_INT(run(&p, ARGS(BAD[i].option, BAD[i].value)), 2);
        if (!CHECK(strstr(p.said, BAD[i].option) != NULL))
            printf("# said: %s\n", p.said);
    }
    CHECK_INT(run(&p, ARGS("--slots")), 2);
    CHECK(strstr(p.said, "--slots needs a value") != NULL);
    CHECK_INT(run(&p, ARGS("--fault", "cut=0.6", "--fault", "hang=0.6")), 2); /* more than always */
}

TEST(says_where_it_listens_and_ends_on_a_signal)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT};

    for (size_t i = 0; i < 2; i++) {
        struct program p;

        start(&p, ARGS("--listen=127.0.0.1:0", "--fault", "cut=0.5", "--seed=7", "--ttft", "1ms:0.5"));
        CHECK(wait_for(&p, "\n"));
        CHECK(strstr(p.said, "tidegate sim: listening at http://127.0.0.1:") == p.said);
        CHECK(strstr(p.said, ":0/v1") == NULL);
        CHECK(kill(p.pid, SIGNALS[i]) == 0);
        CHECK_INT(end_of(&p), 0);
    }
}

TEST(a_taken_port_is_an_error)
{
    struct program first, second;
    char port[64] = "";
    const char *at;

    start(&first, ARGS("--listen", "127.0.0.1:0"));
    CHECK(wait_for(&first, "\n"));
    at = strstr(first.said, "http://");
    if (CHECK(at != NULL))
        snprintf(port, sizeof port, "%.*s", (int)strcspn(at + 7, "/"), at + 7);
    CHECK_INT(run(&second, ARGS("--listen", port)), 1);
    CHECK(strstr(second.said, "another program has this port") != NULL);
    CHECK(kill(first.pid, SIGTERM) == 0);
    CHECK_INT(end_of(&first), 0);
}
