#!/bin/sh
# Builds everything as it is shipped and measures it. Arguments: names of targets, --repeats N, --seconds N, --keys N.
set -eu
cd "$(dirname "$0")/../.."
profile=${BENCH_PROFILE:-release}
cargo build --quiet --locked --profile "$profile" -p appliance -p pkcs11-shim -p tests --lib --bins
exec cargo run --quiet --locked --profile "$profile" -p tests --bin bench -- "$@"
