#!/usr/bin/env bash
# test_cuda.sh: the program with --runtime cuda: over the emulated device its answers are the CPU's within the bound; without
# a plugin or a device it refuses in one sentence; and the program itself is linked to nothing of CUDA.
. "$(dirname "$0")/lib.sh"
unset BERTH_CUDA_LIBRARY
ldd "$berth" | grep -qiE 'cuda|cublas' && fail "the program is linked to CUDA"
# The plugin of this build, where nvcc is: it needs no runtime library but cuBLASLt, exports one name, and finds no driver where there is none.
plugin=$(dirname "$berth")/libberth_cuda.so
if [ -e "$plugin" ]; then
    ldd "$plugin" | grep -q libcudart && fail "the plugin wants libcudart"
    [ "$(nm -D --defined-only "$plugin" | awk '{ print $NF }')" = berth_cuda_table ] || fail "the plugin exports $(nm -D --defined-only "$plugin")"
    [ -e /dev/nvidia0 ] || refused "use runtime native" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
else
    refused "make cuda" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
fi
BERTH_CUDA_LIBRARY=/nonexistent.so expect 1 "there is no such file" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
BERTH_CUDA_LIBRARY=libm.so.6 expect 1 "not berth's plugin" "$berth" predict -m random:bert-tiny --runtime cuda "a film"
expect 1 "precision fp16 is for runtime cuda" "$berth" predict -m random:bert-tiny --precision fp16 "a film"

if [ ! -r "${BERTH_CUDA_EMULATED:-}" ]; then
    echo "SKIP: the emulated CUDA plugin is not built here (sanitizers, or no C++ compiler)"
    [ "$failures" -eq 0 ] && exit 77 || exit 1
fi
export BERTH_CUDA_LIBRARY=$BERTH_CUDA_EMULATED
texts=$source_folder/examples/sentences.txt
"$berth" predict -m random:bert-tiny --format jsonl -i "$texts" >"$work/cpu" || fail "the CPU's answers"
largest() { # of the differences between the logits of two files
    paste <(grep -o '"logits": *\[[^]]*' "$1" | grep -oE -- '-?[0-9]+\.[0-9e-]+') <(grep -o '"logits": *\[[^]]*' "$2" | grep -oE -- '-?[0-9]+\.[0-9e-]+') |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > m) m = d; n++ } END { print n ? m : 9 }'
}
for case in fp32:0.00005 bf16:0.15 fp16:0.02 int8:0.6 fp8:1; do
    "$berth" predict -m random:bert-tiny --runtime cuda --precision "${case%:*}" --format jsonl -i "$texts" >"$work/gpu" || fail "$case"
    largest "$work/cpu" "$work/gpu" | awk -v bound="${case#*:}" '{ exit !($1 <= bound) }' || fail "$case: $(largest "$work/cpu" "$work/gpu")"
    head -1 "$texts" | "$berth" predict -m random:bert-tiny --runtime cuda --precision "${case%:*}" --format jsonl >"$work/alone" || fail "$case alone"
    head -1 "$work/gpu" | cmp -s - "$work/alone" || fail "$case: other bits alone than among others"
done
cmp -s "$work/cpu" "$work/gpu" && fail "fp8 gives the CPU's fp32: the runtime was not used"
expect 0 "" "$berth" info -m random:bert-tiny --runtime cuda
grep -q "an emulated GPU" "$work/out" || fail "info does not name the device"
finish
