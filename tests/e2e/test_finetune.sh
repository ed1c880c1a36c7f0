#!/usr/bin/env bash
# test_finetune.sh: `berth finetune` from outside: tasks end to end, the directory it writes, a run that is killed and
# resumed, and what it refuses. Where only a part runs: on the first lines of the data, and fewer steps.
source "$(dirname "$0")/lib.sh"
[ -r "$shared/data/glue/RTE/train.tsv" ] || { echo "SKIP: test_finetune: $shared/data/glue is missing"; exit 77; }

# value KEY FILE: of one JSON object a line, the last line's.
value() { sed -n "s/.*\"$1\": *\([^,}]*\).*/\1/p" "$2" | tail -1; }
same() { checks=$((checks + 1)); cmp -s "$1" "$2" || fail "$1 and $2 differ"; }
tiny="finetune -q -m random:bert-tiny --max-length 32 --batch-size 16 --logging-steps 1"

# --- every task of GLUE that the data hold, with the metric that decides -----------------------------
for row in CoLA:cola:matthews_correlation MRPC:mrpc:f1 RTE:rte:accuracy STS-B:stsb:pearson WNLI:wnli:accuracy; do
    IFS=: read -r folder task metric <<<"$row"
    for split in train dev; do
        head -n "$(part_of 1000000 301)" "$shared/data/glue/$folder/$split.tsv" >"$work/$split.tsv"
    done
    expect 0 "" "$berth" $tiny --task "$task" --train "$work/train.tsv" --dev "$work/dev.tsv" \
        --max-steps 6 -o "$work/$task"
    grep -q "^$metric " "$work/out" || fail "$task: no $metric: $(cat "$work/out")"
    expect 0 "" "$berth" eval -q -m "$work/$task" --max-length 32 --task "$task" --data "$work/dev.tsv" --json
    for key in loss "$metric"; do
        awk -v a="$(value $key "$work/out")" -v b="$(value $key "$work/$task/eval_results.json")" \
            'BEGIN { exit !(a != "" && (a == b || (a - b < 2e-5 && b - a < 2e-5))) }' ||
            fail "$task: $key is $(value $key "$work/out") by eval, $(value $key "$work/$task/eval_results.json") by training"
    done
done
ls "$work/rte" | tr '\n' ' ' >"$work/list"
grep -qx "config.json eval_log.jsonl eval_results.json model.safetensors special_tokens_map.json tokenizer_config.json train_log.jsonl training.svg vocab.txt " \
    "$work/list" || fail "the directory holds: $(cat "$work/list")"
[ "$(wc -l <"$work/rte/train_log.jsonl")" -eq 6 ] || fail "train_log.jsonl has not a line a step"
grep -q '"problem_type": "regression"' "$work/stsb/config.json" || fail "stsb is no regression"
grep -q '"1": "not_entailment"' "$work/rte/config.json" || fail "rte's labels are not named"

# --- MNLI, with both of its dev files ----------------------------------------------------------------
{ printf 'sentence1\tsentence2\tgold_label\n'
  for label in entailment neutral contradiction; do printf 'He sleeps.\tHe is %s.\t%s\n' $label $label; done; } >"$work/mnli.tsv"
{ head -1 "$work/mnli.tsv"; sed -n '2,3p;2p' "$work/mnli.tsv"; } >"$work/mm.tsv"
expect 0 "" "$berth" $tiny --task mnli --train "$work/mnli.tsv" --dev "$work/mnli.tsv" --dev-mismatched "$work/mm.tsv" --max-steps 2 -o "$work/mnli"
grep -q '^mismatched accuracy ' "$work/out" || fail "mnli: nothing mismatched: $(cat "$work/out")"
grep -q '"examples": 3' "$work/mnli/eval_results_mm.json" || fail "mnli: $(cat "$work/mnli/eval_results_mm.json")"
grep -q '"2": "contradiction"' "$work/mnli/config.json" || fail "mnli's labels are not named"
expect 2 "is for the training of mnli" "$berth" $tiny --task rte --train x --dev-mismatched x -o "$work/x"

# --- csv, jsonl, from a checkpoint, seeds -----------------------------------------------------------
printf 'text,label\n"good, fine",praise\nbad,blame\nawful,blame\nlovely,praise\n' >"$work/a.csv"
expect 0 "" "$berth" $tiny --task csv --train "$work/a.csv" --max-steps 3 -o "$work/csv"
grep -q '"0": "blame"' "$work/csv/config.json" || fail "csv: labels are not those of the data"
printf '{"text": "good", "label": [1, 0, 1]}\n{"text": "bad", "pair": "very", "label": [0, 1, 0]}\n' >"$work/sets.jsonl"
expect 0 "" "$berth" $tiny --task jsonl --train "$work/sets.jsonl" --dev "$work/sets.jsonl" --max-steps 3 --seeds 2 -o "$work/sets"
grep -q multi_label "$work/sets/config.json" || fail "jsonl: lists make no multi-label model"
grep -q '^deviation' "$work/out" || fail "seeds: no deviation: $(cat "$work/out")"
expect 0 "" "$berth" $tiny -m "$work/csv" --task csv --train "$work/a.csv" --max-steps 2 --class-weights balanced \
    --gradient-accumulation-steps 2 --lr-scheduler cosine --group-by-length --layer-decay 0.9 --freeze-layers 1 -o "$work/again"
