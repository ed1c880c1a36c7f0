#!/usr/bin/env bash
# The command line's contract: exit statuses, where output goes, formats, odd texts.
. "$(dirname "$0")/lib.sh"
model=random:bert-tiny

# usage
expect 2 "usage: berth" "$berth"
expect 2 "no verb 'nonsense'" "$berth" nonsense
expect 2 "not part of version" "$berth" finetune -m x
for verb in tokenize predict eval info serve bench; do
    expect 0 "" "$berth" $verb --help
    grep -q "usage: berth $verb" "$work/out" || fail "$verb --help"
    [ "$(awk 'length > 120' "$work/out" | wc -l)" -eq 0 ] || fail "$verb --help has lines beyond 120 columns"
    expect 0 "" "$berth" $verb --version
    expect 2 "unknown option" "$berth" $verb --nonsense
    [ ! -s "$work/out" ] || fail "$verb: usage errors belong on stderr"
done
expect 2 "no model" "$berth" predict hello
expect 2 "needs a value" "$berth" predict -m
expect 2 "not a valid" "$berth" predict -m $model --threads 0 x
expect 2 "not a valid" "$berth" predict -m $model --max-length -5 x
expect 2 "not from both" "$berth" predict -m $model -i f x
refused "unknown instruction set" "$berth" predict -m $model --isa sse x
refused "runtime cuda is not part of this version" "$berth" predict -m $model --runtime cuda x
refused "no such directory" "$berth" predict -m /nonexistent x
refused "no such architecture" "$berth" predict -m random:nonsense x
refused "bundled:sst2" "$berth" predict -m bundled:sst2 x

# formats
expect 0 "" "$berth" predict -m $model "one text" "another"
[ "$(grep -Ec '^\{"label": "LABEL_[01]", "score": 0\.[0-9]+, "scores": \[[^]]*\], "logits": \[[^]]*\], "tokens": [0-9]+\}$' "$work/out")" -eq 2 ] ||
    fail "jsonl: $(cat "$work/out")"
cp "$work/out" "$work/arguments"
printf 'one text\nanother' >"$work/texts"
expect 0 "" "$berth" predict -m $model -i "$work/texts" -o "$work/file.jsonl"
cmp -s "$work/file.jsonl" "$work/arguments" || fail "a file's texts and the arguments differ"
"$berth" predict -m $model <"$work/texts" 2>/dev/null | cmp -s - "$work/arguments" || fail "standard input and arguments differ"
printf '{"text": "one text"}\n{"other": 1, "text": "another"}\n' >"$work/texts.jsonl"
expect 0 "" "$berth" predict -m $model -i "$work/texts.jsonl" --input-format jsonl
cmp -s "$work/out" "$work/arguments" || fail "jsonl input differs"
printf 'id\tsentence\n1\tone text\n2\tanother\n' >"$work/texts.tsv"
expect 0 "" "$berth" predict -m $model -i "$work/texts.tsv" --input-format tsv --text-column sentence
cmp -s "$work/out" "$work/arguments" || fail "tsv input differs"
for format in table json tsv; do
    expect 0 "" "$berth" predict -m $model --format $format -i "$work/texts"
    grep -q LABEL_ "$work/out" || fail "--format $format"
done
expect 0 "" "$berth" predict -m $model --format json -i /dev/null
[ "$(cat "$work/out")" = "[]" ] || fail "no texts as json: $(cat "$work/out")"

# errors of the input name file and line, and leave no output file behind
printf '{"text": "fine"}\n{"text": 5}\n' >"$work/bad.jsonl"
expect 1 "bad.jsonl" "$berth" predict -m $model -i "$work/bad.jsonl" --input-format jsonl -o "$work/never"
grep -q "bad.jsonl:2:" "$work/err" || fail "the line is not named: $(cat "$work/err")"
[ ! -e "$work/never" ] || fail "a half-written output"
refused "$work" "$berth" predict -m $model -i "$work"
refused "missing" "$berth" predict -m $model -i "$work/missing"
if [ -w /dev/full ]; then
    "$berth" predict -m $model x >/dev/full 2>"$work/err"
    [ $? -eq 1 ] && grep -q "No space left" "$work/err" || fail "a full disk: $(cat "$work/err")"
