#!/usr/bin/env bash
# Many clients, slow ones, too many at once, and an end in the middle of it all.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"

for i in $(seq 400); do echo "This film number $i is neither the best nor the worst that I have seen this year."; done >"$work/long"
json_list "$work/long" >"$work/long.json"

# parallel clients, models swapped under them: every answer is the right one
start_server -m tiny=random:bert-tiny -m other=random:bert-mini
ask 200 "" -X POST "$url/set_model?model_type=tiny&num_threads=1"
for i in $(seq 8); do
    head -n $((i * 5)) "$work/long" | json_list /dev/stdin >"$work/client$i.json"
    ask 200 "" "$url/inference?model=tiny" -d "@$work/client$i.json"
    predictions "$work/body" >"$work/right$i"
done
client() { # a number of its own; each answer compared
    for _ in $(seq 10); do
        curl -s --max-time 60 "$url/inference?model=tiny" -d "@$work/client$1.json" >"$work/answer$1"
        predictions "$work/answer$1" | cmp -s - "$work/right$1" || echo "client $1: $(head -c 200 "$work/answer$1")" >>"$work/wrong"
    done
}
clients=()
for i in $(seq 8); do client "$i" & clients+=($!); done
for i in $(seq 10); do ask 200 "Model set" -X POST "$url/set_model?model_type=tiny&num_threads=$((1 + i % 2))"; done
wait "${clients[@]}"
checks=$((checks + 80))
[ ! -e "$work/wrong" ] || fail "$(head -3 "$work/wrong")"

# health and the other model answer while one computes; what runs when the end comes is answered
curl -s --max-time 120 "$url/inference?model=other" -d "@$work/long.json" -o "$work/in-flight" &
flying=$!
sleep 0.2
ask 200 '"ok"' --max-time 2 "$url/health"
ask 200 '"predictions"' --max-time 10 "$url/inference?model=tiny" -d '["quick"]'
stop_server
wait $flying
[ "$(predictions "$work/in-flight" | wc -l)" -eq 400 ] || fail "in flight at the end: $(head -c 200 "$work/in-flight")"
curl -s --max-time 2 "$url/health" && fail "a stopped server answers"

# the end under load: each client gets an answer, a refusal in our words, or no connection
start_server -m tiny=random:bert-tiny
hammer() {
    while got=$(curl -s -o "$work/hammer$1" -w '%{http_code}' --max-time 60 "$url/inference?model=tiny" -d "@$work/client$1.json"); do
        case $got in 200 | 503) ;; *) echo "HTTP $got" >>"$work/wrong" ;; esac
    done
}
clients=()
for i in $(seq 4); do hammer "$i" & clients+=($!); done
sleep 0.5
stop_server
wait "${clients[@]}"
[ ! -e "$work/wrong" ] || fail "under load: $(sort "$work/wrong" | uniq -c)"

# too many at once: 429 with Retry-After, and the one that was taken is answered
start_server -m other=random:bert-mini --max-concurrent-requests 1
checks=$((checks + 1))
clients=()
for i in 1 2 3 4 5; do
    curl -s --max-time 120 -o "$work/many$i" -w '%{http_code} %header{retry-after}\n' "$url/inference?model=other" -d "@$work/long.json" \
        >"$work/code$i" 2>/dev/null &
    clients+=($!)
done
wait "${clients[@]}"
cat "$work"/code? >"$work/codes"
grep -q '^200' "$work/codes" || fail "too many: none was answered: $(paste -sd, "$work/codes")"
grep -q '^429 1' "$work/codes" || fail "too many: none was refused: $(paste -sd, "$work/codes")"
grep -Evq '^(200|429) ' "$work/codes" && fail "too many: $(paste -sd, "$work/codes")"
stop_server

# slow ones are cut: a byte now and then does not help
start_server -m tiny=random:bert-tiny --request-timeout-ms 800
slow() { # slow WHAT BEGINNING BYTES: sends BYTES five times a second until the connection ends
    checks=$((checks + 1))
    exec 3<>"/dev/tcp/$(host_and_port)"
    printf '%b' "$2" >&3
    (trap '' PIPE; for _ in $(seq 50); do printf '%b' "$3" >&3 || exit; sleep 0.2; done) 2>/dev/null &
    local sender=$!
    timeout 8 cat <&3 >"$work/raw" 2>/dev/null
    [ $? -ne 124 ] || fail "slow $1: not cut within 8 s"
    exec 3>&-
    kill $sender 2>/dev/null
    wait $sender 2>/dev/null
    grep -q '^HTTP/1.1 200' "$work/raw" && fail "slow $1: answered"
}
slow line 'GET /heal' a
slow headers 'GET /health HTTP/1.1\r\nHost: x\r\n' 'X-A: b\r\n'
slow body 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n' a
slow chunks 'POST /inference HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n' '1\r\na\r\n'
ask 200 '"ok"' "$url/health"
stop_server

# beginnings that fail
start_server -m tiny=random:bert-tiny
refused "Address already in use" "$berth" serve -q -m tiny=random:bert-tiny --port "${url##*:}"
stop_server
refused "host 'no such host'" "$berth" serve -q -m tiny=random:bert-tiny --port 0 --host 'no such host'
refused "no such directory" "$berth" serve -q -m tiny=/nonexistent --port 0
refused "model name 'a/b'" "$berth" serve -q -m a/b=random:bert-tiny --port 0
finish
