#!/bin/sh
# User-space instructions per pair of heads, and per written request id: Benchmarks/Codec/instructions.sh [BINARY]
# valgrind stops at Swift's debug information, so a stripped copy is measured.
set -eu
binary=${1:-.build/release/codec-bench}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strip -g -o "$work/codec-bench" "$binary"

collected() {  # instructions of one run
    valgrind --tool=callgrind --callgrind-out-file="$work/$1.$2" "$work/codec-bench" "$1" "$2" 2>&1 |
        awk '/Collected/ { print $4 }'
}
for what in parse write; do
    few=$(collected $what 1000)
    many=$(collected $what 3000)
    echo "$what: $(( (many - few) / 2000 )) instructions"
    callgrind_annotate "$work/$what.3000" | awk -v n=3000 '
        /codec-bench/ && /\(/ { count = $1; gsub(",", "", count); if (count / n >= 5) printf "  %7.1f  %s\n", count / n, $NF == "" ? $0 : $3 " " $4 }
    ' | cut -c1-150 | swift-demangle -compact -simplified 2>/dev/null || true
done
