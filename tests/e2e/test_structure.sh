#!/usr/bin/env bash
# test_structure.sh: the rooms include only what docs/architecture.md allows; and the check finds each kind of planted violation.
# What is built with is asked for by scripts/setup, so that a bare machine gets it.
set -eu
source=$(cd "${BERTH_SOURCE:-.}" && pwd)
check=$source/scripts/check-includes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

"$check" "$source" || fail "the sources break the include direction"
# missing SETUP: modules of CMakeLists.txt that the script does not look for.
missing() {
    sed -n 's/^pkg_check_modules([A-Z0-9_]* REQUIRED IMPORTED_TARGET \([^>)]*\).*/\1/p' "$source/CMakeLists.txt" | while read -r module; do
        grep -Eq -- "--exists '?$module[ ';]" "$1" || echo "$module"
    done
}
[ -z "$(missing "$source/scripts/setup")" ] || fail "scripts/setup does not install $(missing "$source/scripts/setup")"
grep -v yaml-0.1 "$source/scripts/setup" >"$work/setup"
[ "$(missing "$work/setup")" = yaml-0.1 ] || fail "a module that is not installed was not found missing"

mkdir "$work/a tree"
cd "$work/a tree"
mkdir docs
cp "$source/docs/architecture.md" docs
cp -r "$source/src" .
chmod -R u+w .
"$check" . || fail "the copy is not clean"

# planted FILE LINE EXPECTED: the line is added to a file of the copy and must be found there.
planted() {
    file=$1 line=$2 expected=$3
    mkdir -p "$(dirname "$file")"
    [ -f "$file" ] && cp "$file" "$work/kept" || rm -f "$work/kept"
    echo "$line" >>"$file"
    where=$file:$(wc -l <"$file")
    said=$("$check" .) && fail "not found: $line in $file"
    case $said in
    *"$where: $expected"*) ;;
    *) fail "'$where: $expected' was expected, not: $said" ;;
    esac
    if [ -f "$work/kept" ]; then mv "$work/kept" "$file"; else rm "$file"; fi
}
planted src/base/clock.c '#include "kernels/kernels.h"' 'base may not include kernels/kernels.h'
planted src/serve/route.c '#include "eval/metrics.h"' 'serve may not include eval/metrics.h'
planted src/serve/route.c '  #  include "bench/grid.h"' 'serve may not include bench/grid.h'
planted src/kernels/table.c '#include "model/encoder.h"' 'kernels may not include model/encoder.h'
planted src/cli/main.c '#include "engine/engine.h"' 'cli may not include engine/engine.h'
planted src/base/clock.c '#include "clock.h"' 'include by room'
planted src/base/clock.c '#include "base/../cli/common.h"' 'include by room'
planted src/engine/engine.c '#include <immintrin.h>' 'intrinsics outside kernels/'
planted src/engine/engine.c '#include <cpuid.h>' 'only base/cpu.c asks the CPU'
planted src/engine/engine.c 'berth_cpu_detect(&cpu);' 'only kernels/ and pipeline/'
planted src/attic/old.c 'int old;' 'room attic is not in docs/architecture.md'
yes '/* long */' | head -900 >src/base/long.c
"$check" . | grep -q '^src/base/long.c:900: 900 lines or more$' || fail "a file of 900 lines was accepted"
rm src/base/long.c

# A table that allows what stands below, and a table that is gone, are found too.
sed 's/^| `base` | |/| `base` | cli |/' docs/architecture.md >"$work/table"
cp "$work/table" docs/architecture.md
"$check" . >/dev/null && fail "a table against the order was accepted"
: >docs/architecture.md
"$check" . >/dev/null && fail "an empty table was accepted"
echo "structure: clean, and each planted violation found"
