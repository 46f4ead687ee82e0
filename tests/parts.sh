# Runs the parts of a longer job one after the other and prints how long each took. Sourced, not run.
# shellcheck shell=bash

part_names=()
part_seconds=()

# part NAME COMMAND...: stops everything when the command fails.
part() {
    local name=$1 start=$SECONDS code=0
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    "$@" || code=$?
    part_names+=("$name")
    part_seconds+=($((SECONDS - start)))
    if [ "$code" != 0 ]; then
        print_parts
        printf '%s FAILED (code %s)\n' "$name" "$code" >&2
        exit "$code"
    fi
}

print_parts() {
    printf '\n%-16s %8s\n' part seconds
    local index
    for index in "${!part_names[@]}"; do
        printf '%-16s %8s\n' "${part_names[$index]}" "${part_seconds[$index]}"
    done
    printf '%-16s %8s\n' total "$SECONDS"
}
