#!/usr/bin/env bash
# berth vocab: the command line's contract: layouts, determinism, what the tokenizer makes of the result, bad input.
. "$(dirname "$0")/lib.sh"

# usage
expect 2 "--corpus FILE and --size N are needed" "$berth" vocab
expect 2 "--corpus FILE and --size N are needed" "$berth" vocab --corpus f
expect 2 "not a valid" "$berth" vocab --corpus f --size 0
expect 2 "not a valid" "$berth" vocab --corpus f --size many
expect 2 "unexpected argument" "$berth" vocab --corpus f --size 9 more
expect 2 "not a valid" "$berth" vocab --corpus f --size 9 --tokenizer-option do_lower_case=perhaps

# by hand (tests/unit/text/test_vocab_train.c derives it)
printf 'abab abc\nAbab abc\nabab\n' >"$work/small"
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' a b c '##a' '##b' '##c' ab '##ab' abab abc >"$work/want"
expect 0 "berth: 15 tokens" "$berth" vocab --corpus "$work/small" --size 100
cmp -s "$work/out" "$work/want" || fail "the merges: $(cat "$work/out")"
grep -q "note: the corpus has no more pairs" "$work/err" || fail "fewer tokens than wanted are not mentioned"
expect 0 "" "$berth" vocab --quiet --corpus "$work/small" --size 13
[ ! -s "$work/err" ] || fail "--quiet speaks: $(cat "$work/err")"
head -13 "$work/want" | cmp -s - "$work/out" || fail "a smaller vocabulary is not the larger one's beginning"
"$berth" vocab -q --corpus - --size 100 <"$work/small" | cmp -s - "$work/want" || fail "standard input differs"
expect 0 "" "$berth" vocab -q --corpus "$work/small" --size 100 --tokenizer-option do_lower_case=false
grep -qx A "$work/out" || fail "do_lower_case=false"
expect 0 "2 rarer characters" "$berth" vocab --corpus "$work/small" --size 100 --limit-alphabet 1
expect 0 "" "$berth" vocab -q --corpus "$work/small" --size 100 --min-frequency 4
[ "$(wc -l <"$work/out")" -eq 12 ] || fail "--min-frequency 4: $(cat "$work/out")"

# layouts, and whatever order
reviews=$source_folder/examples/reviews.tsv
tail -n +2 "$reviews" | cut -f 1 >"$work/lines"
expect 0 "" "$berth" vocab --corpus "$work/lines" --size 400 -o "$work/vocab.txt"
[ ! -s "$work/out" ] || fail "output besides a file"
same() { cmp -s "$work/out" "$work/vocab.txt" || fail "$1 gives other bytes"; }
for attempt in 1 2; do
    expect 0 "" "$berth" vocab -q --corpus "$work/lines" --size 400
    same "run $attempt"
done
sort "$work/lines" >"$work/sorted"
sort -r "$work/lines" >"$work/reversed"
! cmp -s "$work/sorted" "$work/lines" || fail "sorting changed nothing: the next two checks are void"
expect 0 "" "$berth" vocab -q --corpus "$work/sorted" --size 400
same "sorted lines"
expect 0 "" "$berth" vocab -q --corpus "$work/reversed" --size 400
same "reversed lines"
expect 0 "" "$berth" vocab -q --corpus "$reviews" --input-format tsv --text-column sentence --size 400
same "tsv"
awk '{ gsub(/["\\]/, "\\\\&"); print "{\"line\": \"" $0 "\"}" }' "$work/lines" >"$work/lines.jsonl"
expect 0 "" "$berth" vocab -q --corpus "$work/lines.jsonl" --input-format jsonl --text-column line --size 400
same "jsonl"
head -99 "$work/lines" >"$work/fewer"
expect 0 "" "$berth" vocab -q --corpus "$work/fewer" --size 400
! cmp -s "$work/out" "$work/vocab.txt" || fail "other texts give the same bytes"

# the tokenizer reads it, and knows every word
[ "$(wc -l <"$work/vocab.txt")" -eq 400 ] || fail "$(wc -l <"$work/vocab.txt") tokens, want 400"
[ -z "$(sort "$work/vocab.txt" | uniq -d)" ] || fail "a token twice"
expect 0 "" "$berth" tokenize -m random:bert-tiny --vocab "$work/vocab.txt" -i "$work/lines"
[ "$(wc -l <"$work/out")" -eq 100 ] || fail "$(wc -l <"$work/out") texts tokenised, want 100"
! grep -qF '[UNK]' "$work/out" || fail "an unknown word: $(grep -F '[UNK]' "$work/out" | head -1)"
echo "Ωmega" | "$berth" tokenize -m random:bert-tiny --vocab "$work/vocab.txt" | grep -qF '[UNK]' || fail "Ω is known"

# bad input: one sentence, nothing written, the old file stays
refused "missing" "$berth" vocab --corpus "$work/missing" --size 100 -o "$work/never"
refused "directory" "$berth" vocab --corpus "$work" --size 100 -o "$work/never"
: >"$work/empty"
refused "empty: no words" "$berth" vocab --corpus "$work/empty" --size 100 -o "$work/never"
refused "size 10 is too small" "$berth" vocab --corpus "$work/small" --size 10 -o "$work/never"
refused "are possible" "$berth" vocab --corpus "$work/small" --size 99999999 -o "$work/never"
printf 'fine\nf\xffne\n' >"$work/latin"
refused "latin:2: byte 2 of the text is not UTF-8" "$berth" vocab --corpus "$work/latin" --size 100 -o "$work/never"
refused "no column 'review'" "$berth" vocab --corpus "$reviews" --input-format tsv --text-column review --size 100 -o "$work/never"
head -c 4096 "$berth" >"$work/binary"
refused "not UTF-8" "$berth" vocab --corpus "$work/binary" --size 100 -o "$work/never"
[ ! -e "$work/never" ] || fail "a half-written output"
refused "none/vocab.txt" "$berth" vocab --corpus "$work/small" --size 100 -o "$work/none/vocab.txt"
cp "$work/vocab.txt" "$work/before"
refused "not UTF-8" "$berth" vocab --corpus "$work/latin" --size 100 -o "$work/vocab.txt"
cmp -s "$work/before" "$work/vocab.txt" || fail "a failed training changed the old file"
[ -z "$(find "$work" -name 'vocab.txt?*')" ] || fail "a temporary is left behind"
if [ -w /dev/full ]; then
    "$berth" vocab -q --corpus "$work/small" --size 100 >/dev/full 2>"$work/err"
    [ $? -eq 1 ] || fail "a full disk is not noticed"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "a full disk: $(cat "$work/err")"
fi

# a real corpus, when it is there
if [ -r "$shared/data/sst2/train.tsv" ]; then
    expect 0 "" "$berth" vocab -q --corpus "$shared/data/sst2/train.tsv" --input-format tsv --size 8000 -o "$work/sst2"
    [ "$(wc -l <"$work/sst2")" -eq 8000 ] || fail "sst2: $(wc -l <"$work/sst2") tokens"
    expect 0 "" "$berth" tokenize -m random:bert-tiny --vocab "$work/sst2" -i "$shared/data/sst2/train.tsv" --input-format tsv -o "$work/ids"
    ! grep -qF '[UNK]' "$work/ids" || fail "sst2: an unknown word"
fi
finish
