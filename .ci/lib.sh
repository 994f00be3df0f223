# What the scripts beside this one share. They read it with `.`, at the root of the repository.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/bptt-target}"

steps=()   # a line of the table for each step
now=       # the step that runs
began=0    # when it began
skipped=   # why it did not run

# step HEADING COMMAND...: the command's own output under a heading, and how long it took.
step() {
    now=$1 skipped= began=$SECONDS
    shift
    printf '\n=== %s\n    %s\n' "$now" "$*"
    "$@" </dev/null
    record "${skipped:+skipped: $skipped}"
    now=
}

# skip WHY: for a step that cannot run here.
skip() {
    skipped=$1
    echo "skipped: $1"
}

record() {
    local line
    line=$(printf '%5d s  %s%s' $((SECONDS - began)) "$now" "${1:+  ($1)}")
    steps+=("$line")
    printf -- '---%s\n' "$line"
}

# The table of the steps, at the end or where one failed.
finish() {
    local status=$?
    if [ -n "$now" ]; then
        record FAILED
    fi
    printf '\n'
    printf '%s\n' "${steps[@]}"
    if [ "$status" -eq 0 ]; then
        printf 'All steps passed in %d s.\n' "$SECONDS"
    else
        printf 'A step failed after %d s.\n' "$SECONDS"
    fi
}
trap finish EXIT

# packages NAME...: Debian's packages.
packages() {
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        root=(sudo)
    fi
    # One by one: `set -e` then stops at whichever fails.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y "$@"
}
