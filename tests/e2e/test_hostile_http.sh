#!/usr/bin/env bash
# Hostile requests: bytes that two readers could read differently (hostile_http.mjs), content that is wrong in every way that an
# endpoint could be asked (hostile_bodies.mjs). Nothing is left behind by them: no connection, no thread that stalls, no memory.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"
command -v node >/dev/null 2>&1 || { echo "SKIP: no node"; exit 77; }
start_server -m tiny=random:bert-tiny --max-body-bytes 100000 --threads 1 --unix-socket "$work/socket"
url=${url%%$'\n'*} # the socket is the second line
place=${url#http://}
ask 200 "" -X POST "$url/set_model?model_type=tiny"

hostile() {
    checks=$((checks + 1))
    node "$(dirname "$0")/$1" "${place%:*}" "${place##*:}" tiny || fail "$1"
}
resident() {
    curl -s "$url/metrics" | sed -n 's/^process_resident_memory_bytes \([0-9]*\).*/\1/p'
}
hostile hostile_http.mjs
hostile hostile_bodies.mjs
before=$(resident)
hostile hostile_http.mjs
hostile hostile_bodies.mjs
after=$(resident)
checks=$((checks + 2))
# a sanitizer keeps what was freed
[ -n "$part" ] || [ $((after - before)) -lt $((8 << 20)) ] || fail "memory: $before bytes before, $after after the same again"
for _ in $(seq 100); do # those that left are seen to have left
    connections=$(curl -s "$url/metrics" | sed -n 's/^berth_connections //p')
    [ "$connections" = 1 ] && break
    sleep 0.1
done
[ "$connections" = 1 ] || fail "$connections connections are left"

# the same over the Unix socket, by one request that needs every check
checks=$((checks + 1))
curl -s --unix-socket "$work/socket" -H 'Transfer-Encoding: gzip' http://x/health | grep -q "must be 'chunked'" || fail "the Unix socket's requests are not looked at"
stop_server
finish
