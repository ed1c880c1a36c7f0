#!/usr/bin/env bash
# Bad input over HTTP: each gets a clear answer or a closed connection, and the server goes on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"
trap '' PIPE # a server that has already answered may close while a client still sends
start_server -m tiny=random:bert-tiny --max-body-bytes 100000 --request-timeout-ms 10000
ask 200 "" -X POST "$url/set_model?model_type=tiny"

# bodies
infer() { ask_wrong "$1" "$2" "$url/inference" --data-binary "@$work/input"; }
wrong_body() {
    printf '%b' "$3" >"$work/input"
    infer "$1" "$2"
}
wrong_body 400 "not JSON" ''
wrong_body 400 "not JSON" 'hello'
wrong_body 400 "not JSON" '["a"'
wrong_body 400 "not JSON" '["a"] x'
wrong_body 400 "not JSON" '["a",]'
wrong_body 400 "not JSON" "['a']"
wrong_body 400 "not JSON" '["\xff\xfe"]'
wrong_body 400 "not JSON" '["\xc3"]'
wrong_body 400 "not JSON" '\0\0\0'
wrong_body 422 "not a list" '{}'
wrong_body 422 "not a list" '{"inputs": ["a"]}'
wrong_body 422 "not a list" '"a"'
wrong_body 422 "not a list" 'null'
wrong_body 400 "not JSON" '1e999999'
wrong_body 400 "empty" '[]'
wrong_body 422 "item 0" '[1]'
wrong_body 422 "item 1" '["a", null]'
wrong_body 422 "item 2" '["a", "b", ["c", "d"]]'
printf '[%.0s' $(seq 90000) >"$work/input" && infer 400 "depth"
{ printf '["' && head -c 100000 /dev/zero | tr '\0' a && printf '"]'; } >"$work/input" && infer 413 "larger than 100000"
head -c 20000000 /dev/zero >"$work/input" && infer 413 "larger than 100000"
ask_wrong 413 "larger than 100000" "$url/inference" -H 'Transfer-Encoding: chunked' --data-binary "@$work/input"
ask_wrong 413 "larger than 100000" "$url/inference" -H 'Expect: 100-continue' --data-binary "@$work/input"
ask_wrong 404 "no such path" "$url/nonsense" -H 'Expect:' --data-binary "@$work/input"

# odd, but right
ask 200 '"predictions": [[' "$url/inference" -H 'Transfer-Encoding: chunked' -d '["a"]'
ask 200 '"predictions": [[' "$url/inference" -H 'Content-Type: image/png' -d '["a"]'
ask 200 '"predictions": [[' "$url/inference" -H 'Content-Type:' -d ' [ "a" , "" ] '
ask 200 '"predictions": [[' "$url/inference" -d '["nul \u0000 inside", "\ud83d\ude00"]'
ask 200 '"predictions": [[' "$url/inference" -d '["a&model=nonsense&b"]'
ask 200 '"predictions": [[' -X POST "$url/inference?nonsense=%zz&&=&x" -d '["a"]'
{ printf '["' && head -c 90000 /dev/zero | tr '\0' a && printf '"]'; } >"$work/input"
ask 200 '"predictions": [[' "$url/inference" --data-binary "@$work/input"

# a lone surrogate is U+FFFD, as in a file of JSON Lines
ask 200 "" "$url/inference" -d '["a \ud800 b", "a \udc00\ud800 b"]'
predictions "$work/body" >"$work/lone"
ask 200 "" "$url/inference" -d '["a \ufffd b", "a \ufffd\ufffd b"]'
predictions "$work/body" | cmp -s - "$work/lone" || fail "lone surrogates: $(cat "$work/lone")"

# methods and paths
ask_wrong 405 "use POST" "$url/inference"
grep -qi '^allow: POST' "$work/headers" || fail "405 without Allow"
ask_wrong 405 "use POST" -X DELETE "$url/set_model"
ask_wrong 405 "use GET" -d x "$url/health"
ask_wrong 405 "use GET" -X BREW "$url/health"
ask 200 "<title>berth" "$url/"
ask_wrong 404 "no file 'nonsense.js'" "$url/page/nonsense.js"
ask_wrong 404 "no such path" "$url/health/"
ask_wrong 404 "no such path" "$url/%2e%2e/etc/passwd"
ask_wrong 400 "no %00" "$url/%2e%2e/%00/etc/passwd"
ask 200 "" -I "$url/health"
[ ! -s "$work/body" ] || grep -q '^HTTP' "$work/body" || fail "HEAD with a body"
ask 405 "" -I "$url/inference"

