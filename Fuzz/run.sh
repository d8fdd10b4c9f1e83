#!/bin/sh
# Runs one fuzz target, or all: Fuzz/run.sh TARGET|all SECONDS. Ends with 1 on a finding.
set -eu
cd "$(dirname "$0")/.."
target=${1:?usage: Fuzz/run.sh TARGET|all SECONDS}
seconds=${2:?usage: Fuzz/run.sh TARGET|all SECONDS}
if [ "$target" = all ]; then
    for source in Fuzz/Targets/*.swift; do
        "$0" "$(basename "$source" .swift)" "$seconds"
    done
    exit 0
fi
Fuzz/build.sh "$target"
mkdir -p "out/fuzz/corpus/$target" "out/fuzz/findings" "Fuzz/Seeds/$target"
log=out/fuzz/$target.log
# Backtraces off and output to a file: with Swift's own crash handler and a pipe, a run may not end.
if SWIFT_BACKTRACE=enable=no "out/fuzz/$target" "out/fuzz/corpus/$target" "Fuzz/Seeds/$target" \
    -max_total_time="$seconds" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="out/fuzz/findings/$target-" >"$log" 2>&1; then
    echo "$target: no finding in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
else
    tail -n 40 "$log"
    echo "$target: a finding, see $log and out/fuzz/findings/" >&2
    exit 1
fi
