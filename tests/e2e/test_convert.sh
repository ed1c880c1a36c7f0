#!/usr/bin/env bash
# test_convert.sh: `berth convert` from outside: files that come back through -m FILE.onnx with the same answers, ONNX Runtime as the
# judge where there is one (BERTH_ORT_LIBRARY), and refusals in one sentence that leave nothing behind.
. "$(dirname "$0")/lib.sh"
models=$shared/golden/models
[ -d "$models" ] || { echo "SKIP: test_convert: $models is missing"; exit 77; }
if [ -z "${BERTH_ORT_LIBRARY:-}" ]; then # what scripts/peers fetched
    BERTH_ORT_LIBRARY=$(find "$source_folder/build/peers/node_modules" -name 'libonnxruntime.so.1' -path '*linux/x64*' -print -quit 2>/dev/null)
    export BERTH_ORT_LIBRARY
fi
texts="a witty film
the plot is thin, the jokes are older than the actors and still: not bad"

printf '%s\n' "$texts" >"$work/texts"

# A folder with a model's configuration and vocabulary, to convert into.
folder_of() {
    rm -rf "$work/to"
    mkdir "$work/to"
    for file in config.json vocab.txt tokenizer.json tokenizer_config.json special_tokens_map.json; do
        [ ! -e "$1/$file" ] || cp "$1/$file" "$work/to/"
    done
}

# same_answers MODEL: MODEL and $work/to/m.onnx give the same bytes for the same texts.
same_answers() {
    checks=$((checks + 1))
    "$berth" predict -m "$1" --format jsonl <<<"$texts" >"$work/a" 2>"$work/err" || fail "predict -m $1: $(cat "$work/err")"
    "$berth" predict -m "$work/to/m.onnx" --format jsonl <<<"$texts" >"$work/b" 2>"$work/err" ||
        fail "predict of $1 as ONNX: $(cat "$work/err")"
    cmp -s "$work/a" "$work/b" || fail "$1 answers otherwise as ONNX ($2)"
}

for name in bert-gelu-2 bert-gelunew-3 bert-bf16 bert-multilabel4 distilbert-relu-3 electra-gelu-2 electra-reg1; do
    folder_of "$models/$name"
    for form in "" "--opset 13" "--optimize" "--optimize --target onnxruntime"; do
        # shellcheck disable=SC2086
        expect 0 "" "$berth" convert -m "$models/$name" --to onnx -o "$work/to/m.onnx" $form
        same_answers "$models/$name" "$form"
    done
done

# The file as -m serves the other verbs; tokenising needs no weights.
expect 0 "" "$berth" info -m "$work/to/m.onnx" --json
expect 0 "" "$berth" tokenize -m "$work/to/m.onnx" -i "$work/a"

# int8: a fifth of the size at most, and the file still opens.
big=$(stat -c %s "$work/to/m.onnx")
expect 0 "" "$berth" convert -m "$models/electra-reg1" --to onnx -o "$work/to/m.onnx" --quantize dynamic
[ "$(stat -c %s "$work/to/m.onnx")" -lt "$big" ] || fail "int8 is not smaller"
expect 0 "" "$berth" predict -m "$work/to/m.onnx" "a text"
expect 0 "" "$berth" convert -m "$models/electra-reg1" --to onnx -o "$work/to/m.onnx" --quantize static --calibration "$work/texts"
expect 0 "" "$berth" predict -m "$work/to/m.onnx" "a text"
refused "go together" "$berth" convert -m "$models/electra-reg1" --to onnx -o "$work/to/m.onnx" --quantize static
: >"$work/empty.txt"
refused "no texts" "$berth" convert -m "$models/electra-reg1" --to onnx -o "$work/to/m.onnx" --quantize static --calibration "$work/empty.txt"

# A model directory: from a directory in an older form, from an ONNX file, from a random model.
for name in bert-f16 bert-legacy-gamma-beta distilbert-reg1-f16 electra-reg1; do
    expect 0 "" "$berth" convert -m "$models/$name" --to safetensors -o "$work/dir"
    "$berth" predict -m "$models/$name" --format jsonl <<<"$texts" >"$work/a"
    "$berth" predict -m "$work/dir" --format jsonl <<<"$texts" >"$work/b"
    cmp -s "$work/a" "$work/b" || fail "$name answers otherwise as safetensors"
    "$berth" convert -m "$work/dir" --to onnx -o "$work/dir/m.onnx" -q || fail "convert $name twice"
    expect 0 "" "$berth" convert -m "$work/dir/m.onnx" --to safetensors -o "$work/dir2"
    "$berth" predict -m "$work/dir2" --format jsonl <<<"$texts" >"$work/b"
    cmp -s "$work/a" "$work/b" || fail "$name answers otherwise by way of ONNX"
    rm -rf "$work/dir" "$work/dir2"
