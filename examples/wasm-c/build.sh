#!/bin/sh
# Makes words.wasm of words.c, or what is named: build.sh [SOURCE OUT]. On Debian or Ubuntu it needs
#   apt install clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32
# With the WASI SDK instead, it is: $WASI_SDK/bin/clang -Os -o words.wasm words.c
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=${1:-$here/words.c}
out=${2:-$here/words.wasm}
clang-14 --target=wasm32-wasi --sysroot=/ -isystem /usr/include/wasm32-wasi -L/usr/lib/wasm32-wasi \
    -Os -Wall -Wextra -Wl,--strip-all -o "$out" "$source"
chmod 644 "$out"
