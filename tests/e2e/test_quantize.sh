#!/usr/bin/env bash
# test_quantize.sh: `berth quantize` from outside: checkpoints that answer as rounding at load does, the price on labelled texts, layers
# kept until a drop holds, refusals that leave nothing behind; and the exported int8 form against the engine's own.
# Where only a part runs: on the first texts of the development set.
. "$(dirname "$0")/lib.sh"
models=$shared/golden/models
trained=$shared/golden/trained
dev=$shared/data/sst2/dev.tsv
[ -d "$models" ] || { echo "SKIP: test_quantize: $models is missing"; exit 77; }
if [ -n "$part" ] && [ -r "$dev" ]; then
    head -n 201 "$dev" >"$work/dev.tsv"
    dev=$work/dev.tsv
fi
texts="a witty film
the plot is thin, the jokes are older than the actors and still: not bad
no"
printf '%s\n' "$texts" >"$work/texts"

same() { cmp -s "$1" "$2" || fail "$3"; }
answers() { "$berth" predict --format jsonl -i "$work/texts" "$@" 2>>"$work/log"; }

# The bits of rounding at load, by default and when asked for; fp32 is widened, and says so.
for name in bert-oddsizes bert-bf16 distilbert-reg1-f16 electra-noproj-gelunew-3 electra-gelu-2 bert-multilabel4; do
    for precision in int8 bf16; do
        rm -rf "$work/q"
        expect 0 "" "$berth" quantize -m "$models/$name" -o "$work/q" --precision $precision --check
        grep -q "largest difference of logits" "$work/out" || fail "no check is told of $name"
        answers -m "$models/$name" --precision $precision >"$work/a"
        answers -m "$work/q" >"$work/b"
        same "$work/a" "$work/b" "$name at $precision answers otherwise from its checkpoint"
        answers -m "$work/q" --precision $precision >"$work/b"
        same "$work/a" "$work/b" "$name at $precision, asked for, answers otherwise from its checkpoint"
        "$berth" info -m "$work/q" --json >"$work/info" || fail "info -m quantised"
        grep -q "\"precision\": \"$precision\"" "$work/info" || fail "$name opens at another precision than $precision"
        "$berth" info -m "$work/q" --precision fp32 2>/dev/null | grep -q "remark.*quantised to $precision: at fp32 its weights are widened" ||
            fail "$name: no word of widening at fp32"
    done
done
grep -q '"quant_method": "berth"' "$work/q/config.json" || fail "no quantization_config"
[ -z "$(find "$work" -name '*part*')" ] || fail "parts are left behind"

# int8 from a checkpoint prints the same digits at every instruction set.
rm -rf "$work/q"
expect 0 "" "$berth" quantize -m random:bert-mini -o "$work/q" -q
for isa in scalar avx2 avx512 vnni amx; do
    answers -m "$work/q" --isa $isa >"$work/int8.$isa"
    same "$work/int8.scalar" "$work/int8.$isa" "int8 from a checkpoint at $isa differs from scalar"
done
[ "$(stat -c %s "$work/q/model.safetensors")" -lt $((13000000)) ] || fail "the int8 checkpoint is not small"

# Other verbs take it: as ONNX (widened and rounded anew), as fp32 safetensors, as a server's model.
expect 0 "" "$berth" convert -m "$work/q" --to safetensors -o "$work/wide" --check
answers -m "$work/q" --precision fp32 >"$work/a"
answers -m "$work/wide" >"$work/b"
same "$work/a" "$work/b" "widened safetensors answer otherwise"
expect 0 "" "$berth" convert -m "$work/q" --to onnx -o "$work/q/m.onnx"
answers -m "$work/q/m.onnx" >"$work/b"
same "$work/a" "$work/b" "widened ONNX answers otherwise"

