#!/usr/bin/env bash
# deploy/: the units are sound, the container's file system runs without root, the load balancer loses nothing. Parts whose program is not here
# (systemd-analyze, haproxy, busybox, chroot) are left out, by name.
. "$(dirname "$0")/lib.sh"
deploy=$source_folder/deploy
left_out=
has() { command -v "$1" >/dev/null 2>&1 || { left_out="$left_out $1"; return 1; }; }
ended() { for _ in $(seq 200); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.05; done; return 1; }

# systemd: verified with this program in the place of the installed one
if has systemd-analyze; then
    for unit in berth.service berth@.service; do
        sed "s|/usr/bin/berth|$berth|" "$deploy/systemd/$unit" >"$work/$unit"
        name=${unit/@/@5001}
        [ "$name" = "$unit" ] || cp "$work/$unit" "$work/$name"
        expect 0 "" systemd-analyze verify --man=no "$work/$name"
        [ ! -s "$work/err" ] || fail "$unit: $(cat "$work/err")"
        expect 0 "" systemd-analyze security --offline=true --threshold=15 --no-pager "$work/$name"
    done
    sed 's/^ExecStart=.*/ExecStart=berth with no path/; s/^Type=.*/Type=nonsense/' "$work/berth.service" >"$work/broken.service"
    systemd-analyze verify --man=no "$work/broken.service" >"$work/out" 2>&1
    [ -s "$work/out" ] || fail "a broken unit is not noticed: the checks above are void"
fi

# the container's file system: the program, nobody's rights, nothing else of this machine
if ldd "$berth" 2>/dev/null | grep -qE 'lib(a|t)san'; then
    left_out="$left_out container (a sanitizer wants /proc, which a container's bare file system lacks)"
elif [ "$(id -u)" -eq 0 ] && has chroot && has ldd; then
    expect 0 "" "$deploy/container/rootfs" "$berth" "$work/root"
    inside() { chroot --userspec=65532:65532 "$work/root" "$@"; }
    expect 0 "" inside /usr/bin/berth --version
    chroot --userspec=65532:65532 "$work/root" /usr/bin/berth serve -q -m tiny=random:bert-tiny --port 0 >"$work/listening" 2>"$work/err" &
    server=$!
    for _ in $(seq 100); do grep -q listening "$work/listening" && break; sleep 0.1; done
    url=$(sed -n 's/^listening on //p' "$work/listening")
    if [ -x "$work/root/bin/busybox" ]; then
        expect 0 "" inside /bin/busybox wget -q -O - "$url/health"
    else
        left_out="$left_out busybox"
    fi
    expect 0 "" curl -sf "$url/inference?model=tiny" -d '["a film"]'
    [ "$(awk '/^Uid/ { print $2 }' /proc/$server/status)" = 65532 ] || fail "it runs as somebody else"
    kill -TERM $server
    wait $server || fail "the container's server did not end with 0: $(cat "$work/err")"
fi

# load REQUESTS URL: posts so many, 16 at once; prints the statuses and their counts
load() {
    curl -s -Z --parallel-immediate --parallel-max 16 -o /dev/null -w '%{http_code}\n' -d '["a gripping, funny film", "the plot falls apart"]' \
        "$2/inference?model=tiny&n=[1-$1]" 2>/dev/null | sort | uniq -c | awk '{ print $2 "=" $1 }' | tr '\n' ' '
}
answered() { tr ' ' '\n' <"$1" | sed -n 's/^200=//p'; }

# nginx in front of three processes: one killed, then one stopped, under load
if has nginx; then
    port=$((10000 + RANDOM % 20000 / 10 * 10)) # below those that clients are given
    sed "s|500\([0-3]\)|$((port / 10))\1|; s|/tmp/berth-nginx|$work/nginx|" "$deploy/nginx/nginx.conf" >"$work/nginx.conf"
    expect 0 "" nginx -t -c "$work/nginx.conf"
    sed 's|proxy_pass|proxy_pas|' "$work/nginx.conf" >"$work/broken.conf"
    nginx -t -c "$work/broken.conf" 2>/dev/null && fail "a broken nginx.conf is not noticed"
    servers=()
    for i in 1 2 3; do
        "$berth" serve -q -m tiny=random:bert-tiny --threads 1 --port $((port + i)) >"$work/behind$i" 2>&1 &
        servers+=($!)
    done
    for i in 1 2 3; do for _ in $(seq 100); do grep -q listening "$work/behind$i" && break; sleep 0.1; done; done
    nginx -c "$work/nginx.conf" -g 'daemon off;' 2>"$work/nginx.err" &
    front=$!
    for _ in $(seq 100); do curl -sf "http://127.0.0.1:$port/health" >/dev/null && break; sleep 0.1; done
    expect 0 "" curl -sf -H 'x-request-id: mine' -D "$work/headers" "http://127.0.0.1:$port/predict" -d '{"inputs": "a film"}'
    grep -qi '^x-request-id: mine' "$work/headers" || fail "nginx: the client's id is lost"
    expect 22 "" curl -sf "http://127.0.0.1:$port/metrics"
    for how in KILL TERM; do
        load 6000 "http://127.0.0.1:$port" >"$work/behind" &
        loader=$!
        sleep 0.5
        kill -$how "${servers[0]}"
        wait $loader
        wait "${servers[0]}" 2>/dev/null
        servers=("${servers[@]:1}")
        echo "nginx, one process ended by $how under load, 6000 requests: $(cat "$work/behind")"
        checks=$((checks + 1))
        [ "$(answered "$work/behind")" -ge $((6000 - 16)) ] || fail "nginx: $how lost more than was held: $(cat "$work/behind") $(tail -3 "$work/nginx.err")"
    done
    kill -TERM $front "${servers[@]}"
    wait $front "${servers[@]}"