done
expect 0 "" "$berth" convert -m random:electra-small --to safetensors -o "$work/dir"
"$berth" predict -m random:electra-small --format jsonl <<<"$texts" >"$work/a"
"$berth" predict -m "$work/dir" --format jsonl <<<"$texts" >"$work/b"
[ "$(grep -o '"logits.*' "$work/a")" = "$(grep -o '"logits.*' "$work/b")" ] || fail "a random model answers otherwise as safetensors"
refused "for ONNX alone" "$berth" convert -m random:bert-tiny --to safetensors -o "$work/dir" --optimize
refused "is not a directory" "$berth" convert -m random:bert-tiny --to safetensors -o "$work/a"

# A failure leaves the old file as it was, and nothing beside it.
before=$(md5sum <"$work/to/m.onnx")
refused "no classifier" "$berth" convert -m "$models/bert-pretraining" --to onnx -o "$work/to/m.onnx"
refused "opset 12" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/to/m.onnx" --opset 12
refused "optimisation alone" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/to/m.onnx" --target onnxruntime
refused "no such directory" "$berth" convert -m "$work/nothing" --to onnx -o "$work/to/m.onnx"
refused "there is no such file" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/to/m.onnx" --check \
    --ort-library "$work/nothing.so"
echo "no library" >"$work/text.so"
refused "cannot be loaded" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/to/m.onnx" --check --ort-library "$work/text.so"
libc=$(ldconfig -p 2>/dev/null | awk '/libm\.so\.6/ { print $NF; exit }')
[ -z "$libc" ] || refused "not ONNX Runtime" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/to/m.onnx" --check \
    --ort-library "$libc"
[ "$before" = "$(md5sum <"$work/to/m.onnx")" ] || fail "a failed conversion changed its output"
[ "$(find "$work/to" -name '*part*' | wc -l)" -eq 0 ] || fail "a failed conversion left a part behind"
refused "there is no such file" env BERTH_ORT_LIBRARY="$work/nothing.so" "$berth" predict -m "$models/bert-gelu-2" --runtime onnxruntime x
refused "is ONNX Runtime's" "$berth" predict -m "$models/bert-gelu-2" --ort-optimization none x
expect 2 "not a valid HOW" "$berth" predict -m "$models/bert-gelu-2" --ort-optimization most x
expect 2 "needed" "$berth" convert -m "$models/bert-gelu-2" --to onnx
expect 2 "not a valid FORMAT" "$berth" convert -m "$models/bert-gelu-2" --to tensorflow -o "$work/x"
expect 2 "not a valid HOW" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/x" --quantize never
refused "cannot write" "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/nothing/m.onnx"

# Files that are no encoder, or another's.
folder_of "$models/bert-gelu-2"
refused "no such file" "$berth" predict -m "$work/to/absent.onnx" "a text"
echo "this is no model" >"$work/to/m.onnx"
refused "no ONNX file" "$berth" predict -m "$work/to/m.onnx" "a text"
"$berth" convert -m "$models/distilbert-gelu-2" --to onnx -o "$work/to/m.onnx" >/dev/null || fail "convert distilbert"
refused "does not fit" "$berth" predict -m "$work/to/m.onnx" "a text"
head -c 5000 "$work/to/m.onnx" >"$work/to/cut.onnx"
refused "breaks off" "$berth" predict -m "$work/to/cut.onnx" "a text"

