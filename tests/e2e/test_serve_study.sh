#!/usr/bin/env bash
# The study's client: /set_model, then /inference with texts of unequal lengths. The logits are predict's, digit for digit.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"

cp "$source_folder/examples/sentences.txt" "$work/texts"
cat >>"$work/texts" <<'END'
x

Été à Zürich: 東京 😀 naïve
a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a a
END
texts=$(wc -l <"$work/texts")
for i in 1 2 3 4; do cat "$work/texts"; done >"$work/many" # more than the server computes at a time
json_list "$work/many" >"$work/many.json"

models=(tiny=random:bert-tiny electra=random:electra-small,threads=1)
names=(tiny electra)
for name in bert-gelu-2 bert-multilabel4 bert-relu-reg1 distilbert-gelu-2 electra-gelu-2; do
    if [ -r "$shared/golden/models/$name/config.json" ]; then
        models+=("$name=$shared/golden/models/$name")
        names+=("$name")
    fi
done
flags=()
for model in "${models[@]}"; do flags+=(-m "$model"); done
start_server "${flags[@]}"

ask 200 '"ok"' "$url/health"
ask_wrong 409 "set_model" "$url/inference" -d '["too early"]'

for i in "${!names[@]}"; do
    name=${names[$i]} path=${models[$i]#*=}
    path=${path%%,*}
    for threads in 1 2; do
        ask 200 "Model set to $name" -X POST "$url/set_model?model_type=$name&use_onnx_quant=False&num_threads=$threads"
        ask 200 "\"model_path\": \"$path\"" "$url/inference" -H 'Content-Type: application/json' -d "@$work/many.json"
        predictions "$work/body" >"$work/served.$name"
    done
    "$berth" predict -q -m "$path" -i "$work/many" --format jsonl >"$work/predicted" || fail "predict -m $path"
    sed 's/.*"logits": *\(\[[^]]*\]\).*/\1/' "$work/predicted" | tr -d ' ' >"$work/logits"
    checks=$((checks + 1))
    [ "$(wc -l <"$work/logits")" -eq $((4 * texts)) ] || fail "$name: $(wc -l <"$work/logits") rows of logits"
    cmp "$work/logits" "$work/served.$name" || fail "$name: the server's logits are not predict's"
    longest=$(sed 's/.*"tokens": *\([0-9]*\).*/\1/' "$work/predicted" | sort -n | tail -1)
    grep -q "\"input_size\": $longest, " "$work/body" || fail "$name: input_size is not $longest: $(tail -c 200 "$work/body")"
    grep -Eq '"time": [0-9]+\.[0-9e-]+, ' "$work/body" || fail "$name: no time: $(tail -c 200 "$work/body")"
done
cmp -s "$work/served.tiny" "$work/served.electra" && fail "two models answer alike: the comparison proves nothing"

# each model also by its name, whatever was set; and what the study's client may send as a form
ask 200 '"predictions": [[' "$url/inference?model=tiny" -d '["x"]'
grep -q '"model_path": "random:bert-tiny"' "$work/body" || fail "?model= does not choose"
ask 200 "Model set to tiny" "$url/set_model" -d 'model_type=tiny' -d 'use_onnx_quant=False' -d 'num_threads=1'
ask 200 '"model_path": "random:bert-tiny"' "$url/inference" -d '["x"]'
ask 200 "Model set to tiny" -X POST "$url/set_model?model_type=tiny"
ask 200 "threads" -X POST "$url/set_model?model_type=tiny&num_threads=1000"

# at int8, answers are predict's at int8, to the bit; and back
ask 200 "Model set to tiny" -X POST "$url/set_model?model_type=tiny&use_onnx_quant=True&num_threads=1"
ask 200 '"predictions": [[' "$url/inference" -d '["a fine film"]'
want=$("$berth" predict -m random:bert-tiny --precision int8 --format jsonl "a fine film" | sed 's/.*"logits": \[\([^]]*\)\].*/\1/')
grep -qF "[[$want]]" "$work/body" || fail "int8 over HTTP is not predict's: $(cat "$work/body"), want $want"
ask 200 "Model set to tiny" -X POST "$url/set_model?model_type=tiny&use_onnx_quant=True"
ask 200 "Model set to tiny" -X POST "$url/set_model?model_type=tiny&use_onnx_quant=False"
ask 200 '"predictions": [[' "$url/inference" -d '["a fine film"]'
grep -qF "[[$want]]" "$work/body" && fail "fp32 after int8 answers as int8"

ask_wrong 400 'must include `model_type`' -X POST "$url/set_model"
ask_wrong 400 'must include `model_type`' -X POST "$url/set_model?model_type="
ask_wrong 404 "no model named 'nonsense'" -X POST "$url/set_model?model_type=nonsense"
ask_wrong 400 "use_onnx_quant" -X POST "$url/set_model?model_type=tiny&use_onnx_quant=perhaps"
for threads in 0 -1 1.5 1e2 99999999999999999999 x ''; do
    ask_wrong 400 "num_threads" -X POST "$url/set_model?model_type=tiny&num_threads=$threads"
done
ask_wrong 404 "no model named" "$url/inference?model=nonsense" -d '["x"]'
stop_server
finish
