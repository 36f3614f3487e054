/* SPDX-License-Identifier: MIT */
/* Processes: starting, listening to what they say, ending. */
#include "cmd/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define SELF "/proc/self/exe"
#define STEP_US (5 * CLOCK_MS_US)
#define READY_US (20 * CLOCK_SECOND_US)
#define DRAIN_US (CLOCK_SECOND_US / 5) /* until the second signal: a drain has begun by then */
#define STOP_US (10 * CLOCK_SECOND_US)
#define SAID_MAX (64 * 1024)

static void rest(int64_t us)
{
    struct timespec t = {us / CLOCK_SECOND_US, us % CLOCK_SECOND_US * 1000};

    nanosleep(&t, NULL);
}

/* In the child: nothing of the parent's memory is touched but what was prepared. */
static void become(const char *const *argv, int out, int said, pid_t parent)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(127);
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(said, STDERR_FILENO) < 0)
        _exit(127);
    execv(SELF, (char *const *)(uintptr_t)argv);
    _exit(127);
}

bool child_start(struct child *c, const char *const *argv, const char *said)
{
    int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int err = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    pid_t parent = getpid();

    c->pid = 0;
    snprintf(c->said, sizeof c->said, "%s", said);
    if (out >= 0 && err >= 0)
        c->pid = fork();
    if (c->pid == 0 && out >= 0 && err >= 0)
        become(argv, out, err, parent);
    if (out >= 0)
        close(out);
    if (err >= 0)
        close(err);
    if (c->pid > 0)
        return true;
    c->pid = 0;
    return false;
}

static size_t read_said(const struct child *c, char *out)
{
    FILE *f = fopen(c->said, "re");
    size_t n = f != NULL ? fread(out, 1, SAID_MAX - 1, f) : 0;

    if (f != NULL)
        fclose(f);
    out[n] = '\0';
    return n;
}

/* Only the whole line counts: it may be written in pieces. */
static bool find_port(const struct child *c, char *said, const char *text, unsigned *port)
{
    const char *at, *digits;

    read_said(c, said);
    at = strstr(said, text);
    digits = at != NULL ? strstr(at, "127.0.0.1:") : NULL;
    if (digits == NULL || strchr(digits, '\n') == NULL)
        return false;
    *port = (unsigned)strtoul(digits + strlen("127.0.0.1:"), NULL, 10);
    return *port > 0;
}

static bool has_ended(const struct child *c)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

bool child_port(const struct child *c, const char *text, unsigned *port)
{
    char *said = mem_alloc(SAID_MAX);
    bool found = false, ended = false;

    for (int64_t us = 0; !found && !ended && us < READY_US; us += STEP_US) {
        ended = has_ended(c);
        found = find_port(c, said, text, port);
        if (!found)
            rest(STEP_US);
    }
    mem_free(said);
    return found;
}

static bool wait_for_end(struct child *c, int64_t us)
{
    for (; us > 0; us -= STEP_US) {
        if (waitpid(c->pid, NULL, WNOHANG) != 0)
            return true;
        rest(STEP_US);
    }
    return false;
}

void child_stop(struct child *c)
{
    if (c->pid == 0)
        return;
    kill(c->pid, SIGTERM);
    if (!wait_for_end(c, DRAIN_US)) {
        kill(c->pid, SIGTERM);
        if (!wait_for_end(c, STOP_US)) {
            kill(c->pid, SIGKILL);
            waitpid(c->pid, NULL, 0);
        }
    }
    c->pid = 0;
}

void child_last_words(const struct child *c, char *out, size_t n)
{
    char *said = mem_alloc(SAID_MAX), *line;
    size_t said_n = read_said(c, said);

    while (said_n > 0 && said[said_n - 1] == '\n')
        said[--said_n] = '\0';
    line = strrchr(said, '\n');
    snprintf(out, n, "%.400s", line != NULL ? line + 1 : said);
    mem_free(said);
}
