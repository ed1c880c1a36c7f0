#!/usr/bin/env bash
# Results from outside: export and its percentiles recomputed by awk, union of files, recommend and compare, bad input.
. "$(dirname "$0")/lib.sh"

# A CSV of two runs: 1200 latencies each, of a seeded generator.
awk 'BEGIN { srand(5); print "run,model,target,precision,threads,batch,length,trial,latency_ms,ok"
    for (r = 1; r <= 2; r++) for (i = 1; i <= 1200; i++) for (f = 1; f <= 2; f++)
        printf "r%d,m%d,local,fp32,1,1,16,%d,%.6f,%d\n", r, f, i, f * (4 - log(1 - rand())), i != 7 }' >"$work/a.csv"
expect 0 "" "$berth" export "$work/a.csv" --format db -o "$work/a.db"
expect 0 "" "$berth" export "$work/a.db" -o "$work/out.csv"
checks=$((checks + 3))
[ "$(head -1 "$work/out.csv")" = run,model,target,runtime,precision,threads,batch,length,scenario,trial,latency_ms,service_ms,ok ] ||
    fail "columns: $(head -1 "$work/out.csv")"
[ "$(wc -l <"$work/out.csv")" -eq 4801 ] || fail "not 4800 rows"
sort -t, -k1,1 -k2,2 -k8,8n "$work/a.csv" | grep ^r1,m1, | cut -d, -f9 | sort >"$work/in"
grep ^r1,m1, "$work/out.csv" | cut -d, -f11 | sort >"$work/back"
cmp -s "$work/in" "$work/back" || fail "the latencies do not come back as they were"

# Percentiles and their binomial intervals by awk, beside recommend's.
expect 3 "" "$berth" recommend "$work/a.db" --run r1 --model m1 --p50-ms 1000 --p90-ms 1000 --p99-ms 1000 --format json
cp "$work/out" "$work/said"
grep ^r1,m1, "$work/out.csv" | awk -F, '$13 == 1 { print $11 }' | sort -n | awk '
    function lgamma(x) { return (x - .5) * log(x) - x + .9189385332046727 + 1 / (12 * x) - 1 / (360 * x ^ 3) }
    { v[NR] = $1 }
    END { n = NR; split("0.5 0.9 0.99", q, " "); for (i = 1; i <= 3; i++) {
        r = int(q[i] * n); if (r < q[i] * n - 1e-9) r++
        below = 0; lo = hi = 0
        for (k = 0; k <= n; k++) { if (below <= .025) lo = k; if (!hi && k && 1 - below <= .025) hi = k
            below += exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(q[i]) + (n - k) * log(1 - q[i])) }
        printf "%.6f %.6f %.6f\n", v[r], v[lo], v[hi] } }' >"$work/awk"
tr -d ' \n' <"$work/said" | grep -o '"constraint":"p[0-9]*_ms"[^}]*' | head -3 |
    sed 's/.*"value":\([0-9.]*\),"ci":\[\([0-9.]*\),\([0-9.]*\)\].*/\1 \2 \3/' |
    awk '{ printf "%.6f %.6f %.6f\n", $1, $2, $3 }' >"$work/berth"
checks=$((checks + 1))
[ "$(wc -l <"$work/awk")" -eq 3 ] && cmp -s "$work/awk" "$work/berth" || fail "awk: $(cat "$work/awk"), berth: $(cat "$work/berth")"

# Two runs alike; the same with another factor; what fails is not dropped.
expect 0 "" "$berth" compare "$work/a.db" r1 r2
checks=$((checks + 1))
[ "$(grep -c 'no difference$' "$work/out")" -eq 2 ] || fail "identical runs differ: $(cat "$work/out")"
sed 's/^r1,m1/r3,m2/' "$work/a.csv" | grep -v ^r[12] >"$work/b.csv"
expect 0 "" "$berth" compare "$work/a.db" "$work/b.csv" r3 r1 --json
checks=$((checks + 2))
tr -d ' \n' <"$work/out" | grep -q '"verdict":"slower"' || fail "a factor of two is not found: $(cat "$work/out")"
expect 3 "" "$berth" recommend "$work/a.db" --p99-ms 0.1
grep -q 'nearest.*failed' "$work/out" || fail "failed trials are dropped: $(cat "$work/out")"

