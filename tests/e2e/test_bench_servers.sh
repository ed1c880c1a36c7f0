#!/usr/bin/env bash
# `berth bench` against servers: a stall shows in the tail as queueing theory says, whatever a server does is a clear status
# and never a dropped trial, a wrong model is refused before timing, kill -9 loses one trial at most, two may write at once.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"
stub_program=$(dirname "$berth")/tests/stub_server
stub=

# start_stub ARGUMENTS...: sets $stub_url.
start_stub() {
    [ -z "$stub" ] || kill "$stub"
    rm -f "$work/stub"
    "$stub_program" "$@" >"$work/stub" </dev/zero &
    stub=$!
    trap 'kill $stub $server 2>/dev/null; rm -rf "$work"' EXIT
    until grep -q listening "$work/stub" 2>/dev/null; do sleep 0.02; done
    stub_url=$(sed 's/^listening on //' "$work/stub")
}

# number KEY: of the one result that --json printed.
number() {
    sed -n "s/^ *\"$1\": \([0-9.a-z]*\),*$/\1/p" "$work/out"
}

# within LOW HIGH KEY
within() {
    awk -v low="$1" -v high="$2" -v got="$(number "$3")" 'BEGIN { exit !(got != "" && got != "null" && got + 0 >= low && got + 0 <= high) }'
}
must() {
    checks=$((checks + 1))
    within "$@" || fail "$3 is $(number "$3"), not within $1 and $2"
}

# stalled CHECK ARGUMENTS...: 1200 requests at 600/s to a stub that stalls for 200 ms; up to five times, for a machine that does
# something else meanwhile makes every latency longer. Sets $out.
stalled() {
    local check=$1
    shift
    for _ in 1 2 3 4 5; do
        start_stub --service-us 100 --stall-after-ms 700 --stall-ms 200
        expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --scenario server --rate 600 --trials 1200 --length 16 --json "$@"
        must 140 100000 p99_ms # less would be coordinated omission
        must 1200 1200 n
        must 0 0 failed
        $check && return
    done
    fail "the stall: p99 $(number p99_ms), from sending $(number service_p99_ms)"
}

# A stall of D = 200 ms in T = 2 s of Poisson arrivals: who comes within it waits D - x, so a share (D - x) / T waits longer than x.
# p99 is x = D - T / 100 = 180 ms, from the scheduled start. With one connection the second figure, from sending, meets the stall
# once and tells nothing of it; where all are sent when due, both tell.
omits() { within 140 215 p99_ms && within 0 60 service_p99_ms; }
tells() { within 140 215 p99_ms && within 140 215 service_p99_ms; }
stalled omits --connections 1
stalled tells

# In a closed loop the rate is what comes of the service time: 1 / (1 ms) whatever the concurrency (Little's law).
start_stub --service-us 1000
expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --concurrency 8 --trials 400 --length 16 --json
must 1 1010 achieved_rate
must 7 100000 p50_ms
expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --find-rate --p99-ms 50 --timeout-ms 2000 --trials 300 --length 16
checks=$((checks + 1))
grep -Eq 'queries/s keep p99 within 50 ms|no rate that was tried' "$work/out" || fail "no rate found: $(tail -2 "$work/out")"
# Where even rare requests miss the objective, the search ends: 4 rates down to a quarter of the first, not days.
expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --find-rate --p99-ms 0.5 --trials 299 --length 16
checks=$((checks + 2))
grep -q 'no rate that was tried keeps p99 within 0.5 ms' "$work/out" || fail "an objective below the service time: $(tail -2 "$work/out")"
[ "$(grep -c '^m .*/s' "$work/out")" -le 4 ] || fail "too many rates: $(cat "$work/out")"
# An objective that a busy machine keeps, too: with as few requests as can show it, the search and its answer agree.
expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --find-rate --p99-ms 10000 --timeout-ms 60000 --trials 299 --length 16
checks=$((checks + 1))
grep -q 'queries/s keep p99 within 10000 ms' "$work/out" || fail "no rate found: $(tail -2 "$work/out")"
start_stub --service-us 100
checks=$((checks + 1)) # of what is told on the way nothing is beyond the whole
"$berth" bench -m m --target "stub=$stub_url" --find-rate --p99-ms 50 --trials 600 --length 16 2>"$work/err" >"$work/out"
grep -oE '^ *[0-9]+ %' "$work/err" | awk '$1 > 100 { exit 1 }' || fail "progress: $(cat "$work/err")"

# Single short runs tell no difference that a phase of the machine could make (5 ms beside 3 ms), but larger ones.
for us in 3000 5000 30000; do
    start_stub --service-us $us
    expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --trials 30 --length 16 -o "$work/short.db" --name "us$us"
done
checks=$((checks + 2))
"$berth" compare "$work/short.db" us3000 us5000 | grep -q 'too short to tell$' || fail "3 ms and 5 ms: $("$berth" compare "$work/short.db" us3000 us5000)"
"$berth" compare "$work/short.db" us3000 us30000 | grep -q 'B is slower$' || fail "3 ms and 30 ms: $("$berth" compare "$work/short.db" us3000 us30000)"

