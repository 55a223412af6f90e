#!/bin/bash
# run.sh PROGRAM [ARGUMENT...]: runs PROGRAM NAME ARGUMENT..., NAME a new name for a heap, which is
# removed however the program ends. A file that the program leaves in /dev/shm is a failure.
set -u
program=$1
shift
name=shmheap-fortran-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -f "/dev/shm/$name"' EXIT
"$program" "/$name" "$@" || exit 1
if [ -e "/dev/shm/$name" ]; then
    echo "$program left /dev/shm/$name" >&2
    exit 1
fi
