# lib.sh: what the end-to-end tests share. Sourced.
set -u
berth=${BERTH_BINARY:?the program under test}
source_folder=${BERTH_SOURCE:?the checkout}
shared=${BERTH_SHARED:-$source_folder/../shared}
work=$(mktemp -d)
part=${BERTH_TESTS_PART:-} # set under sanitizers: a long test runs in a stated part (tests/support/part.h)
trap 'rm -rf "$work"' EXIT
failures=0
checks=0
# What ONNX Runtime's library keeps until the process ends is not ours (sanitizer builds).
echo "leak:libonnxruntime" >"$work/not-ours"
export LSAN_OPTIONS="suppressions=$work/not-ours:print_suppressions=0"

# part_of WHOLE PART: WHOLE, or PART where only a part runs.
part_of() {
    [ -n "$part" ] && printf '%s' "$2" || printf '%s' "$1"
}

fail() {
    echo "FAILED: $*" >&2
    failures=$((failures + 1))
}

# expect STATUS WORDS COMMAND...: the exit status, and stderr that contains WORDS (empty: nothing is asked of it).
expect() {
    local status=$1 words=$2 got
    shift 2
    checks=$((checks + 1))
    "$@" >"$work/out" 2>"$work/err" </dev/null
    got=$?
    [ "$got" -eq "$status" ] || fail "exit $got, want $status: $*: $(head -c 300 "$work/err")"
    [ -z "$words" ] || grep -qF -- "$words" "$work/err" || fail "no '$words' on stderr of: $*: $(head -c 300 "$work/err")"
}

# refused WORDS COMMAND...: exit 1, nothing on stdout, one sentence on stderr that contains WORDS.
refused() {
    local words=$1
    shift
    expect 1 "$words" "$@"
    [ ! -s "$work/out" ] || fail "output besides an error: $*"
    [ "$(grep -vc '^berth: note' "$work/err")" -eq 1 ] || fail "not one sentence: $*: $(cat "$work/err")"
}

finish() {
    echo "$checks checks, $failures failed"
    [ "$failures" -eq 0 ] && [ "$checks" -gt 0 ]
    exit
}
