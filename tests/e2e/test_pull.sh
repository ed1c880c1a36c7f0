#!/usr/bin/env bash
# berth pull against a hub on the loopback (tests/support/fake_hub.h tells what each repository's name makes it do).
. "$(dirname "$0")/lib.sh"
fake=$(dirname "$berth")/tests/fake_hub
files=$work/files
log=$work/log
commit=c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00
unset HF_TOKEN HF_HUB_CACHE HF_TOKEN_PATH HF_HUB_OFFLINE HUGGINGFACE_HUB_CACHE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
export HF_HOME=$work/home HOME=$work/no-home

mkdir "$files"
"$berth" convert -q -m random:bert-tiny --to safetensors -o "$files" >/dev/null || fail "no model to serve"
printf '{"do_lower_case": true}' >"$files/tokenizer_config.json"
cp "$files/model.safetensors" "$files/pytorch_model.bin"
head -c 300000 "$files/model.safetensors" >"$files/model-00001-of-00002.safetensors"
tail -c 300000 "$files/model.safetensors" >"$files/model-00002-of-00002.safetensors"
printf '{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}' \
    >"$files/model.safetensors.index.json"

mkfifo "$work/hold"
"$fake" "$files" "$log" <"$work/hold" >"$work/port" &
exec 9>"$work/hold" # the hub ends when this test does
for _ in $(seq 100); do [ -s "$work/port" ] && break; sleep 0.05; done
HF_ENDPOINT=http://127.0.0.1:$(cat "$work/port")
export HF_ENDPOINT

