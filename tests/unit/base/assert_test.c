/* SPDX-License-Identifier: MIT */
/* A broken invariant ends the program with a message; the helpers beside ASSERT compute what they say. */
#include "base/assert.h"

#include <signal.h>
#include <sys/wait.h>

#include "tap.h"

struct inner {
    int a, b;
};

struct outer {
    char before[3];
    struct inner in;
};

static int bump(int *n)
{
    return ++*n;
}

TEST(a_true_expression_passes_and_is_evaluated_once)
{
    int n = 0;

    ASSERT(bump(&n) == 1);
    CHECK_INT(n, 1);
}

TEST(a_false_expression_names_its_place_and_aborts)
{
    int fds[2], status = 0;
    char text[512] = "";

    if (!CHECK(pipe(fds) == 0))
        return;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 2);
        ASSERT(text[0] == 'x');
        _exit(0);
    }
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof(text) - 1);
    close(fds[0]);
    CHECK(n > 0);
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status));
    CHECK_INT(WTERMSIG(status), SIGABRT);
    CHECK(strstr(text, "assert_test.c:") != NULL);
    CHECK(strstr(text, "assertion failed: text[0] == 'x'") != NULL);
}

TEST(container_of_goes_back_to_the_struct)
{
    struct outer o;

    CHECK(CONTAINER_OF(&o.in, struct outer, in) == &o);
    CHECK(CONTAINER_OF(&o.in.b, struct inner, b) == &o.in);
}

TEST(count_of_counts_elements)
{
    long numbers[7];

    CHECK_INT(COUNT_OF(numbers), 7);
}
