#!/usr/bin/env bash
# The command line's contract: exit statuses, where output goes, formats, odd texts.
. "$(dirname "$0")/lib.sh"
model=random:bert-tiny

# usage
expect 2 "usage: berth" "$berth"
expect 2 "no verb 'nonsense'" "$berth" nonsense
for verb in tokenize predict eval info serve bench convert finetune vocab pull quantize demo report export compare recommend; do
    expect 0 "" "$berth" $verb --help
    grep -q "usage: berth $verb" "$work/out" || fail "$verb --help"
    [ "$(awk 'length > 100' "$work/out" | wc -l)" -eq 0 ] || fail "$verb --help has lines beyond 100 columns"
    for option in $(grep -oE -- '--[a-z][a-z0-9-]*' "$work/out" | sort -u); do # the manual page knows it too
        sed 's/\\-/-/g' "$source_folder/docs/man/berth.1" | grep -qF -e "fB$option\\f" || fail "$option of $verb is not in the manual page"
    done
    if [ -w /dev/full ]; then
        "$berth" $verb --help >/dev/full 2>"$work/err"
        [ $? -eq 1 ] && grep -q "No space left" "$work/err" || fail "$verb --help on a full disk: $(cat "$work/err")"
    fi
    expect 0 "" "$berth" $verb --version
    expect 2 "unknown option" "$berth" $verb --nonsense
    [ ! -s "$work/out" ] || fail "$verb: usage errors belong on stderr"
done
expect 2 "no model" "$berth" predict hello
expect 2 "needs a value" "$berth" predict -m
expect 2 "not a valid" "$berth" predict -m $model --threads 0 x
expect 2 "not a valid" "$berth" predict -m $model --max-length -5 x
expect 2 "not from both" "$berth" predict -m $model -i f x
expect 2 "'sse' is not a valid LEVEL: never above scalar, avx2, avx512, vnni or amx" "$berth" predict -m $model --isa sse x
expect 2 "'nonsense' is not a valid T: cola sst2" "$berth" eval -m $model --task nonsense --data x
for task in cola sst2 mrpc stsb qqp mnli qnli rte wnli csv jsonl; do
    refused "" "$berth" eval -m $model --task $task --data /nonexistent
done
expect 2 "'xml' is not a valid F: text" "$berth" predict -m $model --input-format xml x
refused "no such directory" "$berth" predict -m /nonexistent x
refused "no such architecture" "$berth" predict -m random:nonsense x
refused "no such architecture" "$berth" tokenize -m random:nonsense
refused 'berth pull google/no-such-model' "$berth" predict -m google/no-such-model x
expect 2 "not a valid" "$berth" predict -m $model --precision fp64 x
expect 2 "a model has no option 'replicas'; it has precision" "$berth" serve -m a=$model,replicas=2
expect 2 "'0' is not a valid threads" "$berth" serve -m a=$model,threads=0
expect 2 "'' is not a valid isa of a model, which is scalar, avx2" "$berth" serve -m a=$model,isa
expect 2 "'0' is not a valid threads of a model, which is a number" "$berth" serve -m a=$model,isa=avx2,threads=0
mkdir -p "$work/a,threads=0/b,c"
refused "$work/a,threads=0/b,c/config.json: " "$berth" serve -m "a=$work/a,threads=0/b,c,threads=1"
refused "model name 'b,c'" "$berth" serve -m "$work/a,threads=0/b,c"
expect 2 "a model has no option 'c'" "$berth" serve -m "a=$work/a,c"
expect 2 "a name and a model are needed" "$berth" serve -m =x
expect 2 "two models are named 'a'" "$berth" serve -m a=$model -m a=$model
refused "bundled:other: no such model comes with berth" "$berth" predict -m bundled:other x

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
printf 'fine\n\nfine\n' >"$work/no-tokens"
expect 1 "no-tokens:2: " "$berth" predict -m $model --tokenizer-option add_special_tokens=false -i "$work/no-tokens"
[ "$(wc -l <"$work/out")" -eq 1 ] || fail "what came before the line at fault is answered: $(cat "$work/out")"
expect 1 "standard input:2: " bash -c '"$@" <"$0"' "$work/no-tokens" "$berth" predict -m $model --tokenizer-option add_special_tokens=false

