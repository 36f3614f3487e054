#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what building needs on Debian 12. Idempotent: installs what is missing and touches nothing else.
#
# Everything comes from the machine's own Debian sources, but for two leaf libraries that bookworm does not
# have: they come from trixie through a private apt configuration that is thrown away afterwards, so that no
# later `apt-get install` can take anything from there. Both steps refuse to upgrade or remove what is there.
# Run as root, or as somebody who may use sudo.
# usage: deps.sh [PACKAGE...] installs further packages as well; deps.sh --mirror only prints apt's mirror.
set -eu

BOOKWORM="build-essential pkg-config libc-ares-dev libnghttp2-dev libssl-dev libsqlite3-dev librabbitmq-dev
 libyaml-dev libhiredis-dev libxxhash-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler"
TRIXIE="libyyjson-dev libllhttp-dev"

# Prints those of its arguments that are not installed, with one call of dpkg-query for all of them.
missing() {
    installed=" $(dpkg-query -W -f '${Package}/${db:Status-Status} ' "$@" 2>/dev/null || true) "
    for p in "$@"; do
        case "$installed" in *" $p/installed "*) ;; *) printf '%s ' "$p" ;; esac
    done
}

# Runs a command and shows what it printed only if it fails.
quietly() {
    log=$(mktemp)
    if ! "$@" > "$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        echo "deps: FAILED: $*" >&2
        exit 1
    fi
    rm -f "$log"
}

# Installs packages and starts none of the services that some of them bring (the tests' nginx and HAProxy): a
# policy of the machine's own stands, and one that is made here goes again.
install_only() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy
        trap 'rm -f $policy' EXIT
    fi
    quietly apt-get install -y -qq --no-install-recommends --no-upgrade --no-remove "$@"
}

# The address of the Debian mirror that this machine uses already; no host is named here.
# apt knows a source's origin only once it has its lists; before that the first bookworm source is taken.
debian_mirror() {
    {
        apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian'
        apt-get update --print-uris | sed -n "s#^'\(.*\)/dists/bookworm/.*#\1#p"
    } | head -n 1
}

from_trixie() {
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || { echo "deps: found no Debian mirror among apt's sources" >&2; exit 1; }
    d=$(mktemp -d)
    trap 'rm -rf "$d"' EXIT
    chmod 755 "$d" # apt reads it as a user of its own
    mkdir -p "$d/src" "$d/lists/partial" "$d/cache/archives/partial"
    printf 'Types: deb\nURIs: %s\nSuites: trixie\nComponents: main\nSigned-By: %s\n' "$mirror" \
        /usr/share/keyrings/debian-archive-keyring.gpg > "$d/src/trixie.sources"
    cat > "$d/apt.conf" <<C
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$d/src";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$d/lists";
Dir::Cache "$d/cache";
C
    APT_CONFIG=$d/apt.conf
    export APT_CONFIG
    quietly apt-get update -qq
    plan=$(apt-get -s install --no-install-recommends --no-upgrade --no-remove "$@")
    if ! echo "$plan" | grep -q '^0 upgraded, .* 0 to remove'; then
        echo "deps: refusing, since trixie would change the system:" >&2
        echo "$plan" >&2
        exit 1
    fi
    quietly apt-get install -y -qq --no-install-recommends --no-upgrade --no-remove "$@"
}

[ -x /usr/bin/apt-get ] || { echo "deps: this needs Debian's apt-get; the list is in $0" >&2; exit 1; }
[ "${1:-}" != --mirror ] || { debian_mirror; exit; }
first=$(missing $BOOKWORM "$@")
second=$(missing $TRIXIE)
[ -n "$first$second" ] || exit 0

echo "deps: installing Debian packages:" $first $second
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "deps: run this as root, or install sudo" >&2; exit 1; }
    exec sudo sh "$0" "$@"
fi
export DEBIAN_FRONTEND=noninteractive
if [ -n "$first" ]; then
    quietly apt-get update -qq
    (install_only $first)
fi
if [ -n "$second" ]; then
    from_trixie $second
fi
echo "deps: done"
