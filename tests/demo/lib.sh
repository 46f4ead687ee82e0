# Talking and cleaning up, for the scripts of the demo. Sourced, not run.
# shellcheck shell=bash

if [ -t 1 ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' green='' red='' plain=''
fi

chapter() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s\n' "$*"; }
fail() {
    printf '%sdemo: %s%s\n' "$red" "$*" "$plain" >&2
    exit 1
}

# Prints a command as one could type it.
show() {
    local word line=''
    for word; do
        [[ $word =~ ^[A-Za-z0-9@%+=:,./_-]+$ ]] || word="'${word//\'/\'\\\'\'}'"
        line+=" $word"
    done
    show_line "${line# }"
}

# Prints a command line that is more than one command's words.
show_line() { printf '%s$ %s%s\n' "$green" "$*" "$plain"; }

# Prints a command and runs it; what it says is shown. Ends the demo when it fails.
run() {
    show "$@"
    "$@" || fail "that command failed with code $?"
}

# Prints a command and runs it; what it says is shown only when it fails.
run_quietly() {
    show "$@"
    local output code=0
    output=$("$@" 2>&1) || code=$?
    [ "$code" = 0 ] || { printf '%s\n' "$output" >&2; fail "that command failed with code $code"; }
}

# Prints a command, runs it, shows its standard output and keeps it in `$answer`.
ask() {
    show "$@"
    answer=$("$@") || fail "that command failed with code $?"
    [ -z "$answer" ] || printf '%s\n' "$answer"
}

# Waits until a command succeeds, at most so many tenths of a second.
wait_until() {
    local tenths=$1
    shift
    while ! "$@"; do
        tenths=$((tenths - 1))
        [ "$tenths" -gt 0 ] || return 1
        sleep 0.1
    done
}

is_gone() { ! kill -0 "$1" 2>/dev/null; }

# Asks a process to stop, and makes it after ten seconds.
stop_process() {
    kill -TERM "$1" 2>/dev/null || return 0
    # Named, since a bare return in a trap gives the status from before the trap.
    wait_until 100 is_gone "$1" && return 0
    say "process $1 does not stop: killing it"
    kill -KILL "$1" 2>/dev/null || true
}

# Runs something long in a way that lets Ctrl-C through at once.
run_long() {
    show "$@"
    "$@" &
    long_process=$!
    local code=0
    wait "$long_process" || code=$?
    long_process=''
    [ "$code" = 0 ] || fail "that command failed with code $code"
}

# The first free port of 127.0.0.1 from this number on.
free_port() {
    local port=$1 last=$(($1 + 200))
    while [ "$port" -lt "$last" ]; do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            printf '%s' "$port"
            return
        fi
        port=$((port + 10))
    done
    fail "no free port between $1 and $last"
}