# a signal leaves no beginning of an output behind
for signal in TERM INT HUP; do
    mkfifo "$work/slow"
    env --default-signal=INT "$berth" predict -m $model -i "$work/slow" -o "$work/late" 2>/dev/null &
    writer=$!
    exec 4>"$work/slow"
    echo "a text" >&4
    for _ in $(seq 200); do
        compgen -G "$work/late.part-*" >/dev/null && break
        sleep 0.05
    done
    checks=$((checks + 1))
    compgen -G "$work/late.part-*" >/dev/null || fail "the output is not written beside its place"
    kill -$signal $writer
    exec 4>&-
    wait $writer 2>/dev/null
    [ $? -ge 128 ] || fail "SIG$signal did not end predict"
    compgen -G "$work/late*" >/dev/null && fail "left behind by SIG$signal: $(ls "$work")"
    rm "$work/slow"
done
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
for precision in fp32 int8; do
    expect 0 "" "$berth" info -m random:bert-base --plan --precision $precision
    [ "$(sed -n '/^step/,/^total/p' "$work/out" | awk '{print length}' | sort -u | wc -l)" -eq 1 ] || fail "columns of info --plan: $(cat "$work/out")"
done

# many arguments are answered as each alone, in order
words=$(seq -f 'word%g' 1 600)
"$berth" predict -m $model $words >"$work/many"
[ "$(wc -l <"$work/many")" -eq 600 ] || fail "600 arguments: $(wc -l <"$work/many") answers"
for word in 1 512 513 600; do
    "$berth" predict -m $model "word$word" | cmp -s - <(sed -n "${word}p" "$work/many") || fail "argument $word differs from itself alone"
done
cmp -s <(sed -n 1p "$work/many") <(sed -n 600p "$work/many") && fail "all answers are one"

# decoding names the file and line of what it cannot read
printf '[2, 3]\n[2, "x"]\n' >"$work/ids"
expect 1 "ids:2: a JSON list of token ids" "$berth" tokenize -m $model --decode -i "$work/ids"
echo '[99999]' >"$work/ids"
expect 1 "ids:1: token id 99999" "$berth" tokenize -m $model --decode -i "$work/ids"
"$berth" tokenize -m $model -i "$work/texts" | head -c 1 >/dev/null || fail "a closed pipe of tokenize"

# a text longer than a random model's limit is cut alike by tokenize and predict
yes film | head -n 600 | tr '\n' ' ' >"$work/long"
[ "$("$berth" tokenize -m $model -i "$work/long" | grep -o '"\[CLS\]"\|"film"\|"\[SEP\]"' | wc -l)" -eq 512 ] || fail "the preset's limit in tokenize"

# names of labels are a model's own words: on a line of their own they stay there
if [ -d "$shared/golden/models/bert-gelu-2" ]; then
    cp -r "$shared/golden/models/bert-gelu-2" "$work/labels"
    chmod -R u+w "$work/labels"
    tr -d '\n' <"$shared/golden/models/bert-gelu-2/config.json" | # any labels it has go, then come ours
        sed 's/"id2label": *{[^}]*},//; s/"label2id": *{[^}]*},//; s/^{/{"id2label": {"0": "a\\tb\\u001b[2J", "1": "a\\tb\\u001b[2J"},/' \
            >"$work/labels/config.json"
    for format in tsv table; do
        expect 0 "" "$berth" predict -m "$work/labels" --format $format x
        grep -q "a b" "$work/out" || fail "--format $format lacks the label: $(cat "$work/out")"
        grep -q "$(printf '\033')" "$work/out" && fail "--format $format lets a label drive the terminal"
    done
    expect 0 "" "$berth" predict -m "$work/labels" --format tsv x
    [ "$(awk -F'\t' 'NF != 3' "$work/out" | wc -l)" -eq 0 ] || fail "a tab in a label: $(cat "$work/out")"
fi

# threads and levels: the same label, and the same bits for any number of threads
"$berth" predict -m $model --threads 1 -i "$work/texts" >"$work/one"
"$berth" predict -m $model --threads 3 -i "$work/texts" | cmp -s - "$work/one" || fail "three threads answer differently"
finish
