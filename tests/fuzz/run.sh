#!/bin/bash
# Fuzzes every parser that reads what somebody else wrote.
#
#   tests/fuzz/run.sh [SECONDS] [TARGET...]     seconds for each target (default 60), all targets or those named
#
# A panic, an overflow, more than 5 s or more than 1 GiB for one input is a failure; the input is kept and named. What
# was found to be interesting stays in target/fuzz/corpus and is where the next run begins. Stable Rust; needs a C++
# compiler for libFuzzer.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."

seconds=60
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
mapfile -t all < <(sed -n 's/^name = "\(.*\)"$/\1/p' tests/fuzz/Cargo.toml | tail -n +2)
targets=("${@:-${all[@]}}")

export CARGO_TARGET_DIR=$PWD/target/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
# Edge counters, a table of the edges, and comparisons, for libFuzzer; --target keeps them out of build scripts.
flags='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
flags+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
flags+=' -Cllvm-args=-sanitizer-coverage-trace-compares'

# The versions that the appliance is built with; only libFuzzer's own come on top.
cp Cargo.lock tests/fuzz/Cargo.lock
RUSTFLAGS=$flags cargo build --release --manifest-path tests/fuzz/Cargo.toml --target "$triple"
python3 tests/fuzz/seeds.py target/fuzz/seeds

mkdir -p target/fuzz/found
failed=0
printf '\n%-14s %12s %10s %8s  %s\n' target runs runs/s edges result
for target in "${targets[@]}"; do
    corpus=target/fuzz/corpus/$target
    log=target/fuzz/$target.log
    mkdir -p "$corpus" "target/fuzz/seeds/$target"
    code=0
    timeout --kill-after=10 $((seconds + 60)) "target/fuzz/$triple/release/$target" \
        -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/found/$target-" "$corpus" "target/fuzz/seeds/$target" \
        >"$log" 2>&1 || code=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    result=ok
    if [ "$code" != 0 ]; then
        failed=1
        result="FAILED (code $code): $(sed -n 's/.*Test unit written to //p' "$log" | tail -1) see $log"
    fi
    printf '%-14s %12s %10s %8s  %s\n' "$target" "${runs:--}" "${rate:--}" "${edges:--}" "$result"
done
exit "$failed"
