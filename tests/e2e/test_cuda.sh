#!/usr/bin/env bash
# test_cuda.sh: the program with --runtime cuda: over the emulated device its answers are the CPU's within the bound; without
# a plugin or a device it refuses in one sentence; and the program itself is linked to nothing of CUDA.
. "$(dirname "$0")/lib.sh"
unset BERTH_CUDA_LIBRARY
ldd "$berth" | grep -qiE 'cuda|cublas' && fail "the program is linked to CUDA"
# The plugin of this build, where nvcc is: it needs no runtime library but cuBLASLt, exports one name, and finds no driver where there is none.
plugin=$(dirname "$berth")/libberth_cuda.so
if [ -e "$plugin" ]; then
    ldd "$plugin" | grep -q libcudart && fail "the plugin wants libcudart"
    [ "$(nm -D --defined-only "$plugin" | awk '{ print $NF }')" = berth_cuda_table ] || fail "the plugin exports $(nm -D --defined-only "$plugin")"
    if [ ! -e /dev/nvidia0 ]; then
        refused "use runtime native" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
        refused "use runtime native" "$berth" finetune -m random:bert-tiny --runtime cuda --task csv --train x -o "$work/x"
    fi
else
    refused "make cuda" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
fi
BERTH_CUDA_LIBRARY=/nonexistent.so expect 1 "there is no such file" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
BERTH_CUDA_LIBRARY=libm.so.6 expect 1 "not berth's plugin" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
expect 1 "precision fp16 is for runtime cuda" "$berth" predict -m random:bert-tiny --precision fp16 "a film"

if [ ! -r "${BERTH_CUDA_EMULATED:-}" ]; then
    echo "SKIP: the emulated CUDA plugin is not built here (sanitizers, or no C++ compiler)"
    [ "$failures" -eq 0 ] && exit 77 || exit 1
fi
export BERTH_CUDA_LIBRARY=$BERTH_CUDA_EMULATED
texts=$source_folder/examples/sentences.txt
"$berth" predict -m random:bert-tiny --format jsonl -i "$texts" >"$work/cpu" || fail "the CPU's answers"
largest() { # of the differences between the logits of two files
    paste <(grep -o '"logits": *\[[^]]*' "$1" | grep -oE -- '-?[0-9]+\.[0-9e-]+') <(grep -o '"logits": *\[[^]]*' "$2" | grep -oE -- '-?[0-9]+\.[0-9e-]+') |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > m) m = d; n++ } END { print n ? m : 9 }'
}
for case in fp32:0.00005 bf16:0.15 fp16:0.02 int8:0.6 fp8:1; do
    "$berth" predict -m random:bert-tiny --runtime cuda --precision "${case%:*}" --format jsonl -i "$texts" >"$work/gpu" || fail "$case"
    largest "$work/cpu" "$work/gpu" | awk -v bound="${case#*:}" '{ exit !($1 <= bound) }' || fail "$case: $(largest "$work/cpu" "$work/gpu")"
    head -1 "$texts" | "$berth" predict -m random:bert-tiny --runtime cuda --precision "${case%:*}" --format jsonl >"$work/alone" || fail "$case alone"
    head -1 "$work/gpu" | cmp -s - "$work/alone" || fail "$case: other bits alone than among others"
done
cmp -s "$work/cpu" "$work/gpu" && fail "fp8 gives the CPU's fp32: the runtime was not used"
expect 0 "" "$berth" info -m random:bert-tiny --runtime cuda
grep -q "an emulated GPU" "$work/out" || fail "info does not name the device"

# --- fine-tuning: the CPU's losses, the same bits again and after a kill, what it refuses -------------------------------------------
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' good bad fine awful lovely dull film a the >"$work/vocab"
{ echo text,label; for i in 1 2 3; do printf 'a good film %s,praise\nthe bad film,blame\na fine film the,praise\nawful awful,blame\nlovely,praise\ndull,blame\n' \
    "$(yes the | head -$i | tr '\n' ' ')"; done; } >"$work/train.csv"
train="finetune -q -m random:bert-tiny --vocab $work/vocab --task csv --train $work/train.csv --dev $work/train.csv --batch-size 6 --epochs 2 --eval-steps 3 --logging-steps 1"
numbers() { grep -o "\"$1\": *[0-9.e-]*" "$2" | sed 's/.*: *//'; }
near() { # BOUND FILE FILE: numbers, line by line
    paste "$2" "$3" | awk -v bound="$1" '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= bound * (1 + ($1 < 0 ? -$1 : $1)))) bad++; n++ } END { exit !(n > 2 && !bad) }'
}
expect 0 "" "$berth" $train -o "$work/native"
for precision in fp32:0.00005 bf16:0.03; do
    expect 0 "" "$berth" $train --runtime cuda --precision "${precision%:*}" -o "$work/${precision%:*}"
    for key in loss grad_norm; do
        bound=${precision#*:}
        [ $key = grad_norm ] && bound=$(awk -v b="$bound" 'BEGIN { print 5 * b }')
        near "$bound" <(numbers $key "$work/native/train_log.jsonl") <(numbers $key "$work/${precision%:*}/train_log.jsonl") ||
            fail "$precision: another $key than the CPU's: $(cat "$work/native/train_log.jsonl" "$work/${precision%:*}/train_log.jsonl")"
    done
done
expect 0 "" "$berth" predict -q -m "$work/bf16" "a good film"
expect 0 "" "$berth" eval -q -m "$work/fp32" --task csv --data "$work/train.csv" --json
near 0.0001 <(for _ in 1 2 3; do numbers loss "$work/out"; done) <(for _ in 1 2 3; do numbers loss "$work/fp32/eval_results.json"; done) ||
    fail "the CPU evaluates the weights otherwise: $(cat "$work/out" "$work/fp32/eval_results.json")"
tuned="$train --runtime cuda --save-steps 2 --learning-rate 1e-3 --layer-decay 0.9 --freeze-embeddings"
expect 0 "" "$berth" $tuned -o "$work/whole"
"$berth" $tuned -o "$work/parts" >/dev/null 2>&1 &
while kill -0 $! 2>/dev/null && [ ! -e "$work/parts/resume.safetensors" ]; do sleep 0.02; done
kill -9 $! 2>/dev/null
wait $! 2>/dev/null
refused "was written with other options" "$berth" ${tuned/--runtime cuda/} -o "$work/parts" --resume
expect 0 "" "$berth" $tuned -o "$work/parts" --resume
cmp -s "$work/whole/model.safetensors" "$work/parts/model.safetensors" || fail "a run that was killed and resumed has other bits"
cmp -s "$work/whole/model.safetensors" "$work/fp32/model.safetensors" && fail "another rate gives the same weights"
expect 0 "" "$berth" finetune -q -m random:bert-tiny --vocab "$work/vocab" --objective mlm --train "$work/train.csv" --dev "$work/train.csv" --runtime cuda \
    --precision auto --max-steps 2 --batch-size 4 -o "$work/mlm"
grep -q perplexity "$work/mlm/eval_results.json" || fail "mlm: no perplexity"
expect 0 "" "$berth" $train --runtime cuda --teacher "$work/native" --distill-hidden 0.5 --max-steps 2 -o "$work/taught"
expect 0 "" "$berth" $train --runtime cuda --dump-gradients "$work/grads.safetensors"
refused "leave --activation-memory out" "$berth" $train --runtime cuda --activation-memory 1G -o "$work/x"
for precision in int8 fp16 fp8; do
    refused "training in $precision" "$berth" $train --runtime cuda --precision $precision -o "$work/x"
done
finish