fi
refused "cannot write beside it" "$berth" predict -m $model x -o /nonexistent/out

# odd texts
printf 'a\0b\n\xff\xfe\n\n\xf0\x9f\x98\x80 \xd8\xa7\xd9\x84\n' >"$work/odd"
expect 0 "" "$berth" predict -m $model -i "$work/odd"
[ "$(wc -l <"$work/out")" -eq 4 ] || fail "four odd texts: $(cat "$work/out")"
grep -qi nan "$work/out" && fail "NaN was printed"
head -c 50000000 /dev/zero | tr '\0' 'a' >"$work/large"
expect 0 "" "$berth" predict -m $model -i "$work/large"
yes "word after word" | tr '\n' ' ' | head -c 50000000 >"$work/large"
expect 0 "" "$berth" predict -m $model -i "$work/large"
grep -q '"tokens": 512, "truncated": true' "$work/out" || fail "a text of 50 MB: $(cat "$work/out")"
rm "$work/large"
"$berth" predict -m $model -i "$work/texts" | head -c 1 >/dev/null || fail "a closed pipe"

# tokenize
expect 0 "" "$berth" tokenize -m $model -i "$work/texts" --padding longest
[ "$(awk -F'"ids": ' '{split($2, a, "]"); print split(a[1], b, ",")}' "$work/out" | sort -u | wc -l)" -eq 1 ] || fail "--padding longest"
expect 0 "" "$berth" tokenize -m $model -i "$work/texts" --padding max --max-length 9
grep -q '"attention_mask": \[1, 1, 1, 1, [01], [01], 0, 0, 0\]\|"attention_mask": \[1, 1, [01], [01], [01], [01], [01], [01], 0\]' "$work/out" ||
    fail "--padding max: $(cat "$work/out")"
expect 0 "" "$berth" tokenize -m $model -i "$work/texts" --tokenizer-option add_special_tokens=false
grep -q 'CLS' "$work/out" && fail "add_special_tokens=false"
"$berth" tokenize -m $model -i "$work/texts" | "$berth" tokenize -m $model --decode | cmp -s - <(cat "$work/texts"; echo) || fail "--decode"
expect 2 "not a valid" "$berth" tokenize -m $model --tokenizer-option nonsense=true
mkdir "$work/vocab-only"
printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n' >"$work/vocab-only/vocab.txt"
echo "hello you" | "$berth" tokenize -m "$work/vocab-only" | grep -qF '"ids": [2, 4, 1, 3]' || fail "a folder with only a vocabulary"
printf '[PAD]\n[CLS]\n[SEP]\nhello\n' >"$work/vocab-only/vocab.txt"
refused "[UNK]" "$berth" tokenize -m "$work/vocab-only"

printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n' >"$work/vocab-only/vocab.txt"
echo '{"model_type": "bert", "position_embedding_type": "relative_key"}' >"$work/vocab-only/config.json"
expect 0 "relative_key" "$berth" tokenize -m "$work/vocab-only" --max-length 4000 -i "$work/texts"
refused "relative_key" "$berth" predict -m "$work/vocab-only" hello

# info
expect 0 "" "$berth" info -m $model --json
for key in architecture parameters layers hidden_size heads vocab_size labels precision isa threads; do
    grep -q "\"$key\":" "$work/out" || fail "info --json lacks $key"
done
expect 0 "" "$berth" info -m $model --plan --isa scalar
grep -q "layer 1 feed-forward out" "$work/out" && grep -q "^total" "$work/out" || fail "info --plan"

# threads and levels: the same label, and the same bits for any number of threads
"$berth" predict -m $model --threads 1 -i "$work/texts" >"$work/one"
"$berth" predict -m $model --threads 3 -i "$work/texts" | cmp -s - "$work/one" || fail "three threads answer differently"
finish
