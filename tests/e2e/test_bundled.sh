#!/usr/bin/env bash
# test_bundled.sh: the model that comes with berth: found from the checkout, refused clearly where it is not, small, and as good as its card
# says on our own reviews and, where the data are, on SST-2's dev file at every precision.
source "$(dirname "$0")/lib.sh"
model=$source_folder/models/sst2
reviews=$source_folder/examples/reviews.tsv

# accuracy DATA OPTIONS...: of bundled:sst2.
accuracy() { "$berth" eval -q -m bundled:sst2 --task sst2 --data "$@" --json | sed -n 's/.*"accuracy": *\([0-9.]*\).*/\1/p'; }
# at_least WHAT GOT FLOOR
at_least() {
    checks=$((checks + 1))
    awk -v got="$2" -v floor="$3" 'BEGIN { exit !(got != "" && got >= floor) }' || fail "$1: ${2:-nothing}, at least $3 is expected"
}

expect 0 "" "$berth" predict -q -m bundled:sst2 --format jsonl "A warm, funny and surprisingly tender film." "I didn't like it: dull and far too long."
[ "$(sed 's/.*"label": "\([a-z]*\)".*/\1/' "$work/out" | tr '\n' ' ')" = "positive negative " ] || fail "labels: $(cat "$work/out")"
expect 0 "" "$berth" info -m bundled:sst2 --json
grep -q '"model": "bundled:sst2"' "$work/out" || fail "info names it otherwise: $(cat "$work/out")"
checks=$((checks + 1))
[ "$(du -sk "$model" | cut -f 1)" -lt 5000 ] || fail "models/sst2 takes $(du -sk "$model")"
for file in LICENSE README.md config.json model.safetensors tokenizer_config.json vocab.txt; do
    [ -s "$model/$file" ] || fail "models/sst2 has no $file"
done

# one in a hundred reviews is a point
[ "$(wc -l <"$reviews")" -eq 101 ] || fail "reviews.tsv has not a hundred reviews"
at_least "reviews" "$(accuracy "$reviews")" 0.96
at_least "reviews, int8" "$(accuracy "$reviews" --precision int8)" 0.95
# the floor is one that an untrained model misses
untrained=$("$berth" eval -q -m random:bert-tiny --task sst2 --data "$reviews" --json | sed -n 's/.*"accuracy": *\([0-9.]*\).*/\1/p')
checks=$((checks + 1))
awk -v got="$untrained" 'BEGIN { exit !(got < 0.8) }' || fail "random weights reach $untrained"

# from elsewhere: the program without its data, and with them
mkdir -p "$work/bare/bin" "$work/whole/bin" "$work/whole/share/berth"
cp "$berth" "$work/bare/bin/berth"
cp "$berth" "$work/whole/bin/berth"
cp -R "$source_folder/models" "$work/whole/share/berth/models"
cd "$work"
refused "neither share/berth/models/sst2 nor models/sst2 lies in the folders above $work/bare/bin" bare/bin/berth predict -m bundled:sst2 x
expect 0 "" whole/bin/berth predict -q -m bundled:sst2 x
ln -s "$work/whole/bin/berth" "$work/link"
expect 0 "" ./link predict -q -m bundled:sst2 x
PATH="$work/whole/bin:$PATH" expect 0 "" berth predict -q -m bundled:sst2 x

# as a start of training, and for conversion
printf 'sentence\tlabel\nfine\t1\nbad\t0\n' >"$work/two.tsv"
expect 0 "" "$berth" finetune -q -m bundled:sst2 --task sst2 --train "$work/two.tsv" --teacher bundled:sst2 --max-steps 1 -o "$work/tuned"
expect 0 "" "$berth" predict -q -m "$work/tuned" x
expect 0 "" "$berth" convert -q -m bundled:sst2 --to onnx -o "$work/m.onnx"

dev=$shared/data/sst2/dev.tsv
if [ -r "$dev" ]; then
    full=$(accuracy "$dev")
    at_least "dev, fp32" "$full" 0.82
    for precision in bf16 int8; do
        at_least "dev, $precision, within half a point of $full" "$(accuracy "$dev" --precision $precision)" \
            "$(awk -v full="$full" 'BEGIN { print full - 0.005 }')"
    done
else
    echo "SKIP: SST-2's dev file is missing"
fi
finish