# What servers do wrong: failed, with a reason, exit 1 when there is nothing else; after 40 good ones (warm-up's 10 and one
# included) those that failed are counted.
for case in "error:answers 500" "garbage:no HTTP answer" "close:connection broke" "hang:no answer within 100 ms" \
    "short:closed within the body" "notjson:no JSON" "narrow:not a row for each text" "nan:no JSON"; do
    start_stub --mode "${case%%:*}"
    expect 1 "${case#*:}" "$berth" bench -q -m m --target "stub=$stub_url" --trials 5 --length 16 --timeout-ms 100 -o "$work/bad.db" --name "${case%%:*}"
done
start_stub --mode close --after 40
expect 0 "" "$berth" bench -q -m m --target "stub=$stub_url" --trials 40 --length 16 -o "$work/bad.db" --name partly
checks=$((checks + 3))
grep -Eq '[0-9]+ of 40 failed: the connection broke' "$work/out" || fail "failures are not counted: $(cat "$work/out")"
"$berth" export "$work/bad.db" --run partly | grep -c ',0$' >"$work/failed"
grep -q "^m .* $(cat "$work/failed") of 40 failed" "$work/out" || fail "failed trials are dropped: $(cat "$work/failed")"
"$berth" export "$work/bad.db" --format json | grep -q '"hang"' || fail "a run that failed is not recorded"
kill "$stub"
stub=
expect 1 "cannot connect: Connection refused" "$berth" bench -q -m m --target gone="$stub_url" --trials 5

# A wrong model behind a server: another head, swapped labels.
mkdir "$work/head" "$work/swapped"
model=$source_folder/models/sst2
for folder in head swapped; do cp "$model"/{config.json,vocab.txt,tokenizer_config.json} "$work/$folder"; done
weights=$model/model.safetensors # the head is its last 516 bytes: two rows of 128 halves, two biases
{ head -c -516 "$weights" && tail -c +9001 "$weights" | head -c 516; } >"$work/head/model.safetensors"
{ head -c -516 "$weights" && tail -c 260 "$weights" | head -c 256 && tail -c 516 "$weights" | head -c 256 &&
    tail -c 2 "$weights" && tail -c 4 "$weights" | head -c 2; } >"$work/swapped/model.safetensors"
start_server -m sst2="$model" -m head="$work/head" -m swapped="$work/swapped" --threads 1
for wrong in head swapped; do
    expect 1 "not timed, another model or a wrong one" "$berth" bench -q -m "$wrong=$model" --target "s=$url" --trials 3 --length 16
done
expect 0 "" "$berth" bench -q -m sst2="$model" --target "s=$url" --trials 3 --length 16
# The study's protocol has a server load what the grid says; the server's own threads hold.
expect 0 "" "$berth" bench -q -m sst2="$model" --target "s=$url,threads=1" --target local --protocol study --precision fp32,int8 \
    --threads 1,2 --trials 2 --length 16
checks=$((checks + 1))
[ "$(grep -c ' ok$' "$work/out")" -eq 6 ] || fail "not 2 precisions on the server and 4 ways here: $(cat "$work/out")"
stop_server

# Killed at any moment: the same command goes on, no trial is lost or measured twice.
bench_grid() { exec "$berth" bench -q -m random:bert-tiny --length 16,64 --threads 1 --trials 600 -o "$work/killed.db" --name one; }
for wait in 0.15 0.3 0.2; do
    bench_grid >"$work/out" 2>&1 &
    killed=$!
    sleep $wait
    kill -KILL $killed 2>/dev/null && echo killed >>"$work/kills"
    wait $killed 2>/dev/null
done
(bench_grid) >"$work/out" 2>"$work/err" || fail "the run does not go on: $(cat "$work/err")"
checks=$((checks + 4))
[ -s "$work/kills" ] || fail "nothing was killed"
"$berth" export "$work/killed.db" --format json | grep -c '"uid"' | grep -qx 1 || fail "the run did not go on, but begin again"
[ "$("$berth" export "$work/killed.db" | tail -n +2 | cut -d, -f8,10 | sort -u | wc -l)" -eq 1200 ] || fail "trials are lost"
[ "$("$berth" export "$work/killed.db" | tail -n +2 | wc -l)" -eq 1200 ] || fail "trials are there twice"

# Two processes, one file.
for name in a b; do
    "$berth" bench -q -m random:bert-tiny --length 16 --threads 1 --trials 200 -o "$work/both.db" --name $name >"$work/out.$name" 2>&1 &
done
wait
checks=$((checks + 2))
for name in a b; do
    [ "$("$berth" export "$work/both.db" --run $name | tail -n +2 | wc -l)" -eq 200 ] || fail "run $name: $(cat "$work/out.$name")"
done

finish