# keep-alive: three requests, one connection; also after an error
checks=$((checks + 1))
connections=$(curl -s -w '%{num_connects}\n' -o /dev/null "$url/health" -o /dev/null "$url/nonsense" -o /dev/null "$url/health" | paste -sd+)
[ "$connections" = 1+0+0 ] || fail "keep-alive: $connections connections"

# raw bytes: whatever comes back, the server lives. A half-closed connection still gets its answer.
raw() {
    exec 3<>"/dev/tcp/$(host_and_port)" || return
    printf '%b' "$1" >&3
    timeout 0.5 cat <&3 >"$work/raw" 2>/dev/null
    exec 3>&-
}
for bytes in '\r\n\r\n' 'nonsense\r\n\r\n' 'GET\r\n\r\n' 'GET /health\r\n\r\n' 'GET /health HTTP/9.9\r\n\r\n' '\0\0\0\0\r\n\r\n' \
    'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n["a"]' \
    'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n["a"]' \
    'POST /inference HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n["a"]' \
    'POST /inference HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n["a"]' \
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'; do
    checks=$((checks + 1))
    raw "$bytes"
    grep -q '^HTTP/1.1 200' "$work/raw" && fail "answered 200: $bytes"
done
raw "GET /$(head -c 100000 /dev/zero | tr '\0' a) HTTP/1.1\r\n\r\n"
grep -q '^HTTP/1.1 4' "$work/raw" || fail "a long path: $(head -c 100 "$work/raw")"
raw 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\n["a"]GET /health HTTP/1.1\r\n\r\n'
{ grep -q '^HTTP/1.1 400' "$work/raw" && grep -qF '{"error": "there must be one header Content-Length' "$work/raw"; } || fail "two lengths: $(head -c 300 "$work/raw")"
[ "$(grep -c '^HTTP/1.1' "$work/raw")" -eq 1 ] || fail "two lengths, two requests: $(head -c 300 "$work/raw")"
raw 'POST /inference HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n["a"]'
grep -q '"predictions"' "$work/raw" || fail "a closed-after request: $(head -c 300 "$work/raw")"
for i in $(seq 20); do # clients that leave: in the headers, in the body, before the answer
    exec 3<>"/dev/tcp/$(host_and_port)" && printf 'POST /inf' >&3 && exec 3>&-
    exec 3<>"/dev/tcp/$(host_and_port)" && printf 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n["a' >&3 && exec 3>&-
    exec 3<>"/dev/tcp/$(host_and_port)" && printf 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n["a"]' >&3 && exec 3>&-
done
ask 200 '"ok"' "$url/health"
ask 200 '"predictions": [[' "$url/inference" -d '["still here"]'

# a stop does not wait for a body that never ends
exec 5<>"/dev/tcp/$(host_and_port)" && printf 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n["a' >&5
sleep 0.2
started=$(date +%s)
stop_server
[ $(($(date +%s) - started)) -lt 5 ] || fail "the stop waited for a body: $(($(date +%s) - started)) s"
exec 5>&-

# a slow body is told so
start_server -m tiny=random:bert-tiny --request-timeout-ms 300
exec 5<>"/dev/tcp/$(host_and_port)" && printf 'POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n["a' >&5
timeout 5 cat <&5 >"$work/raw"
exec 5>&-
checks=$((checks + 1))
grep -q '^HTTP/1.1 408' "$work/raw" || fail "a slow body: $(head -c 300 "$work/raw")"
length=$(sed -n 's/^Content-Length: \([0-9]*\).*/\1/p' "$work/raw")
[ "$(sed '1,/^.$/d' "$work/raw" | wc -c)" -eq "${length:-0}" ] || fail "408: wrong length: $(cat "$work/raw")"
exec 5<>"/dev/tcp/$(host_and_port)" # nothing was asked: nothing is answered
timeout 5 cat <&5 >"$work/raw"
exec 5>&-
[ ! -s "$work/raw" ] || fail "an idle connection was answered: $(cat "$work/raw")"
stop_server
finish
