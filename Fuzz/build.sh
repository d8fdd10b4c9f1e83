#!/bin/sh
# Builds one fuzz target: Fuzz/build.sh request-head -> out/fuzz/request-head
set -eu
cd "$(dirname "$0")/.."
target=$1
source=Fuzz/Targets/$target.swift
[ -f "$source" ] || { echo "no fuzz target '$target'; there are: $(ls Fuzz/Targets | sed 's/\.swift$//' | tr '\n' ' ')" >&2; exit 2; }
rooms=$(sed -n '1s|^// rooms: ||p' "$source")
shared=Fuzz/Input.swift
case $target in
    http2-*) shared="$shared Fuzz/HTTP2Reader.swift" ;;
    client-hello) shared="$shared Fuzz/HelloServer.swift Fuzz/HelloCertificates.swift" ;;
esac
build=out/fuzz/build
mkdir -p "$build"

flags="-D FUZZER -swift-version 6 -O -wmo -parse-as-library -package-name poise -strict-memory-safety -warnings-as-errors
  -enable-experimental-feature Lifetimes -enable-upcoming-feature ExistentialAny
  -sanitize=fuzzer,address -I $build -Xcc -fmodule-map-file=Sources/CBytes/module.modulemap"
libraries=
objects=
for room in $rooms; do
    if [ "$room" = YAML ]; then
        flags="$flags -Xcc -fmodule-map-file=Sources/CYAML/module.modulemap $(pkg-config --cflags yaml-0.1)"
        libraries=$(pkg-config --libs yaml-0.1)
    fi
    if [ "$room" = Regex ]; then
        flags="$flags -Xcc -fmodule-map-file=Sources/CPCRE2/module.modulemap $(pkg-config --cflags libpcre2-8)"
        libraries="$libraries $(pkg-config --libs libpcre2-8)"
    fi
    if [ "$room" = Platform ]; then
        flags="$flags -I Sources/CPoise/include -Xcc -fmodule-map-file=$build/CPoise.modulemap"
        printf 'module CPoise { header "%s/Sources/CPoise/include/cpoise.h"\n export * }\n' "$PWD" >"$build/CPoise.modulemap"
        clang -O1 -g -fsanitize=address -I Sources/CPoise/include -c Sources/CPoise/cpoise.c -o "$build/cpoise.o"
        objects="$objects $build/cpoise.o"
    fi
    if [ "$room" = TLS ]; then
        flags="$flags -Xcc -fmodule-map-file=Sources/COpenSSL/module.modulemap $(pkg-config --cflags openssl)"
        libraries="$libraries $(pkg-config --libs openssl)"
    fi
    object=$build/Poise$room.o
    # Built again only when a source of the room, or the compiler call, is newer.
    if [ ! -f "$object" ] || [ -n "$(find "Sources/$room" Sources/CBytes Fuzz/build.sh -newer "$object" -print -quit)" ]; then
        # shellcheck disable=SC2046,SC2086
        swiftc $flags -module-name "Poise$room" -emit-module -emit-module-path "$build/Poise$room.swiftmodule" \
            -c -o "$object" $(find "Sources/$room" -name '*.swift' | sort)
    fi
    objects="$objects $object"
done
# lld, as gold warns of every routine of the sanitizer. With Debug's assertions a finding names its precondition.
# shellcheck disable=SC2086
swiftc $flags -assert-config Debug -use-ld=lld -module-name FuzzTarget "$source" $shared $objects $libraries -o "out/fuzz/$target"
