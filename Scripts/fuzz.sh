#!/usr/bin/env bash
# Runs every fuzz target (Fuzz/<Name>/) for the given number of seconds, with libFuzzer and the address sanitizer.
# Seeds are kept in Fuzz/Seeds/<Name>; inputs found on the way grow in .build/fuzz and are not kept.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
[[ "$seconds" =~ ^[0-9]+$ ]] || { printf 'error: SECONDS=%s is not a number of seconds\n' "$seconds" >&2; exit 2; }

targets=()
for folder in Fuzz/*/; do
    name=$(basename "$folder")
    [ "$name" = Seeds ] || [ ! -d "$folder" ] || targets+=("$name")
done
[ "${#targets[@]}" -gt 0 ] || { echo 'error: there is no fuzz target in Fuzz/' >&2; exit 1; }

# The package declares its fuzz targets only when it is asked to: they link with a main of libFuzzer's own.
export POISE_FUZZ=1 SWIFT_BACKTRACE=enable=no
scratch=.build/fuzz
failed=()
for name in "${targets[@]}"; do
    swift build -c release --scratch-path "$scratch" --product "$name" \
        -Xswiftc -sanitize=fuzzer,address -Xswiftc -parse-as-library -Xlinker -fsanitize=fuzzer,address
    mkdir -p "$scratch/corpus/$name" "$scratch/findings" "Fuzz/Seeds/$name"
    printf '%s: %s s\n' "$name" "$seconds"
    # Into a file: the fuzzer writes to a pipe that nobody reads fast enough as if it were a disk.
    if ! "$scratch/release/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$scratch/findings/$name-" "$scratch/corpus/$name" "Fuzz/Seeds/$name" \
        >"$scratch/$name.log" 2>&1; then
        failed+=("$name")
        tail -n 40 "$scratch/$name.log"
    fi
    grep -E 'stat::number_of_executed_units' "$scratch/$name.log" || true
done
[ "${#failed[@]}" -eq 0 ] || { printf 'error: findings in %s; inputs are in %s/findings\n' "${failed[*]}" "$scratch" >&2; exit 1; }
