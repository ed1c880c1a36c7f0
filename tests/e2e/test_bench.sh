#!/usr/bin/env bash
# `berth bench`: a line for every combination, the JSON of the contract, and null where the trials are too few.
. "$(dirname "$0")/lib.sh"

expect 0 "" "$berth" bench -q -m random:bert-tiny random:bert-mini --batch 1,3 --length 2,16 --threads 1,2 --trials 3
checks=$((checks + 1))
[ "$(grep -c '^random:.* ok$' "$work/out")" -eq 16 ] || fail "not 2 x 2 x 2 x 2 measured lines: $(cat "$work/out")"

expect 0 "" "$berth" bench -q -m random:bert-tiny --batch 2 --length 16,600 --threads 1 --trials 12 --json
tr -d '\n ' <"$work/out" | sed 's/{"model"/\n&/g' >"$work/cells"
good=$(grep '"length":16,' "$work/cells") long=$(grep '"length":600,' "$work/cells")
checks=$((checks + 4))
for key in model target runtime precision threads batch length scenario n mean_ms p50_ms p90_ms p95_ms p99_ms p50_ci_ms \
    texts_per_second tokens_per_second status; do
    case $good in *"\"$key\":"*) ;; *) fail "no key $key: $good" ;; esac
done
case $good in *'"target":"local","runtime":"native","precision":"fp32","threads":1,"batch":2,"length":16,"scenario":"single-stream","n":12,'*) ;;
*) fail "values of a cell: $good" ;; esac
case $good in *'"p99_ms":null'*'"p90_ci_ms":null'*'"status":"ok"'*) ;; *) fail "12 trials give no p99: $good" ;; esac
case $good in *'"p50_ms":null'* | *'"p90_ms":null'* | *'"p50_ci_ms":null'*) fail "12 trials give p50, its interval and p90: $good" ;; esac
case $long in *'"n":0,"mean_ms":null'*'"status":"themodeltakesatmost512tokens"'*) ;; *) fail "600 tokens: $long" ;; esac
grep -q '"environment":{"berth":"[0-9.]*",.*"cpu":"' "$work/cells" || fail "no environment: $(head -c 300 "$work/cells")"

refused "no such architecture" "$berth" bench -q -m random:nonsense
refused "no such directory" "$berth" bench -q -m random:bert-tiny /nonexistent

# What would be asked for and never run is refused; a runtime that is not here fails in its own lines alone.
refused "add it to --runtime" "$berth" bench -q -m random:bert-tiny --optimization plain
refused "precision int8 is that of none" "$berth" bench -q -m random:bert-tiny --runtime onnxruntime --precision int8 --optimization plain
refused "precision bf16 is that of none" "$berth" bench -q -m random:bert-tiny --runtime onnxruntime --precision fp32,bf16 \
    --optimization plain,quantized
expect 2 "not a valid O" "$berth" bench -q -m random:bert-tiny --runtime onnxruntime --optimization most
expect 0 "" env BERTH_ORT_LIBRARY="$work/nothing.so" "$berth" bench -q -m random:bert-tiny --runtime native,onnxruntime \
    --precision fp32,bf16,int8 --optimization plain,optimized,quantized --length 16 --threads 1 --trials 2
checks=$((checks + 2))
[ "$(grep -c ' native .* ok$' "$work/out")" -eq 3 ] || fail "not three lines of the engine: $(cat "$work/out")"
[ "$(grep -c ' onnxruntime .* there is no such file' "$work/out")" -eq 3 ] || fail "not three lines without a library: $(cat "$work/out")"

# The whole comparison in one command, where ONNX Runtime is.
: "${BERTH_ORT_LIBRARY:=$(find "$source_folder/build/peers/node_modules" -name 'libonnxruntime.so.1' -path '*linux/x64*' -print -quit 2>/dev/null)}"
if [ -n "$BERTH_ORT_LIBRARY" ] && [ -r "$BERTH_ORT_LIBRARY" ]; then
    expect 0 "" "$berth" bench -q -m random:bert-tiny --runtime native,onnxruntime --precision fp32,bf16,int8 \
        --optimization plain,runtime,optimized,quantized --length 16 --threads 1 --trials 2 --ort-library "$BERTH_ORT_LIBRARY"
    checks=$((checks + 1))
    [ "$(grep -c ' ok$' "$work/out")" -eq 7 ] || fail "not 3 + 4 measured lines: $(cat "$work/out")"
    # the weights are in memory with every runtime (17.5 MB of fp32 at least), also of a model that is opened after another was let go
    expect 0 "" "$berth" bench -q -m random:bert-mini random:bert-tiny --runtime onnxruntime,native --length 16 --threads 1 --trials 2 \
        --json --ort-library "$BERTH_ORT_LIBRARY"
    checks=$((checks + 1))
    [ "$(grep -Eo '"memory_bytes": *[1-9][0-9]{7,8}[,}]' "$work/out" | wc -l)" -eq 4 ] || fail "memory: $(grep -o '"memory_bytes": *[0-9]*' "$work/out")"
fi
finish
