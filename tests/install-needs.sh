#!/bin/sh
# Installs the Debian packages that the demo and the tests need and that are missing. Asks the package servers only then.
#
#   tests/install-needs.sh          what the demo and the tests need
#   tests/install-needs.sh --list   names the packages, one a line, and why

set -eu

# package                why
needs() {
    cat <<'LIST'
build-essential          compiles aws-lc, the cryptography of the daemon
softhsm2                 the PKCS#11 token of the demo and the tests
openssl                  the throwaway PKI, and the first verifier of signatures
curl                     signs in, signs, and is how the examples are written
jq                       reads the answers in the demo
opensc                   pkcs11-tool: a second look at the token
gnutls-bin               certtool and gnutls-cli: a verifier and a TLS client of another make
python3                  runs the second verifier and the certificate path vectors
python3-asn1crypto       the second, independent implementation of CMS
python3-cryptography     its signature checks
prometheus               scrapes the daemon in a test; promtool checks its metrics
e2fsprogs                mkfs.ext4 for the power-cut and full-disk tests
util-linux               losetup, setpriv, flock
procps                   sysctl and ps
systemd                  systemd-analyze scores the units
chromium                 the browser of holders
chromium-driver          drives it in tests
libnss3-tools            certutil and pk12util put the card and the CA into its database
fonts-noto-cjk           Japanese glyphs, or its screenshots show boxes
faketime                 moves the daemon's clock in a test
LIST
}

is_installed() {
    dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "install-needs: not root and no sudo; as root run: $*" >&2
        exit 1
    fi
}

need_cargo() {
    command -v cargo >/dev/null && return
    echo "install-needs: no Rust toolchain (cargo) on PATH; get one from https://rustup.rs, then run this again" >&2
    exit 1
}

if [ "${1:-}" = --list ]; then
    needs
    exit 0
fi

missing=
for package in $(needs | cut -d' ' -f1); do
    is_installed "$package" || missing="$missing $package"
done

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null; then
        echo "install-needs: this is not Debian; install by hand what these packages hold:$missing" >&2
        exit 1
    fi
    echo "install-needs: installing$missing"
    as_root apt-get update --quiet=2
    # shellcheck disable=SC2086 # one word a package
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet=2 --no-install-recommends $missing >/dev/null
fi
need_cargo
