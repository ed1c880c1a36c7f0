#!/usr/bin/env bash
# A hundred corrupted model folders: each refused in one sentence, or answered; no crash, no hang.
. "$(dirname "$0")/lib.sh"
good=$shared/golden/models/bert-gelu-2
[ -d "$good" ] || { echo "SKIP: test_hostile_models: $good is not there"; exit 77; }
ulimit -c 0
refusals=0

fresh() {
    rm -rf "$work/model"
    mkdir "$work/model"
    for name in config.json model.safetensors tokenizer_config.json special_tokens_map.json vocab.txt; do
        cat "$good/$name" >"$work/model/$name"
    done
}

# probe NAME [must]: runs the model; `must`: it has to be refused.
probe() {
    checks=$((checks + 1))
    timeout 20 "$berth" predict -m "$work/model" "a fine text" >"$work/out" 2>"$work/err"
    local got=$?
    if [ $got -eq 1 ]; then
        refusals=$((refusals + 1))
        [ ! -s "$work/out" ] || fail "$1: output besides an error"
        [ "$(grep -vc '^berth: note' "$work/err")" -eq 1 ] || fail "$1: not one sentence: $(head -c 400 "$work/err")"
    elif [ $got -ne 0 ] || [ "${2:-}" = must ]; then
        fail "$1: exit $got: $(head -c 400 "$work/err")"
    fi
}

fresh
probe "the sound model"
[ $refusals -eq 0 ] || fail "the sound model was refused: $(cat "$work/err")"

# config.json: a value replaced
edit() { # edit KEY VALUE
    fresh
    sed -i "s|\"$1\": [^,]*|\"$1\": $2|" "$work/model/config.json"
    grep -qF "\"$1\": $2" "$work/model/config.json" || fail "the edit of $1 did not take"
    probe "config $1 = $2" "${3:-}"
}
for key in hidden_size num_attention_heads num_hidden_layers intermediate_size vocab_size max_position_embeddings; do
    for value in 0 -1 1e99 99999999999999999999 '"768"' null '[]' 3.5 2147483647; do
        case $key,$value in *,null) edit $key "$value" ;; *) edit $key "$value" must ;; esac
    done
done
edit hidden_act '"quick_gelu"' must
edit position_embedding_type '"relative_key"' must
edit layer_norm_eps '"x"' must
edit layer_norm_eps -1 must
edit model_type '"gpt2"' must
edit type_vocab_size 0
edit type_vocab_size -3 must

# whole files
for name in config.json model.safetensors vocab.txt; do
    fresh; rm "$work/model/$name"; probe "no $name" must
    fresh; : >"$work/model/$name"; probe "empty $name" must
    fresh; rm "$work/model/$name"; mkdir "$work/model/$name"; probe "a directory as $name" must
    fresh; head -c 100 /dev/urandom >"$work/model/$name"; probe "random bytes as $name" must
    fresh; rm "$work/model/$name"; mkfifo "$work/model/$name"; probe "a pipe as $name" must
done
fresh; head -c 300000 /dev/zero | tr '\0' '[' >"$work/model/config.json"; probe "deep config" must
fresh; printf '\xff\xfe{}' >"$work/model/config.json"; probe "config that is no UTF-8" must
fresh; for i in $(seq 2000); do echo "extra$i"; done >>"$work/model/vocab.txt"; probe "a vocabulary larger than the embedding" must
fresh; head -700 "$good/vocab.txt" >"$work/model/vocab.txt"; probe "a smaller vocabulary"
grep -q '"label"' "$work/out" || fail "a smaller vocabulary was refused: $(cat "$work/err")"
fresh; grep -v '^\[SEP\]' "$good/vocab.txt" >"$work/model/vocab.txt"; probe "no [SEP]" must
fresh; echo '{"do_lower_case": "maybe"}' >"$work/model/tokenizer_config.json"; probe "do_lower_case maybe" must
fresh; echo '{"tokenizer_class": "GPT2Tokenizer"}' >"$work/model/tokenizer_config.json"; probe "another tokenizer" must

# weights: cut, header lengths, header text, a tensor that is not finite
size=$(stat -c %s "$good/model.safetensors")
for cut in 1 7 8 9 100 1000 $((size / 2)) $((size - 1)); do
    fresh; head -c "$cut" "$good/model.safetensors" >"$work/model/model.safetensors"; probe "weights cut at $cut" must
done
for length in '\xff\xff\xff\xff\xff\xff\xff\xff' '\x00\x00\x00\x00\x00\x00\x00\x00' '\xff\xff\xff\x7f\x00\x00\x00\x00' '\x01\x00\x00\x00\x00\x00\x00\x80'; do
    fresh; printf "$length" | dd of="$work/model/model.safetensors" conv=notrunc status=none; probe "header length $length" must
done
for change in 's/"F32"/"F99"/' 's/"F32"/"I32"/' 's/data_offsets/data_0ffsets/' 's/\[64,64\]/[64,63]/' 's/\[64,64\]/[99,99]/' 's/\[64\]/[-1]/' \
    's/embeddings.word_embeddings/embeddings.w0rd_embeddings/' 's/"shape":\[/"shape":{/'; do
    fresh
    LC_ALL=C sed "1,1 $change" "$good/model.safetensors" >"$work/model/model.safetensors"
    cmp -s "$work/model/model.safetensors" "$good/model.safetensors" && fail "$change changed nothing"
    probe "weights $change" must
done
fresh; printf '\x00\x00\xc0\x7f' | dd of="$work/model/model.safetensors" bs=1 seek=$((size - 4)) conv=notrunc status=none; probe "a NaN weight" must
grep -q "not finite" "$work/err" || fail "a NaN weight: $(cat "$work/err")"

# pytorch_model.bin: nothing of it is executed
fresh; rm "$work/model/model.safetensors"
printf '\x80\x02cos\nsystem\nX\x17\x00\x00\x00touch %s/executed\x85R.' "$work" >"$work/model/pytorch_model.bin"
probe "a pickle that calls os.system" must
[ ! -e "$work/executed" ] || fail "the pickle was executed"
for cut in 10 1000 100000; do
    fresh; rm "$work/model/model.safetensors"; head -c $cut "$good/pytorch_model.bin" >"$work/model/pytorch_model.bin"; probe ".bin cut at $cut" must
done
echo "$refusals of $checks refused"
[ "$checks" -ge 100 ] || fail "only $checks cases"
finish
