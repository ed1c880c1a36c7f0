#!/usr/bin/env bash
# test_eval.sh: `berth eval` on the trained models: the published numbers of right answers, and the same metrics as a separate
# computation from what `berth predict` prints.
set -u
berth=${BERTH_BINARY:-build/berth}
shared=${BERTH_SHARED:-${BERTH_SOURCE:-.}/../shared}
dev=$shared/data/sst2/dev.tsv
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

skip() { echo "SKIP: test_eval: $1 is missing"; exit 77; }
fault() { echo "FAIL: $1"; failed=1; }
[ -x "$berth" ] || skip "$berth"
[ -r "$dev" ] || skip "$dev"
[ -d "$shared/golden/trained" ] || skip "$shared/golden/trained"

# Value of a key in one JSON object.
field() { sed -n "s/.*\"$2\": *\([^,}]*\).*/\1/p" "$1"; }

# near A B BOUND
near() { awk -v a="$1" -v b="$2" -v bound="$3" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d <= bound && -d <= bound) }'; }

# Right answers and mean loss from the labels in dev.tsv and the logits of predict.
recompute() {
    paste <(tail -n +2 "$dev" | cut -f 2) <(sed 's/.*"logits": *\[\([^]]*\)\].*/\1/; s/, */\t/g' "$1") |
        awk -F '\t' '
            { best = $3 > $2 ? 1 : 0; right += best == $1; high = $3 > $2 ? $3 : $2
              loss += high + log(exp($2 - high) + exp($3 - high)) - $($1 + 2) }
            END { printf "%d %d %.12f\n", NR, right, loss / NR }'
}

while read -r name right; do
    model=$shared/golden/trained/$name
    if ! "$berth" eval -m "$model" --task sst2 --data "$dev" --json >"$work/eval.json" 2>"$work/err"; then
        fault "$name: eval: $(cat "$work/err")"
        continue
    fi
    "$berth" predict -m "$model" -i "$dev" --input-format tsv --text-column sentence --format jsonl \
        >"$work/predict.jsonl" 2>"$work/err" || fault "$name: predict: $(cat "$work/err")"
    read -r examples counted loss < <(recompute "$work/predict.jsonl")
    [ "$examples" = 872 ] && [ "$(field "$work/eval.json" examples)" = 872 ] || fault "$name: not 872 examples"
    [ "$counted" = "$right" ] || fault "$name: predict is right $counted times, published $right"
    near "$(field "$work/eval.json" accuracy)" "$(awk "BEGIN { printf \"%.17g\", $right / 872 }")" 1e-12 ||
        fault "$name: accuracy $(field "$work/eval.json" accuracy), published $right of 872"
    near "$(field "$work/eval.json" loss)" "$loss" 1e-7 || # predict prints 9 digits of each logit
        fault "$name: loss $(field "$work/eval.json" loss), from predict $loss"
    # Negative control: the comparison notices a wrong value.
    near "$(field "$work/eval.json" loss)" "$(awk "BEGIN { print $loss + 1e-5 }")" 1e-7 && fault "near accepts a wrong loss"
    echo "$name: $right of 872, loss $loss"
done <<'MODELS'
sst2-bert-small 705
sst2-distilbert-small 710
sst2-electra-small 707
MODELS

model=$shared/golden/trained/sst2-bert-small
# refuse TEXT COMMAND...: exit 1, nothing on stdout, one line on stderr that holds TEXT.
refuse() {
    local text=$1
    shift
    "$@" >"$work/out" 2>"$work/err"
    local code=$?
    [ $code = 1 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] && grep -qF "$text" "$work/err" ||
        fault "$* gave $code: $(cat "$work/out" "$work/err")"
}
printf 'sentence\tlabel\nfine\t1\nodd\t7\n' >"$work/range.tsv"
printf 'sentence\tlabel\nfine\t1\nodd\n' >"$work/ragged.tsv"
printf 'sentence\tlabel\n' >"$work/empty.tsv"
refuse "range.tsv:3: label '7'" "$berth" eval -m "$model" --task sst2 --data "$work/range.tsv" --json
refuse "ragged.tsv:3: want 2 columns" "$berth" eval -m "$model" --task sst2 --data "$work/ragged.tsv" --json
refuse "empty.tsv: no examples" "$berth" eval -m "$model" --task sst2 --data "$work/empty.tsv" --json
refuse "labels are needed" "$berth" eval -m "$model" --task sst2 --data "$shared/data/sst2/test.tsv" --json
refuse "task mnli has 3 labels" "$berth" eval -m "$model" --task mnli --data "$dev" --json
refuse "task stsb is a regression" "$berth" eval -m "$model" --task stsb --data "$dev" --json
refuse "is a directory" "$berth" eval -m "$model" --task sst2 --data "$work" --json
exit $failed
