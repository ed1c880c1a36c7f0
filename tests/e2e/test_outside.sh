#!/usr/bin/env bash
# Clients that others wrote drive the server: curl, wrk, hey; and a script of the peers' exact shapes (conformance.mjs). What the
# clients counted is what the metrics count. A client that is not here is left out, by name.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"
left_out=
has() { command -v "$1" >/dev/null 2>&1 || { left_out="$left_out $1"; return 1; }; }
start_server -m sst2=bundled:sst2 --threads 1
counted() { # SUCCESS or FAILURE: requests of the model
    curl -s "$url/metrics" | sed -n "s/^nv_inference_request_$1{[^}]*model=\"sst2\"[^}]*} //p" | awk '{ n += $1 } END { printf "%d\n", n }'
}

if has node; then
    checks=$((checks + 2))
    node "$(dirname "$0")/conformance.mjs" "$url" || fail "conformance.mjs"
    node "$(dirname "$0")/conformance.mjs" "$url" broken >"$work/out" 2>&1 && fail "conformance.mjs does not see a wrong shape"
    [ "$(grep -c ^FAILED "$work/out")" -eq 1 ] || fail "one shape was broken: $(cat "$work/out")"
fi

before=$(counted success)
ask 200 '"label":"positive"' "$url/predict" -H 'Content-Type: application/json' -d '{"inputs": "I like you."}'
ask 200 '"FP32"' --http1.0 "$url/v2/models/sst2/infer" -d '{"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}'
ask 200 '"predictions"' -H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue' "$url/inference?model=sst2" -d '["a"]'
checks=$((checks + 1))
[ "$(counted success)" -eq $((before + 3)) ] || fail "curl: 3 requests, counted $(($(counted success) - before))"

if has wrk; then
    cat >"$work/predict.lua" <<'END'
wrk.method = "POST"
wrk.body = '{"inputs": "a gripping, funny film"}'
wrk.headers["Content-Type"] = "application/json"
END
    before=$(counted success)
    checks=$((checks + 2))
    wrk -t1 -c16 -d1s -s "$work/predict.lua" "$url/predict" >"$work/out" 2>&1 || fail "wrk: $(cat "$work/out")"
    grep -qE 'Non-2xx|Socket errors' "$work/out" && fail "wrk: $(cat "$work/out")"
    requests=$(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$work/out") counts=$(($(counted success) - before))
    # it stops reading at its time: up to one answer a connection is on its way then
    { [ "$requests" -gt 0 ] && [ "$counts" -ge "$requests" ] && [ "$counts" -le $((requests + 16)) ]; } || fail "wrk counted $requests, the metrics $counts"
fi
if has hey; then
    before=$(counted success)
    checks=$((checks + 3))
    hey -n 2000 -c 16 -m POST -T application/json -d '{"inputs": ["a film", "another"]}' "$url/predict" >"$work/out" 2>&1 || fail "hey: $(cat "$work/out")"
    grep -qE '\[200\][[:space:]]+2000 responses' "$work/out" || fail "hey: $(tail -5 "$work/out")"
    [ $(($(counted success) - before)) -eq 2000 ] || fail "hey counted 2000, the metrics $(($(counted success) - before))"
    before=$(counted failure)
    hey -n 200 -c 8 -m POST -d '{"inputs": 5}' "$url/predict" >"$work/out" 2>&1
    { grep -qE '\[422\][[:space:]]+200 responses' "$work/out" && [ $(($(counted failure) - before)) -eq 200 ]; } || fail "hey: 200 wrong ones, counted $(($(counted failure) - before)): $(tail -5 "$work/out")"
fi
[ -z "$left_out" ] || echo "left out, not here:$left_out"
stop_server
finish