fi

# haproxy in front of three processes: one killed, then all started anew, under load
if has haproxy; then
    port=$((10000 + RANDOM % 20000 / 10 * 10)) # below those that clients are given
    BERTH=$berth BERTH_FRONT=127.0.0.1:$port "$deploy/haproxy/fleet" -n 3 -p $port -m tiny=random:bert-tiny --threads 1 \
        >"$work/fleet" 2>"$work/fleet.err" &
    fleet=$!
    for _ in $(seq 100); do grep -q listening "$work/fleet" && break; sleep 0.1; done
    grep -q listening "$work/fleet" || fail "the fleet does not start: $(cat "$work/fleet.err")"
    sleep 1
    load 6000 "http://127.0.0.1:$port" >"$work/killed" &
    loader=$!
    sleep 0.5
    victim=$(sed -n 's/.*processes //p' "$work/fleet" | cut -d ' ' -f 2)
    kill -9 "$victim"
    ended $loader || wait $loader
    wait $loader
    echo "one of three killed under load, 6000 requests: $(cat "$work/killed")"
    [ "$(answered "$work/killed")" -ge $((6000 - 16)) ] || fail "a kill lost more than was held: $(cat "$work/killed")"
    for _ in $(seq 60); do grep -q "starting another" "$work/fleet.err" && break; sleep 0.1; done
    grep -q "starting another" "$work/fleet.err" || fail "the killed process is not started again"
    sleep 1.5
    (while [ ! -e "$work/enough" ]; do load 2000 "http://127.0.0.1:$port"; done >"$work/anew") &
    loader=$!
    sleep 0.3
    kill -HUP $fleet
    for _ in $(seq 200); do grep -q "started anew" "$work/fleet" && break; sleep 0.1; done
    : >"$work/enough"
    wait $loader
    grep -q "started anew" "$work/fleet" || fail "not started anew: $(cat "$work/fleet.err")"
    echo "all three started anew under load: $(tr ' ' '\n' <"$work/anew" | awk -F= 'NF { n[$1] += $2 } END { for (s in n) print s "=" n[s] }' | tr '\n' ' ')"
    ! tr ' ' '\n' <"$work/anew" | grep -v '^200=' | grep -q . || fail "a start anew lost requests: $(cat "$work/anew")"
    kill -TERM $fleet
    wait $fleet || fail "the fleet did not end with 0"
    # the counting counts: a server alone loses what it held
    "$berth" serve -q -m tiny=random:bert-tiny --port 0 >"$work/alone" 2>&1 &
    server=$!
    for _ in $(seq 100); do grep -q listening "$work/alone" && break; sleep 0.1; done
    load 6000 "$(sed -n 's/^listening on //p' "$work/alone")" >"$work/lost" &
    loader=$!
    sleep 0.3
    kill -9 $server
    wait $server 2>/dev/null
    wait $loader
    echo "a server alone, killed under load: $(cat "$work/lost")"
    [ "$(answered "$work/lost")" != 6000 ] || fail "nothing was lost by a server alone: the counts above are void"
fi

# manifests: what one of them names is what another has, and what the server has
if has python3 && python3 -c 'import yaml' 2>/dev/null; then
    "$berth" serve -q -m m=random:bert-tiny --port 0 >"$work/probed" 2>&1 &
    server=$!
    for _ in $(seq 100); do grep -q listening "$work/probed" && break; sleep 0.1; done
    url=$(sed -n 's/^listening on //p' "$work/probed")
    curl -sf "$url/inference?model=m" -d '["a film"]' >/dev/null
    curl -sf "$url/metrics" >"$work/metrics"
    manifests() { expect "$1" "" python3 "$(dirname "$0")/manifests.py" "$2" "$berth" "$work/metrics" "$url"; }
    manifests 0 "$deploy"
    [ ! -s "$work/out" ] || [ "$(cat "$work/out")" = "" ] || fail "manifests: $(cat "$work/out")"
    for change in 's/{app.kubernetes.io\/name: berth}/{app: berth}/:kubernetes/service.yaml' 's/5001/5002/:kubernetes/network.yaml' 's/ready, port/redy, port/:kubernetes/deployment.yaml' \
        's/serve$/serv/:kserve/servingruntime.yaml' 's/berth_queue_duration_seconds_sum/berth_queue_sum/:kubernetes/prometheus-adapter.yaml' 's/^  - service.yaml/  - services.yaml/:kubernetes/kustomization.yaml'; do
        rm -rf "$work/deploy" && cp -r "$deploy" "$work/deploy" # the checker sees each of these
        sed -i "${change%:*}" "$work/deploy/${change##*:}"
        manifests 1 "$work/deploy"
    done
    kill -TERM $server
    wait $server
else
    left_out="$left_out python3-yaml"
fi

if has kubectl; then
    expect 0 "" kubectl kustomize "$deploy/kubernetes"
    for kind in Namespace Deployment Service HorizontalPodAutoscaler PodDisruptionBudget NetworkPolicy; do
        grep -q "^kind: $kind$" "$work/out" || fail "no $kind among the manifests"
    done
fi
[ -z "$left_out" ] || echo "left out, not here:$left_out"
[ "$checks" -gt 0 ] || { echo "SKIP: none of systemd-analyze, chroot, haproxy, kubectl"; exit 77; }
finish
