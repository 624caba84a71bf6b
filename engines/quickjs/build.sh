#!/bin/sh
# Builds the engine: build.sh SOURCE OUT, where SOURCE is the folder of QuickJS-ng's C files. `cargo xtask engine` finds
# SOURCE, runs this and compares checksums; the same compiler and sources give the same bytes.
set -eu
source=$1
out=$2
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# bulk-memory: memcpy and memset by instructions, though only in memory.c, which works in pieces, and in short ones of a
# length that is known (copy.h). No exceptions, threads or SIMD: the fewer features of WebAssembly the engine needs, the
# fewer the host must offer.
compile() {
    clang-14 --target=wasm32-wasi --sysroot=/ -isystem /usr/include/wasm32-wasi -c "$1" -o "$2" \
        -std=gnu11 -O2 -DNDEBUG -D_GNU_SOURCE -funsigned-char -fno-exceptions -fno-ident -I"$source" \
        -mbulk-memory -mmutable-globals -mnontrapping-fptoint -msign-ext \
        -include "$here/copy.h" -fno-builtin-memcpy -fno-builtin-memmove -fno-builtin-memset \
        -ffile-prefix-map="$source"=quickjs -ffile-prefix-map="$work"=quickjs -ffile-prefix-map="$here"=engine -w
}
# What the prelude left is not counted (immortal.h): every change of a reference count goes through two functions of ours.
# The file's name stays the one it had, for what is compiled in.
sed -e "/^#define JS_GC_MARK(p)/r $here/immortal.h" \
    -e 's/--JS_REF_COUNT(\([^()]*\))/js_rc_drop(\1)/' \
    -e 's/JS_REF_COUNT(\([^()]*\))--/js_rc_drop(\1)/' \
    -e 's/JS_REF_COUNT(\([^()]*\))++/js_rc_add(\1)/' "$source/quickjs.c" >"$work/quickjs.c"
cat "$here/immortal.c" >>"$work/quickjs.c"
if grep -v '^#define' "$work/quickjs.c" | grep -q -e '--JS_REF_COUNT' -e 'JS_REF_COUNT([^()]*)[+-]'; then
    echo "a reference count is changed past js_rc_add and js_rc_drop" >&2
    exit 1
fi
compile "$work/quickjs.c" "$work/quickjs.o"
for file in libregexp libunicode dtoa; do
    compile "$source/$file.c" "$work/$file.o"
done
compile "$here/glue.c" "$work/glue.o"
compile "$here/memory.c" "$work/memory.o"

# stack-first: an overflow of the C stack runs into address 0 and traps, rather than into the heap.
wasm-ld-14 "$work"/glue.o "$work"/memory.o "$work"/quickjs.o "$work"/libregexp.o "$work"/libunicode.o "$work"/dtoa.o \
    -L/usr/lib/wasm32-wasi -lc "$(clang-14 --print-resource-dir)/lib/wasi/libclang_rt.builtins-wasm32.a" \
    --no-entry --import-memory --export=__stack_pointer --stack-first -z stack-size=1048576 \
    --strip-all --gc-sections -O2 -o "$out"
