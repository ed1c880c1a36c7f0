#!/usr/bin/env bash
# test_demo.sh: `berth demo`: which deployments it serves, what it says of those it leaves out, --only, --published offline, --open.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/serve_lib.sh"
model=random:bert-tiny
export BERTH_ORT_LIBRARY=/nonexistent/libonnxruntime.so HF_HUB_OFFLINE=1 HF_HUB_CACHE=$work/cache

# start_demo ARGUMENTS...: as start_server.
start_demo() {
    : >"$work/listening"
    "$berth" demo --port 0 "$@" >"$work/listening" 2>"$work/server" </dev/null &
    server=$!
    trap 'kill -KILL $server 2>/dev/null; rm -rf "$work"' EXIT
    for _ in $(seq 600); do
        if grep -q 'The page: ' "$work/listening"; then # the address stands before it
            url=$(sed -n 's/^listening on //p' "$work/listening")
            return
        fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    fail "berth demo $*: $(cat "$work/server")"
    finish
}
# end_demo WORDS: SIGINT ends it well; stderr has said WORDS, or nothing.
end_demo() {
    checks=$((checks + 1))
    kill -TERM "$server"
    wait "$server" || fail "exit $?: $(tail -c 500 "$work/server")"
    if [ -n "$1" ]; then
        grep -qF -- "$1" "$work/server" || fail "no '$1' on stderr: $(cat "$work/server")"
    else
        [ ! -s "$work/server" ] || fail "stderr: $(head -c 500 "$work/server")"
    fi
}
# deployments: the names that the page shows, a space between.
deployments() {
    curl -s --max-time 20 "$url/api/deployments" | grep -o '{"name":"[^"]*"' | sed 's/.*:"//; s/"//' | tr '\n' ' '
}
shows() {
    checks=$((checks + 1))
    [ "$(deployments)" = "$1" ] || fail "shows $(deployments), want $1"
}

# the bundled model at every precision; one more; one elsewhere; ONNX Runtime's library is missing, and that is said
mkdir -p "$work/bin"
printf '#!/bin/sh\necho "$1" >"%s/opened"\n' "$work" >"$work/bin/xdg-open"
chmod +x "$work/bin/xdg-open"
PATH=$work/bin:$PATH start_demo -m "mine=$model,precision=int8" --remote far=http://127.0.0.1:9 --open
shows "fp32 bf16 int8 mine far "
grep -qxF "  The page: $url/" "$work/listening" || fail "the address is not said: $(cat "$work/listening")"
ask 200 "<!doctype html>" "$url/"
for name in fp32 bf16 int8 mine; do
    ask 200 "\"deployment\":\"$name\",\"label\":" -H 'Content-Type: application/json' "$url/api/predict" \
        -d "{\"deployment\": \"$name\", \"text\": \"a warm, funny film\"}"
done
ask 200 '"error":' -H 'Content-Type: application/json' "$url/api/predict" -d '{"deployment": "far", "text": "a warm, funny film"}'
for _ in $(seq 100); do [ -s "$work/opened" ] && break; sleep 0.05; done
checks=$((checks + 1))
[ "$(cat "$work/opened")" = "$url" ] || fail "--open opened $(cat "$work/opened")"
end_demo "onnxruntime is left out: "

# ONNX Runtime, where there is one
library=
for place in "$source_folder"/build/peers/node_modules/onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1; do
    [ -e "$place" ] && library=$place
done
if [ -n "$library" ]; then
    start_demo --ort-library "$library"
    shows "fp32 bf16 int8 onnxruntime "
    end_demo ""
fi

start_demo -q --only -m "$model" -m "b=$model"
shows "$model b "
end_demo ""

# nothing is fetched when the network is forbidden; what cannot be had is named, and the others are served
start_demo --published --only -m "a=$model"
shows "a "
end_demo "bert-base is left out: "
expect 1 "none of the models could be had" "$berth" demo --port 0 --published --only
expect 2 "nothing is left to show" "$berth" demo --only
expect 2 "two deployments are named 'int8'" "$berth" demo -m "int8=$model"
expect 2 "two deployments are named 'fp32'" "$berth" demo --remote fp32=http://127.0.0.1:9
expect 2 "beyond 65535" "$berth" demo --port 70000
expect 2 "unexpected argument" "$berth" demo film
expect 1 "/nonexistent" "$berth" demo --port 0 --data /nonexistent
finish
