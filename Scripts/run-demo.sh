#!/usr/bin/env bash
# The quick start: two sample targets and Poise in front of them. Ctrl-C ends all three.
set -uo pipefail
cd "$(dirname "$0")/.."
poise=${POISE_BIN:-.build/release/poise}

[ -x "$poise" ] || { printf 'error: %s does not exist\nhelp: make build\n' "$poise" >&2; exit 1; }

free() {  # Nothing answers on this port; the check is a courtesy, the bind itself decides.
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then
        printf 'error: port %s of this machine is taken, the quick start needs it\n' "$1" >&2
        printf 'help: see who has it with: ss -ltnp "sport = :%s"\n' "$1" >&2
        exit 1
    fi
}
for port in 7001 7002 8080; do free "$port"; done

started=()
finish() {
    trap - EXIT INT TERM
    for pid in "${started[@]}"; do kill -TERM "$pid" 2>/dev/null; done
    wait
    exit "${1:-0}"
}
trap 'finish 0' INT TERM
trap 'finish 1' EXIT

"$poise" target --listen 127.0.0.1:7001 --name one >/dev/null & started+=($!)
"$poise" target --listen 127.0.0.1:7002 --name two >/dev/null & started+=($!)

cat <<TEXT
Poise listens on http://127.0.0.1:8080/ and sends what comes to two sample targets, 7001 and 7002.

  curl http://127.0.0.1:8080/          ask a few times: the targets answer in turn
  kill ${started[0]}                          target one is gone; ask again: no request is lost

Each request appears below. Ctrl-C ends everything.

TEXT
"$poise" run examples/quickstart.yaml & started+=($!)
wait "${started[-1]}"
status=$?
finish "$status"
