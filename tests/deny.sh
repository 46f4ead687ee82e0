#!/bin/bash
# Judges the dependencies by deny.toml: licences, bans, sources and, where a copy of the RustSec database is at hand,
# advisories. Asks no advisory server: the copy is an archive beside the project or under $INKAN_VECTORS.
#
# cargo-deny is taken from PATH or from target/tools; `--install` builds it there once (about five minutes).

set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
readonly version=0.20.2 tools=$PWD/target/tools
PATH=$tools/bin:$PATH

main() {
    find_cargo_deny "${1:-}"
    # It reads the sources of crates for other systems, too, which no build here has brought.
    cargo fetch --locked --quiet
    cargo-deny --offline --locked check bans licenses sources
    local archive
    archive=$(find "${INKAN_VECTORS:-../shared/vectors}/advisory-db" -name 'advisory-db-*.tar.gz' 2>/dev/null | sort | tail -1)
    if [ -z "$archive" ]; then
        echo 'skipped: advisories (no advisory-db-*.tar.gz under INKAN_VECTORS or ../shared/vectors)'
        return
    fi
    unpack "$archive"
    cargo-deny --offline --locked check advisories
}

find_cargo_deny() {
    command -v cargo-deny >/dev/null && return
    if [ "$1" != --install ]; then
        echo "skipped: dependencies (no cargo-deny; tests/deny.sh --install builds it)"
        exit 0
    fi
    echo "building cargo-deny $version into target/tools, once"
    if ! cargo install --quiet --locked --root "$tools" cargo-deny --version "$version" \
        --config profile.release.lto=false --config profile.release.opt-level=1; then
        echo "skipped: dependencies (cargo-deny $version could not be built)"
        exit 0
    fi
}

# cargo-deny wants the database as a git checkout under the name that it would give its own.
unpack() {
    local place=target/advisory-dbs/advisory-db-3157b0e258782691
    [ "$place/HEAD-of" -nt "$1" ] && return
    rm -rf "$place"
    mkdir -p "$place"
    tar --extract --gzip --file "$1" --directory "$place"
    git -C "$place" init --quiet
    git -C "$place" add --all
    git -C "$place" -c user.name=deny -c user.email=deny@localhost commit --quiet --message "$(basename "$1")"
    echo "$1" >"$place/HEAD-of"
}

main "$@"
