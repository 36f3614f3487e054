#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks who includes whom (the table of docs/architecture.md) and that every third-party or system interface
# stays in its home folder. Prints file:line: message. usage: layers.sh [ROOT]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/..}"
files=$(find src -name '*.c' -o -name '*.h' | sort)
[ -n "$files" ] || exit 0

awk -f "$here/strip.awk" $files | awk -F '\t' '
BEGIN {
    # folder: the folders (or single headers) that it may include, besides itself
    may["base"] = ""
    may["config"] = "base"
    may["io"] = "base"
    may["http"] = "base io"
    may["upstream"] = "base io http"
    may["llm"] = "base"
    may["policy"] = "base config"
    may["shared"] = "base config policy io/mailbox.h"
    may["store"] = "base io http upstream policy shared"
    may["gateway"] = "base config io http upstream llm policy shared store"
    may["sim"] = "base io http llm policy"
    may["load"] = "base io http llm upstream"
    may["rehearse"] = may["gateway"] " gateway sim load"
    may["cmd"] = may["rehearse"] " rehearse"
    may["main"] = "cmd"

    # header (a pattern): the only folders that may include it
    home("yyjson\\.h|xxhash\\.h", "base")
    home("yaml\\.h", "config")
    home("sys/(epoll|eventfd|timerfd|inotify|socket|un)\\.h|poll\\.h", "io")
    home("net/.*|netinet/.*|netdb\\.h|ares.*\\.h", "io")
    home("arpa/inet\\.h", "io config")
    home("openssl/(ssl|bio|x509.*|err|pem|tls.*)\\.h", "io")
    home("openssl/.*", "base io")
    home("llhttp\\.h|nghttp2/.*", "http")
    home("sqlite3\\.h|hiredis/.*|amqp.*\\.h|libpq-fe\\.h|protobuf-c/.*", "store")
    home("curl/.*|uv\\.h", "")

    # folder: what it must not call; time and dice are arguments there, locks and sockets live elsewhere
    impure = "clock_gettime|gettimeofday|time|nanosleep|usleep|rand|random|getrandom|socket|send|" \
             "recv|read|write|open|fopen|pthread_[a-z_]+|clock_(mono|wall)_us|rng_secret_bytes"
    pure["policy"] = impure
    pure["llm"] = impure
}
function home(pattern, folders) {
    home_pattern[++homes_n] = "^(" pattern ")$"
    home_folders[homes_n] = folders
}
function has(list, word) {
    return index(" " list " ", " " word " ") > 0
}
function complain(text) {
    printf "%s:%d: %s\n", $1, $2, text
    bad = 1
}
{
    n = split($1, part, "/")
    folder = n > 2 ? part[2] : "main"
    if (!(folder in may))
        complain("folder src/" folder " is not in the table of layers")
}
$3 ~ /^[ \t]*#[ \t]*include[ \t]*"/ {
    name = $3
    sub(/^[^"]*"/, "", name)
    sub(/".*/, "", name)
    slash = index(name, "/")
    if (name == "version.h")
        next
    if (!slash) {
        complain("\"" name "\" is included without its folder")
        next
    }
    other = substr(name, 1, slash - 1)
    if (other != folder && !has(may[folder], other) && !has(may[folder], name))
        complain(folder " may not include " other " (\"" name "\")")
    next
}
$3 ~ /^[ \t]*#[ \t]*include[ \t]*</ {
    name = $3
    sub(/^[^<]*</, "", name)
    sub(/>.*/, "", name)
    for (i = 1; i <= homes_n; i++) {
        if (name !~ home_pattern[i])
            continue
        if (!has(home_folders[i], folder))
            complain("<" name "> is at home in (" home_folders[i] "), not in " folder)
        break
    }
    next
}
(folder in pure) && match($3, "(^|[^A-Za-z0-9_.>])(" pure[folder] ")[ \t]*\\(") {
    call = substr($3, RSTART, RLENGTH)
    gsub(/[^A-Za-z0-9_]/, "", call)
    complain(folder " is pure, but calls " call "()")
}
END {
    exit bad
}'
