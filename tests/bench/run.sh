#!/bin/sh
# Builds everything as it is shipped and measures it. Arguments: names of targets, --repeats N, --seconds N, --keys N.
set -eu
cd "$(dirname "$0")/../.."
profile=${BENCH_PROFILE:-release}
cargo build --quiet --locked --profile "$profile" -p appliance --bins
cargo build --quiet --locked --profile "$profile" -p pkcs11-shim
INKAN_BIN_DIR=${CARGO_TARGET_DIR:-$PWD/target}/$profile
export INKAN_BIN_DIR
exec cargo bench --quiet --locked --profile "$profile" -p tests --bench bench -- "$@"
