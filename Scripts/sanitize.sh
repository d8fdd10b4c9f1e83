#!/usr/bin/env bash
# The end-to-end tests against a binary with the thread sanitizer, then with the address sanitizer. A report ends the
# process with status 66, which every test sees as a wrong exit.
set -euo pipefail
cd "$(dirname "$0")/.."
export SWIFT_BACKTRACE=enable=no
for sanitizer in thread address; do
    scratch=.build/$sanitizer
    swift build --scratch-path "$scratch" --sanitize="$sanitizer" --product poise
    printf '%s sanitizer: end-to-end tests\n' "$sanitizer"
    TSAN_OPTIONS=halt_on_error=1:exitcode=66 ASAN_OPTIONS=exitcode=66:detect_leaks=1 \
        POISE_BIN="$PWD/$scratch/debug/poise" POISE_SLOW=8 \
        "$PWD/.venv/bin/python" -m pytest Tests/EndToEnd "$@"
done
