#!/usr/bin/env bash
# `berth bench`: options that make no sense together, and experiment files: every message has its line and its key.
. "$(dirname "$0")/lib.sh"

# Options that contradict each other, or that nothing would come of.
for wrong in "kept in the server scenario:--rate 5" "either given or searched:--rate 5 --find-rate --p99-ms 5" \
    "of the closed loop, not of offline:--scenario offline --concurrency 2" "what a rate is searched within:--p99-ms 5" \
    "either counted or:--trials 5 --percentile 90" "how labelled texts are laid out:--task sst2" \
    "no runtime here is onnxruntime:--optimization plain"; do
    refused "${wrong%%:*}" "$berth" bench -m random:bert-tiny ${wrong#*:}
done
expect 2 "measures nothing that --json could print" "$berth" bench -m random:bert-tiny --dry-run --json
expect 0 "" "$berth" bench -q --suite study -m random:bert-tiny --runtime native --batch 1 --length 4,5 --percentile 90 --dry-run
checks=$((checks + 2))
[ "$(grep -c '^random:bert-tiny .* 36 ' "$work/out")" -eq 4 ] || fail "the suite overrides the percentile: $(cat "$work/out")"
expect 0 "" "$berth" bench -q -m random:bert-tiny --length 4,600 --dry-run
grep -q '^2 combinations, 1 of which cannot be measured (see above), 20 trials' "$work/out" || fail "a plan: $(cat "$work/out")"

# Experiment files: what is wrong, with line and key.
wrong_spec() {
    printf '%b' "$2" >"$work/spec.yaml"
    refused "spec.yaml:$1" "$berth" bench --spec "$work/spec.yaml"
}
wrong_spec '2: trails: no such key' 'model: [random:bert-tiny]\ntrails: 5\n'
wrong_spec '2: trials: a whole number above 0 is wanted' 'model: [random:bert-tiny]\ntrials: -1\n'
wrong_spec "3: batch: a whole number above 0 is wanted, not 'two'" 'model: [random:bert-tiny]\ntrials: 1\nbatch: [1, two]\n'
wrong_spec '1: model: a list is wanted' 'model: random:bert-tiny\n'
wrong_spec '2: scenario: single-stream' 'model: [random:bert-tiny]\nscenario: burst\n'
wrong_spec '2: optimization: plain' 'model: [random:bert-tiny]\noptimization: [plain, magic]\n'
wrong_spec '2: protocol: auto' 'model: [random:bert-tiny]\nprotocol: grpc\n'
wrong_spec "3: no YAML: did not find expected ',' or ']' while parsing a flow sequence, begun in line 2" 'model: [random:bert-tiny]\nbatch: [1, 2\n'
wrong_spec '1: an empty file' ''
wrong_spec '2: no YAML: found character that cannot start' 'model: [random:bert-tiny]\n\ttrials: 5\n'
wrong_spec '3: no YAML: control characters' 'model: [random:bert-tiny]\ntrials: 5\n\001\n'
wrong_spec '2: *a: aliases are not read' 'model: &a [random:bert-tiny]\ntarget: *a\n'
wrong_spec '2: a second document' 'model: [random:bert-tiny]\n---\ntrials: 5\n'
wrong_spec '2: batch: an empty list' 'model: [random:bert-tiny]\nbatch: []\n'
wrong_spec '2: trials: without a value' 'model: [random:bert-tiny]\ntrials:\n'
wrong_spec '2: trials: a single value is wanted' 'model: [random:bert-tiny]\ntrials: [5]\n'
wrong_spec '1: model: a list of single values' 'model: [[random:bert-tiny]]\n'
# What the values mean together has its line, too, but not when an option replaced the value.
wrong_spec "2: target 'x': give local" 'model: [random:bert-tiny]\ntarget: [x]\n'
wrong_spec '3: rate: a rate is kept in the server scenario' 'model: [random:bert-tiny]\ntrials: 5\nrate: [5]\n'
wrong_spec '2: p99-ms: an objective is' 'model: [random:bert-tiny]\np99-ms: 5\n'
wrong_spec '3: percentile: the trials are either' 'model: [random:bert-tiny]\ntrials: 5\npercentile: 90\n'
wrong_spec '2: threads: 5000 threads: at most' 'model: [random:bert-tiny]\nthreads: [5000]\n'
printf 'model: [random:bert-tiny]\nthreads: [5000]\n' >"$work/spec.yaml"
refused "berth bench: 4000 threads: at most" "$berth" bench --spec "$work/spec.yaml" --threads 4000
printf 'model: [random:bert-tiny]\nlength: [8]\nthreads: [1]\npercentile: 99\n' >"$work/spec.yaml"
expect 0 "" "$berth" bench -q --spec "$work/spec.yaml" --trials 3
wrong_spec '2: trials: given twice' 'trials: 5\ntrials: 6\nmodel: [random:bert-tiny]\n'
printf 'model: [random:bert-tiny]\nlength: [8]\nthreads: [1]\ntrials: 2\nseed: 7\n' >"$work/spec.yaml"
expect 0 "" "$berth" bench -q --spec "$work/spec.yaml" --batch 1,2
checks=$((checks + 1))
[ "$(grep -c ' ok$' "$work/out")" -eq 2 ] || fail "options beside an experiment file: $(cat "$work/out")"
finish
