#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches a real engine for the tests: Debian sid's llama.cpp with sid's own libc, unpacked into a folder.
# usage: engine.sh [DIR]; afterwards `DIR/llama llama-server -m FILE` runs the server.
#
# It installs nothing and needs no root: apt works on private lists and states inside DIR, the packages are
# only unpacked, and the tools run with the loader that came with them. It downloads 13 MB; 53 MB on disk.
# sid moves, so a package can be missing for a day: the caller has to be able to go on without the engine.
set -eu
mkdir -p "${1:-build/engine}"
d=$(cd "${1:-build/engine}" && pwd)
packages="libc6 libgcc-s1 libgomp1 libstdc++6 libssl3t64 zlib1g libzstd1 libggml0 libllama0
 llama.cpp-tools llama.cpp-tools-extra"
[ -x "$d/llama" ] && "$d/llama" llama-server --version >/dev/null 2>&1 && exit 0

[ "$(dpkg --print-architecture)" = amd64 ] || { echo "engine: only for amd64" >&2; exit 1; }
mirror=$("$(dirname "$0")/deps.sh" --mirror)
[ -n "$mirror" ] || { echo "engine: found no Debian mirror among apt's sources" >&2; exit 1; }
echo "engine: fetching Debian sid's llama.cpp into ${1:-build/engine}"
rm -rf "$d/apt" "$d/root"
mkdir -p "$d/apt/src" "$d/apt/lists/partial" "$d/apt/cache/archives/partial" "$d/root"
: > "$d/apt/status"
printf 'Types: deb\nURIs: %s\nSuites: sid\nComponents: main\nSigned-By: %s\n' "$mirror" \
    /usr/share/keyrings/debian-archive-keyring.gpg > "$d/apt/src/sid.sources"
cat > "$d/apt/conf" <<C
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$d/apt/src";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$d/apt";
Dir::State::Lists "$d/apt/lists";
Dir::State::status "$d/apt/status";
Dir::Cache "$d/apt/cache";
APT::Sandbox::User "$(id -un)";
Acquire::Check-Valid-Until "false"; # a mirror that lags behind still holds one consistent, signed set
C
(
    cd "$d/apt"
    APT_CONFIG=$d/apt/conf
    export APT_CONFIG
    apt-get update -qq
    apt-get download -qq $packages
)
for f in "$d"/apt/*.deb; do
    dpkg -x "$f" "$d/root"
done
rm -rf "$d/apt"

# ggml looks for its CPU backends in the system's folder only, so the wrapper names the one that fits this
# CPU; the library path needs the llama folder too.
cat > "$d/llama" <<'C'
#!/bin/sh
# llama TOOL ARGS...: runs a tool from the folder beside this file with that folder's own loader and libc.
r=$(dirname "$(readlink -f "$0")")/root
l=$r/usr/lib/x86_64-linux-gnu
tool=$1
shift
if [ -z "${GGML_BACKEND_PATH:-}" ]; then
    flags=" $(sed -n '/^flags/{s/^[^:]*: //p;q}' /proc/cpuinfo) "
    v=x64
    case "$flags" in *" sse4_2 "*) v=sse42 ;; esac
    case "$flags" in *" avx2 "*) v=haswell ;; esac
    case "$flags" in *" avx512bw "*" avx512vl "*) v=skylakex ;; esac
    case "$flags" in *" avx512_vnni "*) v=icelake ;; esac
    case "$flags" in *" amx_int8 "*) v=sapphirerapids ;; esac
    export GGML_BACKEND_PATH="$l/ggml/backends0/libggml-cpu-$v.so"
fi
exec "$l/ld-linux-x86-64.so.2" --library-path "$l:$l/llama" "$r/usr/bin/$tool" "$@"
C
chmod +x "$d/llama"
"$d/llama" llama-server --version 2>&1 | grep '^version'
