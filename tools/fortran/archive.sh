#!/bin/sh
# archive.sh ARCHIVE MODULE_FOLDER COMPILER FLAG... -- SOURCE...
# Compiles Fortran sources, in this order, to an archive and .mod files. Bazel calls it.
set -eu
archive=$1 modules=$2
shift 2
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
command=
while [ "$1" != -- ]; do
    command="$command $1"
    shift
done
shift
for source in "$@"; do
    # Word splitting is intended: no flag contains a blank.
    # shellcheck disable=SC2086
    $command -J "$modules" -c "$source" -o "$objects/$(basename "$source").o"
done
ar rcsD "$archive" "$objects"/*.o
