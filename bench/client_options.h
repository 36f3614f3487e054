/* SPDX-License-Identifier: MIT */
/* The command line of the bench's client. */
#ifndef BENCH_CLIENT_OPTIONS_H
#define BENCH_CLIENT_OPTIONS_H

#include "kit.h"

#include <getopt.h>

#define PIDS_MAX 8

struct options {
    struct sockaddr_in addr;
    char host[64];
    const char *path;
    bool is_sse;
    long connections, window_ms, warm_ms, ramp_ms, events_n;
    bool is_by_meaning;  /* answers may be written anew; what they say must be the same */
    const char *headers; /* more header lines of every request, each with its CR LF */
    long rate_n;         /* plain requests a second over all connections; 0: each asks again at once */
    pid_t pids[PIDS_MAX];
    int pid_n;
};

/* "http://127.0.0.1:8080/path" to an address, a Host value and a path. */
static inline void take_url(struct options *o, const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : url;
    size_t host_n = strcspn(host, "/");

    if (host_n >= sizeof o->host)
        kit_die("%s: the host is too long", url);
    memcpy(o->host, host, host_n);
    o->host[host_n] = '\0';
    o->addr = kit_address(o->host);
    o->path = host[host_n] == '/' ? host + host_n : "/v1/chat/completions";
}

static inline void take_pids(struct options *o, char *text)
{
    while (*text != '\0') {
        char *pid = text;
        size_t pid_n = strcspn(pid, ",");

        text += pid_n + (pid[pid_n] == ',' ? 1 : 0);
        pid[pid_n] = '\0';
        if (o->pid_n == PIDS_MAX)
            kit_die("--pids: at most %d", PIDS_MAX);
        o->pids[o->pid_n++] = (pid_t)kit_number("--pids", pid, 1, 1 << 30);
    }
}

/* The command line; dies with a message when it cannot be understood. */
static inline void take_options(struct options *o, int argc, char **argv)
{
    static const struct option names[] = {
        {"url", required_argument, NULL, 'u'},         {"mode", required_argument, NULL, 'm'},
        {"connections", required_argument, NULL, 'c'}, {"window-ms", required_argument, NULL, 't'},
        {"warm-ms", required_argument, NULL, 'w'},     {"ramp-ms", required_argument, NULL, 'r'},
        {"events", required_argument, NULL, 'e'},      {"rate", required_argument, NULL, 'a'},
        {"pids", required_argument, NULL, 'p'},        {"headers", required_argument, NULL, 'h'},
        {"by-meaning", required_argument, NULL, 'b'},  {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'u')
            take_url(o, optarg);
        else if (c == 'm')
            o->is_sse = strcmp(optarg, "sse") == 0;
        else if (c == 'c')
            o->connections = kit_number("--connections", optarg, 1, 100000);
        else if (c == 't')
            o->window_ms = kit_number("--window-ms", optarg, 1, 3600000);
        else if (c == 'w')
            o->warm_ms = kit_number("--warm-ms", optarg, 0, 60000);
        else if (c == 'r')
            o->ramp_ms = kit_number("--ramp-ms", optarg, 0, 600000);
        else if (c == 'e')
            o->events_n = kit_number("--events", optarg, 2, 1000000);
        else if (c == 'a')
            o->rate_n = kit_number("--rate", optarg, 0, 1000000);
        else if (c == 'p')
            take_pids(o, optarg);
        else if (c == 'h')
            o->headers = optarg;
        else if (c == 'b')
            o->is_by_meaning = kit_number("--by-meaning", optarg, 0, 1) == 1;
        else
            kit_die(
                "usage: client --url URL [--mode json|sse] [--connections N] [--window-ms N] [--warm-ms N]\n"
                "              [--ramp-ms N] [--events N per stream] [--rate N] [--pids PID,...]\n"
                "              [--headers LINES] [--by-meaning 0|1]");
    }
    if (o->path == NULL)
        kit_die("--url is needed");
}

#endif
