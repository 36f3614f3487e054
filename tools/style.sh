#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks what no other tool does: sizes, banned calls, words that promise later work, licence lines.
# Prints file:line: message. usage: style.sh [--list-c] [ROOT]; --list-c only prints the C files.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
list=
[ "${1:-}" != --list-c ] || { list=1; shift; }
cd "${1:-$here/..}"

present=
for d in src tests tools bench; do [ ! -d $d ] || present="$present $d"; done
[ -n "$present" ] || exit 0
all=$(find $present \( -name node_modules -o -name __pycache__ \) -prune -o -type f -print |
    grep -E '\.(c|h|def|sh|py|awk)$' | sort)
c=$(printf '%s\n' "$all" | grep '\.[ch]$' || true)
[ -z "$list" ] || { printf '%s\n' "$c"; exit 0; }
for f in Makefile run test .ci/run; do [ ! -f $f ] || all="$all $f"; done
[ -n "$all" ] || exit 0
status=0

# The text as it stands. style.sh itself and its test name the words that they look for.
awk '
BEGIN {
    toy = "[^a-z0-9_](for now|simplified|placeholder|not (yet )?implemented|dummy)[^a-z0-9_]"
}
function complain(line, text) {
    printf "%s:%d: %s\n", FILENAME, line, text
    bad = 1
}
FNR == 1 {
    licensed = 0
    complained = 0
}
FNR <= 2 && /SPDX-License-Identifier: MIT/ && (FNR == 1 || FILENAME !~ /\.(c|h|def)$/) {
    licensed = 1
}
FNR == 2 && !licensed {
    complain(1, "the first line must be the SPDX line, \"SPDX-License-Identifier: MIT\"")
}
FNR == 501 && FILENAME !~ /^tests\/.*\.def$/ { # a table of test cases is data
    complain(501, "the file is longer than 500 lines")
}
/\t/ && FILENAME !~ /Makefile$/ {
    complain(FNR, "tab")
}
/[ \t\r]$/ {
    complain(FNR, "space at the end of the line")
}
{
    n = $0
    gsub(/[\200-\277]/, "", n) # count characters, not the bytes of UTF-8
    if (length(n) > 110 && FILENAME !~ /Makefile$/)
        complain(FNR, "the line has " length(n) " columns; 110 is the limit")
}
FILENAME !~ /(tools\/style\.sh|test_00_tools\.py)$/ {
    text = " " $0 " "
    if (match(text, /[^A-Za-z0-9_](TODO|FIXME|XXX|HACK)[^A-Za-z0-9_]/) || match(tolower(text), toy))
        complain(FNR, "\"" substr(text, RSTART + 1, RLENGTH - 2) "\" promises later work")
}
END {
    exit bad
}' $all || status=1

# The code alone, without comments and strings.
[ -z "$c" ] || awk -f "$here/strip.awk" $c | awk -F '\t' '
function complain(text) {
    printf "%s:%d: %s\n", $1, $2, text
    bad = 1
}
function called(names) {
    if (!match($3, "(^|[^A-Za-z0-9_.>])(" names ")[ \t]*\\("))
        return ""
    name = substr($3, RSTART, RLENGTH)
    gsub(/[^A-Za-z0-9_]/, "", name)
    return name
}
{
    if ((name = called("v?sprintf|strcpy|strcat|strtok|atoi|atol|gets|alloca|rand|srand")) != "")
        complain(name "() is banned")
    if ($1 ~ /^src\// && $1 !~ /^src\/base\// &&
        (name = called("malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf")) != "")
        complain(name "() is banned outside src/base: use base/mem.h")
    if ($1 ~ /^src\// && $3 ~ /^[ \t]*typedef[ \t]/ && $3 !~ /\(/)
        complain("typedef hides a struct or a number; only callback types have one")
}
END {
    exit bad
}' || status=1
exit $status
