#!/usr/bin/env bash
# Every protocol as its clients speak it: shapes, statuses, headers; and the same bits as `berth predict`, whatever is asked.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"
command -v node >/dev/null 2>&1 || { echo "SKIP: no node"; exit 77; }
model=bundled:sst2

cat >"$work/texts.jsonl" <<'END'
{"text": "a gripping, funny film"}
{"text": "the plot falls apart , and so did i"}
{"text": "is it good", "pair": "it is not"}
{"text": "\"quoted\" \u00e9 \ud83d\ude00 \u0000 \\ <b>"}
{"text": ""}
{"text": "it is", "pair": "a long walk through every cliche that the genre has to offer, and then some more"}
{"text": "x"}
END
for precision in fp32 int8; do
    name=sst2
    [ $precision = fp32 ] || name=q
    expect 0 "" "$berth" predict -m $model --precision $precision --input-format jsonl --format jsonl -i "$work/texts.jsonl"
    cp "$work/out" "$work/$name.jsonl"
done
expect 0 "" "$berth" tokenize -m $model --input-format jsonl -i "$work/texts.jsonl"
cp "$work/out" "$work/tokens.jsonl"

start_server -m sst2=$model -m q=$model,precision=int8 -m two=$model -m two=random:bert-tiny,version=2 --threads 1
checks=$((checks + 1))
node "$(dirname "$0")/protocols.mjs" "$url" "$work" || fail "protocols.mjs"

# the checker sees a wrong bit
checks=$((checks + 1))
sed -i '1s/"logits": \[-*[0-9]*/"logits": [7/' "$work/sst2.jsonl"
node "$(dirname "$0")/protocols.mjs" "$url" "$work" >"$work/out" 2>"$work/err" && fail "a wrong logit was not seen"
grep -q 'FAILED: sst2: logits' "$work/err" || fail "a wrong logit: $(head -3 "$work/err")"
stop_server
finish
