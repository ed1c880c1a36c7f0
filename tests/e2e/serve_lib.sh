# serve_lib.sh: what the tests of the server share: starting, asking, stopping. Sourced after lib.sh.
server=

# start_server ARGUMENTS...: sets $server (process) and $url; ends the test when it does not listen.
start_server() {
    : >"$work/listening" # the address of a server before this one must not be taken for this one's
    "$berth" serve --port 0 --quiet "$@" >"$work/listening" 2>"$work/server" </dev/null &
    server=$!
    trap 'kill -KILL $server 2>/dev/null; rm -rf "$work"' EXIT
    for _ in $(seq 600); do
        url=$(sed -n 's/^listening on //p' "$work/listening")
        [ -n "$url" ] && return
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
    done
    fail "berth serve $*: does not listen: $(cat "$work/server")"
    finish
}

# stop_server: SIGTERM; exit 0 and nothing on stderr is asked of it (a sanitizer would speak there).
stop_server() {
    checks=$((checks + 1))
    kill -TERM "$server"
    wait "$server"
    local got=$?
    [ "$got" -eq 0 ] || fail "the server's exit $got: $(tail -c 2000 "$work/server")"
    [ ! -s "$work/server" ] || fail "the server's stderr: $(head -c 2000 "$work/server")"
}

# ask STATUS WORDS CURL-ARGUMENTS...: the HTTP status, and a body with WORDS in it; both stay in $work/headers and $work/body.
ask() {
    local status=$1 words=$2 got
    shift 2
    checks=$((checks + 1))
    got=$(curl -s -o "$work/body" -D "$work/headers" -w '%{http_code}' --max-time 60 "$@")
    [ "$got" = "$status" ] || fail "HTTP $got, want $status: $*: $(head -c 300 "$work/body")"
    [ -z "$words" ] || grep -qF -- "$words" "$work/body" || fail "no '$words' in the answer to: $*: $(head -c 300 "$work/body")"
}

# ask_wrong: the same, and the body is an error object of our shape.
ask_wrong() {
    ask "$@"
    grep -Eq '^\{"error": ".+", "error_type": "[A-Za-z]+"\}$' "$work/body" || fail "not an error object: $(head -c 300 "$work/body")"
}

# json_list FILE: its lines (without quotes and backslashes) as a JSON list of texts.
json_list() {
    sed 's/.*/"&"/' "$1" | paste -sd, | sed 's/.*/[&]/'
}

# predictions FILE: the rows of an /inference answer, a line each, without spaces.
predictions() {
    sed 's/.*"predictions": \[\(\[.*\]\)\], "time".*/\1/; s/\], \[/]\n[/g' "$1" | tr -d ' '
}

# host_and_port: of $url, for /dev/tcp.
host_and_port() {
    printf '%s' "${url#http://}" | tr : /
}
