#!/bin/bash
# cargo_test.sh CARGO CARGO_HOME: runs cargo's tests and checks of the crates, on a copy of the
# declared inputs and without network. CARGO_HOME has the crates that tools/setup fetched.
set -euo pipefail
cargo=$1 fetched=$2
. tests/support/unoptimised.sh
work=$TEST_TMPDIR/tree
mkdir -p "$work" "$TEST_TMPDIR/tmp" "$TEST_TMPDIR/cargo/registry"/{index,cache,src}
cp -rL LICENSE c rust "$work"
ln -s ../../c "$work/rust/shmheap-sys/c"
# Its folders one by one: cargo unpacks what it packages beside them.
for folder in index cache src; do
    ln -s "$fetched/registry/$folder"/* "$TEST_TMPDIR/cargo/registry/$folder/"
done

PATH=$(dirname "$cargo"):/usr/bin:/bin
export PATH CARGO_HOME=$TEST_TMPDIR/cargo CARGO_TARGET_DIR=$TEST_TMPDIR/target
export CARGO_NET_OFFLINE=true
export HOME=$TEST_TMPDIR TMPDIR=$TEST_TMPDIR/tmp CARGO_TERM_COLOR=never
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
unset RUSTC RUSTFLAGS RUSTUP_TOOLCHAIN
cd "$work/rust"

step() {
    local started=$SECONDS
    echo "== $*"
    "$@" || { echo "cargo_test: failed: $*" >&2; exit 1; }
    echo "== $((SECONDS - started)) s"
}

if cargo fmt --version >/dev/null 2>&1; then
    step cargo fmt --check
else
    echo "skipped: no rustfmt"
fi
clippy=()
if cargo clippy --version >/dev/null 2>&1; then
    # `cargo clippy -- -D warnings` sets this variable and the wrapper for `cargo check`, which
    # would check all crates of others. Here clippy's compiler makes the tests that run.
    export CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
    clippy=(--config "build.rustc-workspace-wrapper='$(dirname "$cargo")/clippy-driver'")
    step cargo "${clippy[@]}" test --no-run --locked --workspace --all-targets
else
    echo "skipped: no clippy"
fi
step cargo ${clippy[@]+"${clippy[@]}"} test --locked --workspace
unset CLIPPY_ARGS
# Apart from the workspace; what they need besides was fetched too.
step cargo test --locked --manifest-path fuzz/Cargo.toml --no-default-features
# What follows compiles the core, and hardly runs it.
unoptimised "$TEST_TMPDIR/compilers"
# The benchmarks need a hundred crates more, half a minute.
[ -z "${SHMHEAP_TEST_ALL-}" ] ||
    step cargo check --locked --manifest-path bench/Cargo.toml --benches --examples
RUSTDOCFLAGS="-D warnings" step cargo doc --locked --workspace --no-deps
# Without the crates that only tests need, which require newer compilers.
msrv=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! oldest=$(compgen -G "$(dirname "$cargo")/../../$msrv*/bin/rustc" | head -n 1) ||
    [ -z "$oldest" ]; then
    echo "skipped: no Rust $msrv beside this one (rustup toolchain install $msrv)"
else
    RUSTC=$oldest step cargo build --locked -p shmheap --target-dir "$CARGO_TARGET_DIR/$msrv"
fi
# Each package built from its own tarball, the one against the other's, which cargo can since 1.90.
if [ "$(cargo --version | sed 's/^cargo 1\.\([0-9]*\)\..*/\1/')" -ge 90 ]; then
    step cargo package --allow-dirty -p shmheap-sys -p shmheap-derive -p shmheap
else
    step cargo package --allow-dirty -p shmheap-sys -p shmheap-derive
    echo "skipped: $(cargo --version) packages shmheap only once shmheap-sys is on crates.io"
fi

# Feature `system`: an installed library, made here, of this version and of another one.
system=$TEST_TMPDIR/system
mkdir -p "$system/include" "$system/lib" "$system/other"
cp "$work/c/include/shmheap.h" "$system/include"
# library FOLDER HEADERS: makes the object and the library there.
library() {
    "${CC:-gcc}" -std=c99 -O1 -fPIC -I"$2" -c "$work/c/shmheap.c" -o "$1/shmheap.o"
    "${CC:-gcc}" -shared -Wl,-soname,libshmheap.so -o "$1/libshmheap.so" "$1/shmheap.o" \
        -lpthread -lrt
}
# build ARGUMENT...: builds the crate against an installed library. In the folder of `cargo test`,
# which has compiled what an example may use: another folder would need all of it again.
build() { cargo build --locked -p shmheap --features system "$@"; }
fail() {
    echo "cargo_test: $*" >&2
    exit 1
}
library "$system/lib" "$system/include"
sed 's/^#define SHMHEAP_VERSION .*/#define SHMHEAP_VERSION 990000/' "$system/include/shmheap.h" \
    >"$system/other/shmheap.h"
library "$system/other" "$system/other"
export SHMHEAP_LIB_DIR=$system/lib SHMHEAP_INCLUDE_DIR=$system/include
step build --example counter
counter=$CARGO_TARGET_DIR/debug/examples/counter
LD_LIBRARY_PATH=$system/lib step "$counter"
said=$(LD_LIBRARY_PATH=$system/other "$counter" 2>&1) &&
    fail "a library of another version was taken"
[[ $said == *OtherLibrary*99.0.0* ]] || fail "another version said: $said"
said=$(SHMHEAP_INCLUDE_DIR=$system/other build 2>&1) &&
    fail "a header of another version was taken"
[[ $said == *"is of version Some(990000)"* ]] || fail "another header said: $said"
# An archive serves as well; without either, the message says what to do.
mkdir -p "$system/archive"
ar rcs "$system/archive/libshmheap.a" "$system/lib/shmheap.o"
SHMHEAP_LIB_DIR=$system/archive step build --example counter
step "$counter"
unset SHMHEAP_LIB_DIR SHMHEAP_INCLUDE_DIR
said=$(PKG_CONFIG=false build 2>&1) &&
    fail "no library was taken"
[[ $said == *"Set SHMHEAP_LIB_DIR to the folder of libshmheap.a"* ]] ||
    fail "no library said: $said"

# The README's program in a project outside the tree, by one process and another.
outside=$TEST_TMPDIR/outside
mkdir "$outside"
cd "$outside"
cargo init --quiet --name samples --vcs none
cp "$work/rust/Cargo.lock" .
cargo add --quiet --offline --path "$work/rust/shmheap"
sed -n '/^```rust$/,/^```$/{/^```/!p}' "$work/rust/shmheap/README.md" >src/main.rs
step cargo build --offline
name=/shmheap-readme-$$-$RANDOM
trap 'rm -f "/dev/shm$name"' EXIT
handle=$("$CARGO_TARGET_DIR/debug/samples" "$name")
said=$("$CARGO_TARGET_DIR/debug/samples" "$name" "$handle")
echo "$ samples $name
$handle
$ samples $name $handle
$said"
[ "$said" = "1.5 at 1" ] || { echo "cargo_test: the README's program said: $said" >&2; exit 1; }
