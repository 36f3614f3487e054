#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what the tests need besides the build: Debian packages, the official SDKs, a real engine.
# usage: test_deps.sh [--check] [--bench] [--fuzz] [--browser]
# --check adds the tools of `make check`, --bench the peers of `make bench`, --fuzz the fuzzers, --browser
# Chromium (0.4 GB), for the test of a page in a browser, which is skipped without it.
#
# Idempotent. SDKs and engine live under build/ and tests/integration/node/node_modules, not in the system.
# When a registry cannot be reached, this says so and goes on: the tests that need it skip and say so too.
set -eu
cd "$(dirname "$0")/.."

packages="curl ca-certificates procps strace valgrind python3 python3-venv python3-pytest python3-pytest-xdist
 python3-jsonschema python3-yaml man-db mandoc nginx-light haproxy"
for arg in "$@"; do
    case $arg in
    --check) packages="$packages clang-format-14 clang-tidy-14" ;;
    --bench) packages="$packages linux-perf" ;;
    --fuzz) packages="$packages clang-14 libclang-rt-14-dev llvm-14 afl++" ;;
    --browser) packages="$packages chromium" ;;
    *) echo "test_deps: unknown argument $arg" >&2; exit 2 ;;
    esac
done
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    packages="$packages nodejs npm"
fi
tools/deps.sh $packages

loudly() {
    printf '\n*** %s\n*** The tests that need it will be skipped.\n\n' "$1" >&2
}

# Python: a virtual environment that sees Debian's pytest; a copy of the list inside says that it is complete.
list=tests/requirements.txt
venv=build/venv
if ! cmp -s $list $venv/installed.txt; then
    echo "test_deps: installing the Python packages of $list into $venv"
    rm -rf $venv
    /usr/bin/python3 -m venv --system-site-packages $venv
    if $venv/bin/python -m pip install --quiet --disable-pip-version-check -r $list; then
        cp $list $venv/installed.txt
    else
        loudly "The Python package registry could not be reached or lacks a package of $list."
    fi
fi

# Node: exactly what the lock file says.
node=tests/integration/node
if ! cmp -s $node/package-lock.json $node/node_modules/installed.json; then
    echo "test_deps: installing the npm packages of $node/package.json"
    if (cd $node && npm ci --silent --no-audit --no-fund); then
        cp $node/package-lock.json $node/node_modules/installed.json
    else
        rm -rf $node/node_modules
        loudly "The npm registry could not be reached or lacks a package of $node/package.json."
    fi
fi

tools/engine.sh build/engine || loudly "The engine (llama.cpp of Debian sid) could not be had."