expect 0 "" "$berth" predict -q -m "$work/again" "a fine film"

# --- a teacher: its own labels reached without the data's, other labels refused ----------------------
expect 0 "" "$berth" $tiny --task csv --train "$work/a.csv" --max-steps 40 --learning-rate 1e-3 -o "$work/teacher"
printf 'text,label\n"good, fine",blame\nbad,praise\nawful,praise\nlovely,blame\n' >"$work/contrary.csv"
expect 0 "" "$berth" $tiny --task csv --train "$work/contrary.csv" --dev "$work/a.csv" --max-steps 60 --learning-rate 1e-3 \
    --teacher "$work/teacher" --distill-alpha 1 -o "$work/student"
grep -q "^accuracy  *1.0" "$work/out" || fail "a student of alpha 1 does not follow its teacher: $(cat "$work/out")"
refused "teacher $work/rte has no label 'blame'" "$berth" $tiny --task csv --train "$work/a.csv" --teacher "$work/rte" -o "$work/x"
refused "multi_label" "$berth" $tiny --task csv --train "$work/a.csv" --teacher "$work/sets" -o "$work/x"
# two teachers that say the opposite: their mean logits say nothing, so the loss of alpha 1 is that of even odds
expect 0 "" "$berth" $tiny --task csv --train "$work/contrary.csv" --max-steps 40 --learning-rate 1e-3 -o "$work/opposed"
expect 0 "" "$berth" $tiny -m "$work/teacher" --task csv --train "$work/a.csv" --dev "$work/a.csv" --max-steps 60 --learning-rate 1e-3 \
    --teacher "$work/teacher" --teacher "$work/opposed" --distill-alpha 1 -o "$work/student"
awk -v loss="$(value loss "$work/student/eval_results.json")" 'BEGIN { exit !(loss > 0.6 && loss < 0.8) }' ||
    fail "two opposed teachers do not leave even odds: $(cat "$work/student/eval_results.json")"
# hidden states: learnt from a teacher of the same width, and of no other
hidden="$tiny --task csv --train $work/a.csv --learning-rate 1e-3 --hidden-dropout 0 --attention-dropout 0 --classifier-dropout 0 --distill-hidden 1"
expect 0 "" "$berth" $hidden --max-steps 60 --seed 5 --teacher "$work/teacher" -o "$work/hidden"
awk -F'"loss": *|,"learning' 'NR == 1 { a = $2 } { b = $2 } END { exit !(b < a / 4) }' "$work/hidden/train_log.jsonl" ||
    fail "hidden states are not learnt: $(sed -n '1p;$p' "$work/hidden/train_log.jsonl")"
refused "needs the same; leave it out" "$berth" $hidden -m random:bert-mini --max-steps 2 --teacher "$work/teacher" -o "$work/x"
refused "from one teacher" "$berth" $hidden --max-steps 2 --teacher "$work/teacher" --teacher "$work/opposed" -o "$work/x"

# --- pre-training on lines of text, then fine-tuning from that --------------------------------------
head -n "$(part_of 1000000 101)" "$shared/data/sst2/dev.tsv" | cut -f 1 >"$work/lines.txt"
expect 0 "" "$berth" $tiny --objective mlm --train "$work/lines.txt" --dev "$work/lines.txt" --max-steps 4 -o "$work/mlm"
grep -q "^perplexity" "$work/out" || fail "mlm: no perplexity: $(cat "$work/out")"
grep -q BertForMaskedLM "$work/mlm/config.json" || fail "mlm: not a BertForMaskedLM"
expect 0 "" "$berth" $tiny -m "$work/mlm" --objective mlm --train "$work/lines.txt" --max-steps 2 -o "$work/mlm-on"
expect 0 "" "$berth" $tiny -m "$work/mlm" --task csv --train "$work/a.csv" --max-steps 2 --precision bf16 -o "$work/from-mlm"
expect 0 "" "$berth" predict -q -m "$work/from-mlm" "a fine film"
refused "unknown objective" "$berth" $tiny --objective guess --train "$work/lines.txt" -o "$work/x"

# --- the same command gives the same bits, killed and resumed too -----------------------------------
head -n "$(part_of 600 240)" "$shared/data/sst2/train.tsv" >"$work/train.tsv"
head -n "$(part_of 1000000 101)" "$shared/data/sst2/dev.tsv" >"$work/dev.tsv"
run="$tiny --task sst2 --train $work/train.tsv --dev $work/dev.tsv --epochs 2 --eval-steps $(part_of 30 12) --save-steps 7 --word-dropout 0.1"
expect 0 "" "$berth" $run -o "$work/whole"
for pause in 0.4 0.7 0.5; do
    { timeout -s KILL $pause "$berth" $run -o "$work/parts" --resume; } >/dev/null 2>&1
