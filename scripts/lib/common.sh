# shellcheck shell=bash
# What every script of this tree needs: where the tree is, and how to talk.
# Source it; it runs nothing.

# An error inside $(...) is an error.
shopt -s inherit_errexit

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Everything downloaded or generated outside cargo's target folder; ignored by git.
CACHE=$ROOT/.cache

# The target of the firmware and of the emulated machine.
# shellcheck disable=SC2034 # used by the scripts that source this file
BARE_TARGET=x86_64-unknown-none

START_SECONDS=$SECONDS

# say TEXT: one line of progress, with the time since the script began.
say() {
    printf '[%3ds] %s\n' "$((SECONDS - START_SECONDS))" "$*" >&2
}

# die TEXT: an error that ends the script.
die() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

warn() {
    printf '%s: warning: %s\n' "$(basename "$0")" "$*" >&2
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# with_lock NAME COMMAND...: one process at a time in this tree, so that two
# makes that both start with set-up do not tread on each other.
with_lock() {
    local name=$1
    shift
    mkdir -p "$CACHE"
    if have flock; then
        (
            if ! flock --nonblock 9; then
                say "waiting for another $name of this tree to end"
                flock 9
            fi
            "$@"
        ) 9>"$CACHE/$name.lock"
    else
        "$@"
    fi
}

# as_root COMMAND...: runs it as root, by sudo if need be; fails where neither goes.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo -- "$@"
    else
        return 1
    fi
}
