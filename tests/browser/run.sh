#!/usr/bin/env bash
# Runs the tests of report.html in Chromium, or says why not and exits with 77. Usage: run.sh SLOPEWISE BUNDLE DIRECTORY:
# the script with Vega-Lite that the program was built with, and where playwright-core and screenshots go.
set -euo pipefail

slopewise=$1 bundle=$2 directory=$3
source=$(dirname "$(readlink -f "$0")")

skip() {
  echo "skipped: $*"
  exit 77
}

for program in node npm; do
  command -v "$program" >/dev/null || skip "$program was not found"
done
[[ -s $bundle ]] || skip "the program was built without Vega-Lite, so there are no charts to draw"
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "chromium was not found"
"$chromium" --version

mkdir -p "$directory"
cp "$source"/package.json "$source"/package-lock.json "$source"/*.mjs "$directory"
cd "$directory"
# Its own lock file, so that what is installed already stays.
if ! cmp -s package-lock.json node_modules/installed-lock.json; then
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || skip "npm could not install playwright-core"
  cp package-lock.json node_modules/installed-lock.json
fi
SLOPEWISE=$slopewise CHROMIUM=$chromium exec node --test report_test.mjs