# The study's case study.
expect 0 "" "$berth" recommend bundled:study-2021 --length 32 --p99-ms 100 --min-accuracy 0.9 --price local_cpu=0.0475 \
    --price remote_cpu=0.3885 --price remote_v100=2.67
checks=$((checks + 2))
grep -q '^-> 1. electra-small on local_cpu' "$work/out" || fail "case study: $(cat "$work/out")"
grep -q 'bert-base on remote_cpu.*p99 132.1 ms (a bound' "$work/out" || fail "no reason: $(cat "$work/out")"
expect 0 "" "$berth" export bundled:study-2021 --format study
checks=$((checks + 1))
grep -q '"bs32_sl11":{"local_cpu":{"local_time":{"mean":7.7293,"std":0.037},"total_time":{"mean":7.7361' "$work/out" ||
    fail "the study's JSON: $(head -c 500 "$work/out")"

# Accuracy holds for the same weights, whichever run measured it, and not for others of that name.
model=$source_folder/models/sst2
for what in "--data $source_folder/examples/reviews.tsv --task sst2" "--length 16 --trials 6"; do
    # shellcheck disable=SC2086
    expect 0 "" "$berth" bench -q -m sst2="$model" other=random:bert-tiny $what --threads 1 -o "$work/acc.db"
done
expect 0 "" "$berth" bench -q -m sst2=random:bert-tiny --length 16 --trials 6 --threads 1 -o "$work/random.db"
checks=$((checks + 5))
sum=$(sha256sum "$model/model.safetensors" | cut -d' ' -f1)
"$berth" export "$work/acc.db" --format json >"$work/acc.json"
[ "$(grep -o "\"hash\":\"$sum\"" "$work/acc.json" | wc -l)" -eq 2 ] || fail "the models' hashes: $(grep hash "$work/acc.json")"
"$berth" report "$work/acc.db" --json | tr -d ' \n' | grep -o '"known_accuracy":[^,]*' | sort | uniq -c >"$work/known"
[ "$(grep -c ' 2 "known_accuracy":[01]\.' "$work/known")" -eq 2 ] || fail "accuracy of the same weights: $(cat "$work/known")"
expect 0 "" "$berth" recommend "$work/acc.db" --model sst2 --p50-ms 1000 --min-accuracy 0.5
grep -A1 '^texts of 16 tokens: 1 of 1' "$work/out" | grep -q '^-> 1. sst2' || fail "accuracy of another run: $(cat "$work/out")"
"$berth" report "$work/acc.db" "$work/random.db" --json | tr -d ' \n' | grep -o '"known_accuracy":null' | grep -c . | grep -qx 1 ||
    fail "random weights have the accuracy of their name"

# What was exported is the same question as what was measured.
expect 0 "" "$berth" bench -q -m m=random:bert-tiny --length 8 --threads 1 --trials 30 --name one -o "$work/one.db"
"$berth" export "$work/one.db" | sed 's/^one,/two,/' >"$work/two.csv"
expect 0 "" "$berth" compare "$work/one.db" "$work/two.csv" one two
checks=$((checks + 1))
grep -q 'no difference$' "$work/out" || fail "a run and itself: $(cat "$work/out")"

# Several runs under one name, measured in turns, are compared pair by pair.
for i in 1 2 3 4 5 6; do
    for name in a b; do
        "$berth" bench -q -m m=random:bert-$([ $name = a ] && echo tiny || echo small) --length 8 --threads 1 --trials 6 --fresh --name $name \
            -o "$work/turns.db" >"$work/out" || fail "a run in turns"
    done
