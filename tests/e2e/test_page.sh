#!/usr/bin/env bash
# The page in a real browser: tests/browser/page.test.mjs over Debian's Chromium and Playwright from npm.
. "$(dirname "$0")/lib.sh"
skip() {
    echo "SKIP: the page in a browser: $*"
    exit 77
}
command -v node >/dev/null 2>&1 || skip "no node"
command -v npm >/dev/null 2>&1 || skip "no npm"
browser=${BERTH_CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
[ -n "$browser" ] || skip "no chromium"

# Two builds may be tested at once: one of them fetches the packages, whole or not at all.
place=$source_folder/build/browser
mkdir -p "$place"
(
    flock 9
    cmp -s "$source_folder/tests/browser/package-lock.json" "$place/package-lock.json" && exit 0
    cp "$source_folder/tests/browser/package.json" "$place/"
    cp "$source_folder/tests/browser/package-lock.json" "$place/"
    (cd "$place" && timeout 100 npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >"$work/npm" 2>&1 && exit 0
    rm -f "$place/package-lock.json"
    exit 1
) 9>"$place/lock" || skip "npm could not get playwright-core and axe-core: $(tail -n 1 "$work/npm")"
cp "$source_folder/tests/browser/page.test.mjs" "$place/page-$$.mjs"
trap 'rm -rf "$work" "$place/page-$$.mjs"' EXIT
BERTH_CHROMIUM=$browser timeout 150 node "$place/page-$$.mjs"
