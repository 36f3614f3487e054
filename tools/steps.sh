# SPDX-License-Identifier: MIT
# Sourced by ./test and .ci/run: runs steps, adds up what prove and pytest counted, prints the sum.
# A step that fails without naming a failed test (it did not compile, it hung) counts as one failure.

steps_log=$(mktemp)
trap 'rm -f "$steps_log"' EXIT
passed=0 failed=0 skipped=0 broken=

# Reads a log; prints "PASSED FAILED SKIPPED".
tally() {
    awk '
    /^Files=[0-9]+, Tests=[0-9]+,/ { # prove, at its end
        n = $0
        sub(/.*Tests=/, "", n)
        passed += n
    }
    /\(Wstat: .* Tests: [0-9]+ Failed: [0-9]+\)/ { # prove, for each program that was not fine
        n = $0
        sub(/.*Failed: /, "", n)
        n += 0
        passed -= n
        failed += n > 0 ? n : 1
    }
    / in [0-9.]+s( \([0-9:]+\))?( =+)?$/ && /[0-9]+ (passed|failed|skipped|errors?)/ { # pytest, at its end
        for (i = 2; i <= NF; i++) {
            n = $(i - 1) + 0
            if ($i ~ /^passed/) passed += n
            if ($i ~ /^(failed|error)/) failed += n
            if ($i ~ /^skipped/) skipped += n
        }
    }
    END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

# step SECONDS NAME COMMAND...
step() {
    local limit=$1 name=$2 rc=0 p f s started=$SECONDS
    shift 2
    printf '\n== %s\n' "$name"
    timeout -k 10 "$limit" "$@" 2>&1 | tee "$steps_log" || rc=$?
    read -r p f s < <(tally "$steps_log")
    [ $rc -ne 124 ] || echo "$name: not done after $limit s"
    if [ $rc -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
    if [ $rc -eq 0 ] && [ $((p + f)) -eq 0 ]; then p=1; fi # a build, say: no tests in it
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    [ "$f" -eq 0 ] || broken="$broken $name;"
    printf '== %s: %d passed, %d failed, %d skipped, %d s\n' "$name" "$p" "$f" "$s" $((SECONDS - started))
}

# Prints the one line that sums everything up and exits accordingly.
finish() {
    [ -z "$broken" ] || printf '\nfailed:%s\n' "$broken"
    echo
    [ "$skipped" -eq 0 ] || printf '%d skipped, named above\n' "$skipped"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}
