#!/usr/bin/env bash
# bench_targets, what `make bench` runs: goes on without its peers and says by name what is missing; figures of berth alone are
# there, with the machine's limits; the JSON is whole; wrong usage is refused.
. "$(dirname "$0")/lib.sh"

targets=$(dirname "$berth")/bench/bench_targets
[ -x "$targets" ] || { echo "SKIP: test_targets: $targets is not built"; exit 77; }
unset BERTH_ORT_LIBRARY BERTH_ORT_MODELS

expect 0 "" "$targets" --quick --only T5 -o "$work/results.json"
checks=$((checks + 5))
grep -q 'because BERTH_ORT_LIBRARY is not set' "$work/out" || fail "a missing library is not named: $(cat "$work/out")"
grep -Eq '^T5 +bert-tiny +1 x 16 +int8 +[0-9.]+ \(.* % of the limit' "$work/out" || fail "no figure of berth alone: $(cat "$work/out")"
grep -Eq '^T5 +bert-tiny 1 x 16 int8 against ONNX Runtime int8: not available: ONNX Runtime' "$work/out" ||
    fail "what is missing is not named: $(cat "$work/out")"
tr -d '\n ' <"$work/results.json" >"$work/flat"
grep -q '^{"environment":{"berth":"[0-9.]*","cpu":.*"quick":true' "$work/flat" || fail "no environment: $(head -c 300 "$work/flat")"
grep -q '"target":"limit","what":"16KB","rate":[0-9.]*' "$work/flat" || fail "no limits of the machine: $(head -c 2000 "$work/flat")"

BERTH_ORT_LIBRARY=/nonexistent/libonnxruntime.so expect 0 "" "$targets" --quick --only none -o "$work/results.json"
checks=$((checks + 1))
grep -q 'not measured beside berth: .*/nonexistent/libonnxruntime.so' "$work/out" || fail "a library that cannot be opened: $(cat "$work/out")"

expect 2 "usage: bench_targets" "$targets" --nonsense
finish
