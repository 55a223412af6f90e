#!/bin/bash
# versions_test.sh HEADER LIBRARY MODULE WORKSPACE CRATE BINDINGS: the header, MODULE.bazel, the
# Cargo manifests and the Rust bindings state one version. The shared library has the soname that
# docs/versions.md states. //tests/install:same_test compares the other builds and the packages.
set -euo pipefail
header=$1 library=$2 module=$3 workspace=$4 crate=$5 bindings=$6
scratch=$(mktemp -d "${TEST_TMPDIR:-/tmp}/versions.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# compare HEADER SONAME MODULE WORKSPACE CRATE BINDINGS: one line for each version that differs,
# then 1.
compare() {
    local number version soname failed=0 dependency
    number=$(sed -n 's/^#define SHMHEAP_VERSION \([0-9]*\)$/\1/p' "$1")
    [ -n "$number" ] || { echo "$1: no SHMHEAP_VERSION"; return 1; }
    version=$((number / 10000)).$((number / 100 % 100)).$((number % 100))
    soname=$(sed -n 's/.*has the soname `\(libshmheap.so.[0-9]*\)`.*/\1/p' docs/versions.md)
    expect() {
        [ "$2" = "$3" ] || {
            echo "$1: \"$2\", and SHMHEAP_VERSION $number or docs/versions.md requires \"$3\""
            failed=1
        }
    }
    expect soname "$2" "$soname"
    expect "$3" "$(sed -n '/^module(/,/)/s/.*version = "\([^"]*\)".*/\1/p' "$3")" "$version"
    expect "$4" \
        "$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\([^"]*\)"$/\1/p' "$4")" "$version"
    for dependency in shmheap-sys shmheap-derive; do
        expect "$5: $dependency" \
            "$(sed -n "s/^$dependency = { version = \"\([^\"]*\)\".*/\1/p" "$5")" "$version"
    done
    expect "$6" "$(sed -n 's/^pub const SHMHEAP_VERSION: u32 = \([0-9]*\);$/\1/p' "$6")" "$number"
    return "$failed"
}

soname=$(readelf -d "$library" | sed -n 's/.*Library soname: \[\(.*\)\].*/\1/p')
compare "$header" "$soname" "$module" "$workspace" "$crate" "$bindings"
# The loader finds the library under its soname.
cmp "$library" "$(dirname "$library")/$soname"

# The comparison sees a difference in each place.
differs() {
    if compare "$@" > "$scratch/out"; then
        echo "a difference passed: $*"
        exit 1
    fi
}
sed 's/^#define SHMHEAP_VERSION .*/#define SHMHEAP_VERSION 990000/' "$header" > "$scratch/header"
differs "$scratch/header" "$soname" "$module" "$workspace" "$crate" "$bindings"
differs "$header" libshmheap.so "$module" "$workspace" "$crate" "$bindings"
for file in module workspace crate; do
    sed 's/\(^\|[^-]\)version = "[^"]*"/\1version = "99.0.0"/' "${!file}" > "$scratch/$file"
done
sed 's/SHMHEAP_VERSION: u32 = .*/SHMHEAP_VERSION: u32 = 1;/' "$bindings" > "$scratch/bindings"
differs "$header" "$soname" "$scratch/module" "$workspace" "$crate" "$bindings"
differs "$header" "$soname" "$module" "$scratch/workspace" "$crate" "$bindings"
differs "$header" "$soname" "$module" "$workspace" "$scratch/crate" "$bindings"
differs "$header" "$soname" "$module" "$workspace" "$crate" "$scratch/bindings"
echo "the versions agree: $soname"