done
expect 0 "" "$berth" compare "$work/turns.db" a b
checks=$((checks + 2))
grep -q '^m .*  6     6 .* B is slower$' "$work/out" || fail "six runs in turns: $(cat "$work/out")"
expect 0 "" "$berth" compare "$work/turns.db" b a --json
tr -d ' \n' <"$work/out" | grep -q '"runs":6,.*"verdict":"faster"' || fail "six runs in turns: $(cat "$work/out")"

# The study's published figures among the files are not taken for measured ones; places without a baseline have no panel.
expect 0 "" "$berth" bench -q --suite study -m bert-base=random:bert-tiny bert-tiny=random:bert-tiny --runtime native --precision fp32 \
    --batch 2 --length 32 --threads 1 --trials 6 -o "$work/suite.db"
expect 0 "" "$berth" report "$work/suite.db" bundled:study-2021 --json
tr -d ' \n' <"$work/out" | sed 's/.*"study":\[\([^]]*\).*/\1/' | tr '}' '\n' | grep '"published":false' >"$work/measured"
[ "$(grep -c . "$work/measured")" -eq 1 ] || fail "measured beside the study: $(cat "$work/measured")"

# A report: all its files, whole; without gnuplot one sentence and no page.
if command -v gnuplot >/dev/null; then
    expect 0 "" "$berth" report bundled:study-2021 -o "$work/report" --price local_cpu=0.0475
    checks=$((checks + 1))
    for name in model_summary time_vs_input speedup all_vs_all largest_input optimization pareto cost; do
        [ -s "$work/report/$name.png" ] && grep -q '</svg>' "$work/report/$name.svg" || fail "no figure $name"
    done
    expect 0 "" "$berth" bench -q -m distilbert=random:bert-tiny bert-tiny=random:bert-tiny --length 8 --threads 1 --trials 6 -o "$work/part.db"
    expect 0 "" "$berth" report "$work/part.db" bundled:study-2021 --baseline bert-base -o "$work/part"
    checks=$((checks + 1))
    head -c 300 "$work/part/speedup.svg" | grep -q 'width="1350" height="870"' || fail "not six panels: $(head -c 300 "$work/part/speedup.svg")"
    grep -q '^</html>$' "$work/report/report.html" && grep -q '^# Report' "$work/report/report.md" || fail "no pages"
    ls -A "$work/report" | grep -q '^\.' && fail "left behind: $(ls -A "$work/report")"
fi
expect 1 "install the package gnuplot-nox" "$berth" report "$work/a.db" -o "$work/none" --gnuplot /nonexistent
[ ! -e "$work/none/report.html" ] || fail "a page without its figures"
expect 2 "no folder" "$berth" report "$work/a.db"

# Bad input.
expect 3 "" "$berth" recommend "$work/a.db" --max-cost 5
refused "no run 'weekly'; there are" "$berth" compare "$work/a.db" r1 weekly
refused "are the same run" "$berth" compare "$work/a.db" r1 r1
refused "a price for 'gpu'" "$berth" recommend "$work/a.db" --price gpu=1
refused "none of its" "$berth" recommend "$work/a.db" --model other
refused "No such file" "$berth" export "$work/nothing.db"
refused "have no latencies" "$berth" export bundled:study-2021
head -c 5000 "$work/a.db" >"$work/cut.db"
refused "damaged" "$berth" recommend "$work/cut.db"
printf 'nonsense and more of it\n' >"$work/text"
refused "neither a results file nor a CSV" "$berth" compare "$work/text" a b
printf 'model,target,batch,latency_ms\nm,t,1,fast\n' >"$work/bad.csv"
refused "bad.csv:2: 'fast' is no latency_ms" "$berth" export "$work/bad.csv"
printf 'model,target,batch,latency_ms\nm,t,1\n' >"$work/bad.csv"
refused "bad.csv:2: 3 columns" "$berth" export "$work/bad.csv"
expect 2 "" "$berth" recommend "$work/a.db" --price local
expect 2 "" "$berth" compare "$work/a.db"
finish
