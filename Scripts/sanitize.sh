#!/usr/bin/env bash
# The end-to-end tests against a binary with the thread sanitizer, then with the address sanitizer (and its search for
# leaks at exit), then the unit tests: under the thread sanitizer those of the rooms that know threads, under the address
# sanitizer those of the rooms with `unsafe`. Arguments go to pytest. OpenSSL is Debian's and has no sanitizer in it: what
# it does with memory that it was given is seen where Poise or libc touches that memory, and its leaks are found.
#
# A report ends the process with status 66, which the tests see as a wrong exit. It is also written to a file, because a
# process that a test kills, or whose exit no test looks at, must not hide one: any file fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
reports=out/sanitize
rm -rf "$reports"
mkdir -p "$reports"
export SWIFT_BACKTRACE=enable=no POISE_SLOW=8 POISE_SANITIZED=1
export TSAN_OPTIONS="halt_on_error=1:exitcode=66:log_path='$PWD/$reports/thread'"
export ASAN_OPTIONS="detect_leaks=1:exitcode=66:suppressions='$PWD/Scripts/address.supp':log_path='$PWD/$reports/address'"
export LSAN_OPTIONS="suppressions='$PWD/Scripts/leaks.supp':print_suppressions=0"
failed=0

for sanitizer in thread address; do
    # Optimised: what runs is what is shipped, and a debug build is five times slower.
    swift build -c release --scratch-path ".build/$sanitizer" --sanitize="$sanitizer" --product poise
    binary=$PWD/.build/$sanitizer/release/poise
    # A binary without the sanitizer would pass everything.
    sign=$([ "$sanitizer" = thread ] && echo ThreadSanitizer || echo AddressSanitizer)
    TSAN_OPTIONS=help=1 ASAN_OPTIONS=help=1 "$binary" version 2>&1 | grep -c "flags for $sign" >/dev/null ||
        { echo "error: $binary has no $sanitizer sanitizer" >&2; exit 1; }
    printf '%s sanitizer: end-to-end tests\n' "$sanitizer"
    POISE_BIN=$binary "$PWD/.venv/bin/python" -m pytest Tests/EndToEnd "$@" || failed=1
done

# Leaks are judged with the program alone: a loop and its executor hold each other for the life of a process, and a unit test
# makes hundreds of them.
unit_tests() {
    printf '%s sanitizer: unit tests\n' "$1"
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 swift test --scratch-path ".build/$1" --sanitize="$1" --filter "^($2)Tests\\." || failed=1
}
unit_tests thread 'Loop|Live|TLS|HTTPService|Simulation|Telemetry|Control'
unit_tests address 'Bytes|HTTP|Platform|Loop|Live|TLS|HTTPService|Control'

for report in "$reports"/*; do
    [ -e "$report" ] || continue
    cat "$report"
    failed=1
done
[ "$failed" = 0 ] || { echo "a sanitizer or a test found something; reports lie in $reports" >&2; exit 1; }