cache() { echo "$work/home/hub/models--org--$1"; }
# whole NAME: the snapshot has the served files, and its references lead to it.
whole() {
    local folder
    folder=$(cache "$1")/snapshots/$commit
    for file in config.json vocab.txt tokenizer_config.json "${2:-model.safetensors}"; do
        cmp -s "$files/$file" "$folder/$file" || fail "$1: $file is not what was served"
        case $(readlink "$folder/$file") in ../../blobs/*) ;; *) fail "$1: $file is no link into blobs" ;; esac
    done
    [ "$(cat "$(cache "$1")/refs/main")" = $commit ] || fail "$1: refs/main"
    [ -z "$(find "$(cache "$1")" -name '*.incomplete' -o -name '*.tmp')" ] || fail "$1: something is left over"
}
# nothing NAME FILE: the file is not in the snapshot, and no reference leads to a half of it.
nothing() {
    [ ! -e "$(cache "$1")/snapshots/$commit/$2" ] || fail "$1: $2 is there"
    [ ! -e "$(cache "$1")/refs/main" ] || fail "$1: a reference to a snapshot that is not whole"
}
pull() { expect 0 "" "$berth" pull -q "$@"; }

# usage
expect 2 "an id is needed" "$berth" pull
expect 2 "one id at a time" "$berth" pull a/b c/d
for id in name a/b/c ../x org/.. org/a@ org/a@../x org/a@-x 'org/a b' /a a/ org/a--b; do
    refused "is no id of a hub" "$berth" pull "$id"
done

# a model, in the layout that Hugging Face's tools share; a second time nothing comes; names of blobs are the hub's
pull org/plain
[ "$(cat "$work/out")" = "$(cache plain)/snapshots/$commit" ] || fail "not the folder: $(cat "$work/out")"
whole plain
[ "$(basename "$(readlink "$(cache plain)/snapshots/$commit/model.safetensors")")" = "$(sha256sum <"$files/model.safetensors" | cut -d ' ' -f 1)" ] ||
    fail "a blob is not called after its SHA-256"
[ ! -e "$(cache plain)/snapshots/$commit/README.md" ] || fail "a file that no model needs"
[ ! -e "$(cache plain)/snapshots/$commit/pytorch_model.bin" ] || fail "weights twice"
: >"$log"
pull --json org/plain
grep -q "\"id\": \"org/plain\", \"commit\": \"$commit\", \"path\": \"$(cache plain)/snapshots/$commit\", \"files\": 4, \"bytes\": [0-9]*, \"fetched\": 0}" "$work/out" ||
    fail "--json: $(cat "$work/out")"
! grep -q " GET /org" "$log" || fail "fetched although it was there: $(cat "$log")"
pull org/plain@v1
pull org/plain@refs/pr/1
[ "$(cat "$(cache plain)/refs/refs/pr/1")" = $commit ] || fail "refs of a pull request"
refused "no revision 'nope'" "$berth" pull -q org/plain@nope
pull org/plain@$commit
[ ! -e "$(cache plain)/refs/$commit" ] || fail "a reference called as a commit"
pull org/bin
whole bin pytorch_model.bin
pull org/shards
whole shards model-00002-of-00002.safetensors
for name in renamed norange nohead nolist nolist-nohead branchonly noetag badetag weaketag nocommit; do
    pull "org/$name"
    whole $name
done

# the cache and the hub, as the environment has them
for setting in HF_HUB_CACHE="$work/a" HF_HOME="$work/b" HF_HOME= ; do
    expect 0 "" env ${setting:+"$setting"} XDG_CACHE_HOME="$work/c" "$berth" pull -q org/plain
done
[ -d "$work/a/models--org--plain" ] || fail "HF_HUB_CACHE"
[ -d "$work/b/hub/models--org--plain" ] || fail "HF_HOME"
[ -d "$work/c/huggingface/hub/models--org--plain" ] || fail "XDG_CACHE_HOME"
refused "HF_HUB_OFFLINE" env HF_HUB_OFFLINE=1 "$berth" pull -q org/plain
refused "no address of a hub" env HF_ENDPOINT=ftp://127.0.0.1 "$berth" pull -q org/plain
refused "no address of a hub" env HF_ENDPOINT=http://me:password@127.0.0.1 "$berth" pull -q org/plain
! grep -q password "$work/err" || fail "a password shows"

# a cut connection: the rest by range; also where the server knows no ranges
: >"$log"
expect 0 "was cut" "$berth" pull org/cut
whole cut
grep -q "^cdn GET /store/org/cut/model.safetensors token=no range=bytes=[1-9][0-9]*- " "$log" || fail "not resumed: $(cat "$log")"
pull org/cut-norange
whole cut-norange
: >"$log"
"$berth" pull -q org/slow >/dev/null 2>&1 & # killed in the middle, then once more
victim=$!
large=$(cache slow)/blobs/$(sha256sum <"$files/model.safetensors" | cut -d ' ' -f 1).incomplete
for _ in $(seq 600); do [ -s "$large" ] && break; sleep 0.05; done
kill -9 $victim
wait $victim 2>/dev/null
nothing slow model.safetensors
size=$(stat -c %s "$large")
[ "$size" -gt 0 ] || fail "nothing came before the kill"
pull org/slow-x & # another repository: not held up
pull org/slow
grep -q "^cdn GET /store/org/slow/model.safetensors token=no range=bytes=$size- " "$log" || fail "not resumed from $size: $(cat "$log")"
whole slow
wait %+ 2>/dev/null

# wrong contents: never under their name
for name in corrupt corruptonce; do
    refused "model.safetensors: wrong checksum: its SHA-256 is" "$berth" pull -q org/$name
    nothing $name model.safetensors
    [ -z "$(find "$(cache $name)" -name '*.incomplete')" ] || fail "$name: the wrong bytes are kept"
done
pull org/corruptonce
whole corruptonce
refused "vocab.txt: wrong checksum: its git blob id is" "$berth" pull -q org/corruptsmall
nothing corruptsmall vocab.txt
refused "more than the" "$berth" pull -q org/longer
refused "at most" "$berth" pull -q org/huge
refused "changed on the hub" "$berth" pull -q org/changed
refused "cut" "$berth" pull -q org/cut-wrongrange
for name in longer huge changed cut-wrongrange; do nothing $name model.safetensors; done

# refusals: one sentence each
refused "wants a login (401)" "$berth" pull -q org/private
refused "refuses access (403), the model is gated" "$berth" pull -q org/gated
refused "no such repository (404)" "$berth" pull -q org/missing
refused "asks to wait 4000 seconds" "$berth" pull -q org/busylong
refused "answers 418" "$berth" pull -q org/teapot
refused "answers 403" "$berth" pull -q org/refuse
refused "no hub's description of a repository; check HF_ENDPOINT" "$berth" pull -q org/garbage
refused "malformed JSON" "$berth" pull -q org/garbage
refused "nested deeper" "$berth" pull -q org/deep
refused "has no config.json" "$berth" pull -q org/noconfig
refused "has no weights that berth reads" "$berth" pull -q org/tf
refused "vocab.txt is listed" "$berth" pull -q org/lonely
refused "does not say which commit" "$berth" pull -q org/nolist-nocommit
refused "leads out of its folder" "$berth" pull -q org/evil
refused "no file beside the index" "$berth" pull -q org/evilshard
refused "redirects more than 5 times" "$berth" pull -q org/loop
refused "neither http nor https" "$berth" pull -q org/file
refused "with a user in it" "$berth" pull -q org/user
found=$(find "$work" -name '*evil*' -not -name 'models--org--evil*')
[ -z "$found" ] || fail "a hostile name was used: $found"
pull org/busy # 429 twice, then well

# the token: to the hub, and nowhere else; never on a screen
for way in HF_TOKEN=secret-token HF_TOKEN_PATH="$work/token" HF_HOME="$work/with-token"; do
    mkdir -p "$work/with-token"
    printf 'secret-token\n' | tee "$work/token" >"$work/with-token/token"
    rm -rf "$work/t"
    : >"$log"
    expect 0 "" env "$way" HF_HUB_CACHE="$work/t" "$berth" pull org/private
    grep -q '^hub GET .* token=yes' "$log" || fail "$way: the token was not sent"
    grep -q '^cdn GET ' "$log" || fail "nothing came from the other port"
    ! grep -q '^cdn .* token=yes' "$log" || fail "$way: the token went to another host"
    ! grep -rqE 'secret-(token|signature)' "$work/out" "$work/err" "$work/t" || fail "$way: a secret shows"
done
refused "does not let the token in (401)" env HF_TOKEN=another-secret "$berth" pull -q org/private
! grep -q secret "$work/err" || fail "the token shows in an error"
refused "no token" env HF_TOKEN="a b" "$berth" pull -q org/private

# two at once: one fetches, one waits
rm -rf "$(cache slow)"
: >"$log"
"$berth" pull org/slow >"$work/first" 2>"$work/first.err" &
first=$!
expect 0 "" "$berth" pull org/slow
wait $first || fail "the first of two: $(cat "$work/first.err")"
whole slow
[ "$(grep -c '^cdn GET /store/org/slow/model.safetensors' "$log")" -eq 1 ] || fail "two processes fetched the same: $(grep -c cdn "$log")"
cat "$work/err" "$work/first.err" | grep -q "waiting for it" || fail "the waiting is not told"

# offline: found in the cache, whatever the hub does; a directory of that name comes first
texts() { (cd "$work" && HF_ENDPOINT=http://127.0.0.1:9 "$berth" predict -m "$1" --format jsonl "a film" "of nothing"); }
texts "$files" >"$work/want" || fail "the served model does not run"
texts org/plain >"$work/got" || fail "org/plain is not found"
cmp -s "$work/want" "$work/got" || fail "org/plain gives other logits"
texts org/plain@refs/pr/1 | cmp -s "$work/want" - || fail "org/plain@REVISION"
texts org/plain@$commit | cmp -s "$work/want" - || fail "org/plain@COMMIT"
(cd "$work" && "$berth" convert -q -m org/plain --to safetensors -o "$work/copy" && cmp -s "$work/copy/model.safetensors" "$files/model.safetensors") ||
    fail "convert -m org/plain"
expect 0 "" "$berth" info -m org/plain --json
grep -q '"model": *"org/plain"' "$work/out" || fail "info has another name: $(head -c 200 "$work/out")"
refused "\`berth pull org/absent\` fetches it" "$berth" predict -m org/absent x
refused "\`berth pull org/plain@nope\` fetches it" "$berth" predict -m org/plain@nope x
refused "\`berth pull org/corrupt\` fetches it" "$berth" predict -m org/corrupt x
mkdir -p "$work/org/plain"
(cd "$work" && "$berth" predict -m org/plain x >"$work/out" 2>"$work/err") && fail "an empty directory of that name does not come first"
grep -q "org/plain" "$work/err" || fail "another error: $(cat "$work/err")"
rm -r "$work/org"

# no disk, no folder
if mkdir -p "$work/small" && mount -t tmpfs -o size=4m tmpfs "$work/small" 2>/dev/null; then
    refused "the disk has room for" env HF_HUB_CACHE="$work/small" "$berth" pull -q org/plain
    umount "$work/small"
fi
: >"$work/file"
refused "$work/file" env HF_HUB_CACHE="$work/file" "$berth" pull -q org/plain
exec 9>&-
wait
refused "cannot be reached" "$berth" pull -q org/plain
finish
