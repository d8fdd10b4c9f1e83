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
for what in parse copy h2 write; do
    few=$(collected $what 1000)
    many=$(collected $what 3000)
    echo "$what: $(( (many - few) / 2000 )) instructions"
    callgrind_annotate "$work/$what.3000" | sed -n 's/ \[.*codec-bench\]$//p' | sed 's/([^)]*%) *//; s/???://' |
        awk '{ count = $1; gsub(",", "", count); $1 = ""; if (count / 3000 >= 5) printf "%9.1f %s\n", count / 3000, $0 }' |
        swift-demangle -compact -simplified
done