# ONNX Runtime agrees.
if [ -n "${BERTH_ORT_LIBRARY:-}" ] && [ -r "$BERTH_ORT_LIBRARY" ]; then
    for name in bert-gelu-2 bert-relu-reg1 distilbert-gelu-2 electra-noproj-gelunew-3; do
        folder_of "$models/$name"
        for form in "" "--opset 13" "--opset 18 --optimize" "--optimize --target onnxruntime" "--quantize dynamic" \
            "--quantize dynamic --optimize --target onnxruntime" "--quantize static --calibration $work/texts" \
            "--opset 13 --optimize --quantize static --calibration $work/texts"; do
            # shellcheck disable=SC2086
            expect 0 "" "$berth" convert -m "$models/$name" --to onnx -o "$work/to/m.onnx" --check --json $form
            grep -q '"largest_difference"' "$work/out" || fail "no difference is told for $name $form"
        done
    done
    # As a runtime of its own: the same logits from text on, near fp32's.
    for form in "-m $models/bert-gelu-2" "-m $work/to/m.onnx"; do
        [ "$form" = "-m $models/bert-gelu-2" ] || folder_of "$models/bert-gelu-2"
        "$berth" convert -m "$models/bert-gelu-2" --to onnx -o "$work/to/m.onnx" -q || fail "convert bert-gelu-2"
        # shellcheck disable=SC2086
        "$berth" predict $form --format jsonl <<<"$texts" >"$work/a"
        # shellcheck disable=SC2086
        expect 0 "" "$berth" predict $form --runtime onnxruntime --ort-library "$BERTH_ORT_LIBRARY" --format jsonl -i "$work/texts"
        paste <(grep -o '"logits.*' "$work/a" | tr -c '0-9.e\n-' ' ') <(grep -o '"logits.*' "$work/out" | tr -c '0-9.e\n-' ' ') |
            awk '{ n = NF / 2; for (i = 1; i <= n; i++) { d = $i - $(i + n); if (d > 1e-4 || d < -1e-4) bad++; seen++ } }
                 END { exit !(seen > 0 && !bad) }' || fail "ONNX Runtime answers otherwise: $form"
    done
    refused "leave --precision out" "$berth" predict -m "$work/to/m.onnx" --runtime onnxruntime --precision int8 x
    refused "berth's own" "$berth" predict -m "$models/bert-gelu-2" --runtime onnxruntime --precision bf16 x
    expect 0 "" "$berth" predict -m "$models/bert-gelu-2" --runtime onnxruntime --precision int8 x
    # The three graphs of one model, and a file's two.
    for how in none runtime fused; do
        for precision in fp32 int8; do
            expect 0 "" "$berth" predict -m "$models/bert-gelu-2" --runtime onnxruntime --precision $precision --ort-optimization $how x
        done
        expect 0 "" "$berth" info -m "$models/bert-gelu-2" --runtime onnxruntime --ort-optimization $how --json
        grep -q "\"optimization\": \"$how\"" "$work/out" || fail "info does not tell optimization $how"
    done
    expect 0 "" "$berth" predict -m "$work/to/m.onnx" --runtime onnxruntime --ort-optimization none x
    refused "operators it has" "$berth" predict -m "$work/to/m.onnx" --runtime onnxruntime --ort-optimization fused x
    expect 0 "" "$berth" bench -m random:bert-tiny --runtime onnxruntime --trials 3 --length 16 --json
    expect 0 "" "$berth" bench -m random:bert-tiny --runtime onnxruntime --precision int8 --trials 3 --length 16 --batch 4 --json
    grep -q '"status": "ok"' "$work/out" || fail "a batch in ONNX Runtime is not timed"
    grep -q '"runtime": "onnxruntime"' "$work/out" || fail "bench does not name the runtime"
else
    echo "note: without ONNX Runtime (BERTH_ORT_LIBRARY, or scripts/peers) no exported file was run in ONNX Runtime"
fi
# weights of another element type: half the bytes, read back, the same labels
expect 0 "" "$berth" convert -m random:bert-tiny --to safetensors -o "$work/whole"
expect 0 "" "$berth" convert -m "$work/whole" --to safetensors --weights f16 -o "$work/half"
checks=$((checks + 1))
[ "$(stat -c %s "$work/half/model.safetensors")" -lt "$(($(stat -c %s "$work/whole/model.safetensors") * 51 / 100))" ] || fail "f16 takes more than half"
grep -q '"torch_dtype": "float16"' "$work/half/config.json" || fail "config.json does not tell the element type"
expect 0 "" "$berth" predict -q -m "$work/half" "a fine film"
refused "for safetensors alone" "$berth" convert -m random:bert-tiny --to onnx --weights f16 -o "$work/x.onnx"
finish
