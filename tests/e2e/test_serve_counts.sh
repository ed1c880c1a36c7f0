#!/usr/bin/env bash
# The metrics of the server match its clients' own counts under overload; a short soak keeps its memory; both by bench_serving, whose bounds of
# speed are not asked for here.
. "$(dirname "$0")/lib.sh"
serving=$(dirname "$berth")/bench/bench_serving
[ -x "$serving" ] || { echo "SKIP: $serving is not built"; exit 77; }
export BERTH_BINARY=$berth

# run CHECK...: the figures in $work/out.
run() {
    timeout 100 "$serving" --model random:bert-tiny "$@" >"$work/out" 2>"$work/err"
    local got=$?
    checks=$((checks + 1))
    [ "$got" -le 1 ] || fail "bench_serving $*: exit $got: $(cat "$work/err")"
}

# bound WORDS: a line with these says ok.
bound() {
    checks=$((checks + 1))
    grep -F -- "$1" "$work/out" | grep -q '^  ok ' || fail "$(cat "$work/out")"
}

all='success [1-9][0-9]*, refused [1-9][0-9]*, left [1-9]'
for _ in 1 2 3; do # on a machine that does much else the client may not come to overload the server
    run --seconds 3 overload
    bound 'metrics say success'
    bound 'neither answered nor refused'
    grep -Eq "$all" "$work/out" && break
done
grep -Eq "$all" "$work/out" || fail "nothing was counted: $(cat "$work/out")"

run --seconds 4 soak
bound 'metrics say success'
bound 'with an end'
grep -q __asan_init "$berth" || bound 'memory is flat' # freed memory stays for a while in a sanitizer's quarantine

# negative control: a server whose answers are no answers breaks the bounds
checks=$((checks + 1))
cat >"$work/liar" <<END
#!/usr/bin/env bash
exec "$berth" "\$@" --api-key secret
END
chmod +x "$work/liar"
BERTH_BINARY=$work/liar timeout 100 "$serving" --model random:bert-tiny --seconds 1 soak >"$work/out" 2>"$work/err" && fail "a server that refuses all: $(cat "$work/out")"
finish
