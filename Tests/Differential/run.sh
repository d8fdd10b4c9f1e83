#!/bin/sh
# Builds the driver and compares the codecs with h11, nginx and nghttp2: Tests/Differential/run.sh [--seed N] [--count N]
# Takes the environment as it is (h11 in `PYTHON`, else in .venv, which it makes where it is missing).
set -eu
cd "$(dirname "$0")/../.."
scratch=${SCRATCH:-.build}
swift build --scratch-path "$scratch" -c release --product codec-driver
python=${PYTHON:-.venv/bin/python}
if ! "$python" -c 'import h11' 2>/dev/null; then
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/pip install --quiet -r Tests/Differential/requirements.txt
    python=.venv/bin/python
fi
driver=$(swift build --scratch-path "$scratch" -c release --show-bin-path)/codec-driver
"$python" Tests/Differential/http2.py --driver "$driver" "$@"
exec "$python" Tests/Differential/differential.py --driver "$driver" "$@"