done
expect 0 "" "$berth" $run -o "$work/parts" --resume
same "$work/whole/model.safetensors" "$work/parts/model.safetensors"
sed 's/,"examples_per_second.*//' "$work/whole/train_log.jsonl" >"$work/log.whole"
sed 's/,"examples_per_second.*//' "$work/parts/train_log.jsonl" >"$work/log.parts"
same "$work/log.whole" "$work/log.parts"
same "$work/whole/eval_log.jsonl" "$work/parts/eval_log.jsonl"
same <(ls "$work/whole") <(ls "$work/parts")
expect 0 "" "$berth" $run -t 1 -o "$work/one"
same "$work/whole/model.safetensors" "$work/one/model.safetensors"
roomy="finetune -q -m random:bert-mini --max-length 32 --task sst2 --train $work/train.tsv --max-steps 2 --batch-size 32"
expect 0 "" "$berth" $roomy -o "$work/roomy"
expect 0 "" "$berth" $roomy --activation-memory 60M -o "$work/tight"
grep -q "^recomputed layers *[12]$" "$work/out" || fail "no layer was computed again: $(cat "$work/out")"
same "$work/roomy/model.safetensors" "$work/tight/model.safetensors"
refused "bytes even when all layers but one" "$berth" $tiny --task csv --train "$work/a.csv" --activation-memory 10K -o "$work/x"
expect 2 "not a valid SIZE" "$berth" $tiny --task csv --train "$work/a.csv" --activation-memory 10X -o "$work/x"
expect 0 "" "$berth" $run --seed 2 -o "$work/other"
checks=$((checks + 1))
cmp -s "$work/whole/model.safetensors" "$work/other/model.safetensors" && fail "another seed gives the same weights"

# --- refusals ---------------------------------------------------------------------------------------
for way in "--runtime onnxruntime" "--precision int8" "--precision fp16" "--precision fp8"; do
    refused "${way#--* }" "$berth" $tiny --task csv --train "$work/a.csv" $way -o "$work/x"
done
tiny="$tiny --max-steps 2 -o $work/refused"
refused_data() { # WORDS TASK LINE...
    local words=$1 task=$2
    shift 2
    printf '%s\n' "$@" >"$work/bad"
    refused "$words" "$berth" $tiny --task "$task" --train "$work/bad"
}
refused_data "bad:2: label '2' is not" sst2 $'sentence\tlabel' $'fine\t2'
refused_data "bad:3: the text is empty" sst2 $'sentence\tlabel' $'fine\t1' $' \t0'
refused_data "no column 'label'" sst2 $'sentence\tother' $'fine\t1'
refused_data "no examples" sst2 $'sentence\tlabel'
refused_data "'input_ids' holds 99999" jsonl '{"input_ids": [1, 99999], "label": 0}'
refused_data "'input_ids' must be a list" jsonl '{"input_ids": [], "label": 0}'
refused_data "no 'label'" jsonl '{"input_ids": [1]}'
refused "task stsb is a regression" "$berth" $tiny -m "$work/rte" --task stsb --train "$shared/data/glue/STS-B/train.tsv"
refused "task cola has 2 labels" "$berth" $tiny -m "$work/sets" --task cola --train "$shared/data/glue/CoLA/train.tsv"
refused "learning rate" "$berth" $tiny --task csv --train "$work/a.csv" --learning-rate 0
refused "unknown schedule" "$berth" $tiny --task csv --train "$work/a.csv" --lr-scheduler steps
"$berth" $run --epochs 50 -o "$work/stale" >/dev/null 2>&1 &
for i in $(seq 600); do # until its first state lies there, however slow this machine is
    [ -e "$work/stale/resume.safetensors" ] && break
    sleep 0.1
done
{ kill -KILL $! && wait $!; } 2>/dev/null
refused "other options" "$berth" $run --epochs 40 -o "$work/stale" --resume
refused "cannot make" "$berth" $tiny --task csv --train "$work/a.csv" -o "$work/a.csv/x"
printf 'text,label\nfine,1e160\nbad,0.5\n' >"$work/huge.csv"
refused "diverged" "$berth" $tiny --task csv --train "$work/huge.csv"
# a full disk: the old weights stay, whole, and nothing half-written does
cp "$work/csv/model.safetensors" "$work/before"
(trap '' XFSZ && ulimit -f 400 && "$berth" $tiny --task csv --train "$work/a.csv" -o "$work/csv" >"$work/out" 2>"$work/err") && fail "wrote to a full disk"
grep -q "cannot write" "$work/err" || fail "full disk: $(cat "$work/err")"
same "$work/before" "$work/csv/model.safetensors"
checks=$((checks + 1))
[ "$(ls -A "$work/csv" | grep -c tmp)" -eq 0 ] || fail "left behind: $(ls -A "$work/csv")"
expect 2 "are needed" "$berth" finetune -m random:bert-tiny
finish