# Labelled by a model itself, so that every answer is right before: what is lost is seen, and kept layers bring it back.
if [ -r "$dev" ]; then
    model=$models/bert-gelu-2
    cut -f1 "$dev" | sed 1d >"$work/texts"
    answers -m "$model" | paste -d '\t' "$work/texts" - |
        sed -E 's/"/\x01/g; s/^([^\t]*)\t.*label\x01: \x01([^\x01]*)\x01.*/\1\t\2/; s/\x01//g; s/\\//g' |
        awk -F '\t' -v a="$work/all.jsonl" -v b="$work/even.jsonl" -v c="$work/odd.jsonl" \
            '{ line = "{\"text\": \"" $1 "\", \"label\": \"" $2 "\"}"; print line > a; print line > (NR % 2 ? c : b) }'
    rm -rf "$work/q"
    expect 0 "" "$berth" quantize -m "$model" -o "$work/q" --task jsonl --data "$work/even.jsonl"
    grep -q "answers changed" "$work/out" && grep -q "McNemar" "$work/out" && grep -q "Wilson" "$work/out" ||
        fail "no price table: $(cat "$work/out")"
    expect 0 "" "$berth" quantize -m "$model" -o "$work/q" --task jsonl --data "$work/even.jsonl" --json
    grep -o '"drop_points": [0-9.e-]*' "$work/out" | awk '{ exit !($2 > 0.2) }' || fail "int8 should cost this model something"
    for points in 1.5 0; do
        for calibration in "" "--calibration $work/odd.jsonl"; do
            [ "$points$calibration" != 1.5 ] || continue
            # shellcheck disable=SC2086
            expect 0 "" "$berth" quantize -m "$model" -o "$work/q" --task jsonl --data "$work/even.jsonl" --max-drop $points $calibration --json
            grep -o '"drop_points": [0-9.e-]*' "$work/out" | awk -v most=$points '{ exit !($2 <= most) }' ||
                fail "--max-drop $points does not hold: $(grep drop_points "$work/out")"
            grep -q '"layers_kept": [1-9]' "$work/out" || fail "--max-drop $points keeps no layer"
            # what was written is what was measured
            "$berth" eval -m "$work/q" --task jsonl --data "$work/even.jsonl" --json >"$work/eval"
            [ "$(grep -o '"accuracy": [0-9.]*' "$work/eval" | head -1)" = "$(grep -A3 '"after"' "$work/out" | grep -o '"accuracy": [0-9.]*')" ] ||
                fail "the checkpoint of --max-drop $points has another accuracy than was told"
        done
    done
    "$berth" info -m "$work/q" | grep -q "products are kept finer" || fail "info does not tell of kept products"
    "$berth" info -m "$work/q" --plan | grep -q "f32_gemm\|bf16_gemm" || fail "the plan keeps nothing finer"
    expect 0 "" "$berth" convert -m "$work/q" --to onnx -o "$work/mixed.onnx" --quantize dynamic
    refused "calibrate on training data" "$berth" quantize -m "$model" -o "$work/x" --task jsonl --data "$work/even.jsonl" --max-drop 1 \
        --calibration "$work/even.jsonl"
    cp "$work/even.jsonl" "$work/copy.jsonl"
    refused "calibrate on training data" "$berth" quantize -m "$model" -o "$work/x" --task jsonl --data "$work/even.jsonl" --max-drop 1 \
        --calibration "$work/copy.jsonl"
    refused "nothing to calibrate" "$berth" quantize -m "$model" -o "$work/x" --task jsonl --data "$work/even.jsonl" \
        --calibration "$work/odd.jsonl"
    refused "already" "$berth" quantize -m "$work/q" -o "$work/x"
    [ ! -e "$work/x" ] || fail "a refused quantisation left something"
fi

# Refusals.
refused "has no classifier" "$berth" quantize -m "$models/bert-pretraining" -o "$work/x"
refused "is not a directory" "$berth" quantize -m "$models/bert-gelu-2" -o "$work/texts"
refused "no such directory" "$berth" quantize -m "$work/nothing" -o "$work/x"
refused "needs labelled data" "$berth" quantize -m "$models/bert-gelu-2" -o "$work/x" --max-drop 1
expect 2 "go together" "$berth" quantize -m "$models/bert-gelu-2" -o "$work/x" --task sst2
expect 2 "not a valid P" "$berth" quantize -m "$models/bert-gelu-2" -o "$work/x" --precision fp32
expect 2 "not a valid POINTS" "$berth" quantize -m "$models/bert-gelu-2" -o "$work/x" --max-drop -1
expect 2 "needed" "$berth" quantize -m "$models/bert-gelu-2"
[ ! -e "$work/x" ] || fail "a refused quantisation left something"
[ -z "$(find "$work" -name '*part*')" ] || fail "parts are left behind"

# A directory in use is replaced file by file; a failure leaves it as it was.
before=$(md5sum "$work/q/model.safetensors" "$work/q/config.json")
refused "has no classifier" "$berth" quantize -m "$models/bert-pretraining" -o "$work/q"
[ "$before" = "$(md5sum "$work/q/model.safetensors" "$work/q/config.json")" ] || fail "a failed quantisation changed its output"

# The trained model on SST-2: the price table, and 0.2 points hold.
if [ -d "$trained" ] && [ -r "$dev" ]; then
    rm -rf "$work/q"
    expect 0 "" "$berth" quantize -m "$trained/sst2-bert-small" -o "$work/q" --task sst2 --data "$dev" --max-drop 0.2 --json
    grep -o '"drop_points": [0-9.e-]*' "$work/out" | awk '{ exit !($2 <= 0.2) } END { if (!NR) exit 1 }' || fail "0.2 points do not hold"
