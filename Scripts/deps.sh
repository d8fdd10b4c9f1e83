#!/usr/bin/env bash
# Installs what building and testing need and this machine lacks: Debian packages, then Python packages in .venv.
# With `soak` also the outside judges of `make soak`: scanners and a browser, Python ones in .venv-soak (one of them pins an
# older cryptography than the tests use). A second call finds everything in place and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# To build: gcc, libyaml, PCRE2 and OpenSSL. To test: curl, nginx, HAProxy, nghttp2, promtool (prometheus), Redis, MariaDB,
# PostgreSQL, python3-venv. To measure: the rest.
packages=(
    libyaml-dev libpcre2-dev libssl-dev pkg-config gcc make
    python3-venv curl nginx-light haproxy redis-server mariadb-server postgresql prometheus nghttp2-server nghttp2-client libnghttp2-14
    wrk apache2-utils strace valgrind binutils iproute2 util-linux openssl
)
if [ "${1:-}" = soak ]; then packages+=(testssl.sh chromium); fi
# Services that come with them; tests start their own with their own files.
services=(nginx haproxy redis-server mariadb postgresql prometheus prometheus-node-exporter apache-htcacheclean)

say() { printf '%s\n' "$*"; }
die() { printf 'error: %s\nhelp: %s\n' "$1" "$2" >&2; exit 1; }

missing=()
if command -v dpkg-query >/dev/null; then
    installed=" $(dpkg-query -W -f='${Package}/${db:Status-Status} ' "${packages[@]}" 2>/dev/null || true)"
    for package in "${packages[@]}"; do
        [[ "$installed" == *" $package/installed "* ]] || missing+=("$package")
    done
    # Another build of nginx serves the tests just as well and would be removed by nginx-light.
    if command -v nginx >/dev/null || [ -x /usr/sbin/nginx ]; then
        for index in "${!missing[@]}"; do
            [ "${missing[$index]}" = nginx-light ] && unset "missing[$index]"
        done
    fi
else
    say "note: this is not Debian; these packages are needed under your system's names: ${packages[*]}"
fi

if [ "${#missing[@]}" -gt 0 ]; then
    say "installing Debian packages: ${missing[*]}"
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "packages are missing and there is no sudo" "as root: apt-get install ${missing[*]}"
        root=(sudo)
    fi
    # Nothing may start listening on this machine only because its package came in.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '"${root[@]}" rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
        "${root[@]}" chmod 755 "$policy"
    fi
    "${root[@]}" apt-get update -q
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
    if command -v systemctl >/dev/null; then
        for service in "${services[@]}"; do
            for package in "${missing[@]}"; do
                # Only services that came in just now: one that was here before is its owner's business.
                [[ "$package" == "$service"* || "$service" == "$package"* ]] || continue
                "${root[@]}" systemctl disable --quiet "$service" 2>/dev/null || true
            done
        done
    fi
fi

# environment FOLDER REQUIREMENTS: a virtual environment with exactly these packages.
environment() {
    cmp -s "$2" "$1/installed-requirements.txt" && return
    say "installing Python packages of $2 into $1"
    rm -rf "$1"
    python3 -m venv "$1" 2>/dev/null || {
        # A Python without ensurepip makes a venv without pip; pip of the same Python then fills it from outside.
        python3 -m venv --without-pip "$1" ||
            die "python3 -m venv does not work" "install python3-venv, or put a Python 3.11 or newer first on PATH"
    }
    if "$1/bin/python" -m pip --version >/dev/null 2>&1; then
        "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2"
    else
        python3 -m pip --version >/dev/null 2>&1 || die "this Python has neither ensurepip nor pip" "apt-get install python3-venv python3-pip"
        python3 -m pip --python "$1/bin/python" install --quiet --disable-pip-version-check -r "$2"
    fi
    cp "$2" "$1/installed-requirements.txt"
}

environment .venv Tests/requirements.txt
if [ "${1:-}" = soak ]; then environment .venv-soak Tests/requirements-soak.txt; fi
