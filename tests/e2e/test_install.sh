#!/usr/bin/env bash
# make install into a folder, then the ten-line program of berth.h is built outside the tree through pkg-config, with the shared and with
# the static library, and classifies a text. The libraries export berth_* names alone.
set -eu
source=${BERTH_SOURCE:?}
build=$(dirname "${BERTH_BINARY:?}")
fail() { echo "FAILED: $*" >&2; exit 1; }
grep -q fsanitize "$build/build.ninja" && { echo "SKIP: test_install: a sanitizer build is not installed"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix="$work/a prefix"
cmake --install "$build" --prefix "$prefix" >"$work/log" || fail "install: $(cat "$work/log")"
library=$(dirname "$(find "$prefix" -name libberth.a)")
export PKG_CONFIG_PATH="$library/pkgconfig"

# The example is the one that the head of berth.h shows.
sed -n 's/^ \*     \(.*\)$/\1/p' "$source/include/berth/berth.h" | sed -n '/^#include <berth/,/^}$/p' | sed 's/^ *//' >"$work/from-header"
sed 's/^ *//' "$source/examples/classify.c" >"$work/from-example"
cmp "$work/from-header" "$work/from-example" || fail "examples/classify.c and the head of berth.h differ"

cd "$work"
cp "$source/examples/classify.c" .
eval cc -std=c17 -Wall -Wextra -Werror -o shared classify.c "$(pkg-config --cflags --libs berth)"
LD_LIBRARY_PATH="$library" ./shared random:bert-tiny >shared.out || fail "the example with the shared library"
# libberth.a with the libraries it stands on as the system has them (not all of those come as archives).
eval cc -std=c17 -o static classify.c "$(pkg-config --cflags berth)" "'$library/libberth.a'" \
    "$(pkg-config --static --libs-only-l berth | sed 's/-lberth//')"
./static random:bert-tiny >static.out || fail "the example with the static library"
grep -Eq '^LABEL_[01] 0\.[0-9]{4}$' shared.out || fail "unexpected answer: $(cat shared.out)"
cmp shared.out static.out || fail "shared and static answer differently"
[ -e "$prefix/lib/berth/libberth_cuda.so" ] || [ ! -e "$build/libberth_cuda.so" ] || fail "the CUDA plugin is not installed"
"$prefix/bin/berth" --version >/dev/null || fail "the installed program"

# The bundled model: installed, found by the program and by the shared library; a static program elsewhere says where it looked.
"$prefix/bin/berth" predict -q -m bundled:sst2 --format jsonl "a fine film" | grep -q '"label": "positive"' || fail "the installed program and bundled:sst2"
LD_LIBRARY_PATH="$library" ./shared bundled:sst2 >bundled.out || fail "the shared library and bundled:sst2"
./static bundled:sst2 >/dev/null 2>bundled.err && fail "the static program found a model beside nothing"
grep -q "bundled:sst2: neither" bundled.err || fail "the static program: $(cat bundled.err)"

foreign=$(nm -D --defined-only "$library/libberth.so" | awk '$2 ~ /[TDBR]/ {print $3}' | grep -v '^berth_' || true)
[ -z "$foreign" ] || fail "libberth.so exports $foreign"
internal=$(nm -D --defined-only "$library/libberth.so" | awk '$2 ~ /[TDBR]/ {print $3}' | grep -E '^berth_(k_|team_|plan_|engine_|tokenizer_|checkpoint_)' || true)
[ -z "$internal" ] || fail "libberth.so exports internal names: $internal"
cp "$prefix/bin/berth" stripped
strip stripped
[ "$(stat -c %s stripped)" -lt 5000000 ] || fail "the stripped program is above 5 MB"
readelf -lW stripped | awk '/GNU_STACK/ && $7 ~ /E/ {exit 1}' || fail "executable stack"