fi

# A channel that is huge and then multiplied by zero: int8 loses all else of its row. The check refuses such a model, and finer layers
# are kept until it is passed, whatever the metric says.
if [ -r "$dev" ] && [ -d "$trained" ]; then
    cp -r "$trained/sst2-bert-small" "$work/outlier"
    chmod -R u+w "$work/outlier"
    weights=$work/outlier/model.safetensors
    body=$((8 + $(od -An -tu8 -N8 "$weights")))
    place() { # place TENSOR: its first byte
        echo $((body + $(head -c "$body" "$weights" | grep -ao "\"$1\":{[^}]*}" | grep -ao '"data_offsets":\[[0-9]*' | grep -o '[0-9]*$')))
    }
    for layer in 0 1; do
        name=bert.encoder.layer.$layer.attention
        printf '\000\120\103\107' | dd of="$weights" bs=1 seek="$(place $name.self.value.bias)" conv=notrunc status=none # 50000
        column=$(place $name.output.dense.weight)
        for i in $(seq 0 127); do
            printf '\000\000\000\000' | dd of="$weights" bs=1 seek=$((column + i * 128 * 4)) conv=notrunc status=none
        done
    done
    refused "max-drop" "$berth" quantize -m "$work/outlier" -o "$work/x"
    [ ! -e "$work/x" ] || fail "a quantisation that failed its check was written"
    for points in 0.2 100; do
        expect 0 "" "$berth" quantize -m "$work/outlier" -o "$work/q" --task sst2 --data "$dev" --max-drop $points --json
        grep -o '"drop_points": [0-9.e-]*' "$work/out" | awk -v most=$points '{ exit !($2 <= most) }' || fail "outliers: $points points do not hold"
        grep -q '"layers_kept": [1-9]' "$work/out" || fail "outliers: no layer is kept"
    done
fi

# ONNX Runtime's dynamic int8 form of a model strays from fp32 as far as berth's own int8 does, by half either way.
if [ -z "${BERTH_ORT_LIBRARY:-}" ]; then
    BERTH_ORT_LIBRARY=$(find "$source_folder/build/peers/node_modules" -name 'libonnxruntime.so.1' -path '*linux/x64*' -print -quit 2>/dev/null)
    export BERTH_ORT_LIBRARY
fi
numbers() { grep -o '"logits": \[[^]]*\]' "$1" | tr -c '0-9.e\n-' ' '; }
distance() { # root mean square of the difference of two files' logits
    paste <(numbers "$1") <(numbers "$2") | awk '{ for (i = 1; i <= NF / 2; i++) { d = $i - $(i + NF / 2); s += d * d; n++ } }
        END { printf "%.8f\n", n ? sqrt(s / n) : 1e9 }'
}
if [ -d "$trained" ] && [ -r "$dev" ] && [ -r "${BERTH_ORT_LIBRARY:-/nowhere}" ]; then
    cut -f1 "$dev" | sed -n '2,302p' >"$work/texts"
    for name in sst2-bert-small sst2-distilbert-small sst2-electra-small; do
        answers -m "$trained/$name" >"$work/fp32"
        answers -m "$trained/$name" --precision int8 >"$work/own"
        checks=$((checks + 1))
        own=$(distance "$work/fp32" "$work/own")
        for how in none fused; do
            answers -m "$trained/$name" --precision int8 --runtime onnxruntime --ort-optimization $how >"$work/other"
            other=$(distance "$work/fp32" "$work/other")
            awk -v a="$own" -v b="$other" 'BEGIN { exit !(a > 1e-5 && b > 1e-5 && b < 1.5 * a && a < 1.5 * b) }' ||
                fail "$name: int8 strays by $own here, by $other in ONNX Runtime ($how)"
        done
    done
    # static, by each method, is checked before it is written
    for method in minmax percentile entropy; do
        expect 0 "" "$berth" convert -m "$trained/sst2-electra-small" --to onnx -o "$work/s.onnx" --quantize static \
            --calibration "$work/texts" --calibration-method $method --check
    done
    refused "not written" "$berth" convert -m "$trained/sst2-electra-small" --to onnx -o "$work/bad.onnx" --quantize static \
        --calibration "$work/texts" --calibration-method percentile --calibration-percentile 60 --check
    [ ! -e "$work/bad.onnx" ] || fail "a conversion that failed its check was written"
else
    echo "note: no ONNX Runtime or trained models: not compared"
fi
refused "static quantisation alone" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/x.onnx" --calibration-method entropy
refused "reads it twice" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/x.onnx" --quantize static --calibration /dev/null \
    --calibration-method entropy
finish
