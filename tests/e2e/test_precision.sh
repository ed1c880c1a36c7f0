#!/usr/bin/env bash
# int8 prints the same logits to the last digit at every instruction set; each precision prints the same for one text
# alone and among 64, on one thread and on two. Where only a part runs: on a smaller model.
. "$(dirname "$0")/lib.sh"
model=$(part_of random:bert-mini random:bert-tiny)

for i in $(seq 64); do
    echo "text number $i: $(seq -s ' ' "$i" "$((i + i % 19))"), and so on"
done >"$work/texts"
sed -n 40p "$work/texts" >"$work/one"

logits() {
    expect 0 "" "$berth" predict -m $model --format jsonl "$@"
    [ "$(grep -c logits "$work/out")" -gt 0 ] || fail "no logits from: $*"
}

for isa in scalar avx2 avx512 vnni amx; do
    logits --precision int8 --isa $isa -i "$work/texts"
    mv "$work/out" "$work/int8.$isa"
    cmp -s "$work/int8.scalar" "$work/int8.$isa" || fail "int8 at $isa differs from scalar"
done
logits --precision int8 --isa scalar -m $model@2 -i "$work/texts"
cmp -s "$work/int8.scalar" "$work/out" && fail "another model gives the same logits: the comparison is blind"

for precision in fp32 bf16 int8 auto; do
    logits --precision $precision --threads 1 -i "$work/texts"
    cp "$work/out" "$work/batched"
    logits --precision $precision --threads 2 -i "$work/texts"
    cmp -s "$work/batched" "$work/out" || fail "$precision: two threads differ from one"
    logits --precision $precision --threads 2 -i "$work/one"
    sed -n 40p "$work/batched" | cmp -s - "$work/out" || fail "$precision: a text alone differs from the same among 64"
    "$berth" info -m $model --precision $precision --plan >"$work/info" || fail "info --precision $precision"
done
"$berth" info -m $model --precision int8 --plan >"$work/info"
grep -q "s8_gemm_" "$work/info" && grep -q "s8_attention" "$work/info" || fail "the int8 plan names no int8 kernel"
"$berth" info -m $model --precision int8 --json | grep -q '"precision": "int8"' || fail "info does not say int8"
"$berth" info -m $model --precision bf16 --isa avx2 | grep -q "remark.*without bf16 instructions" ||
    fail "bf16 without hardware is not remarked"
finish
