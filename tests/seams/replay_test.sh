#!/bin/bash
# replay_test.sh SEAMS_TEST: in these rows the oracles once expected too much, so they failed.
set -euo pipefail

# replay SITUATION SEED...: the row passes with each seed.
replay() {
    local situation=$1 seed
    shift
    for seed; do
        "$program" --situation "$situation" --row-seed "$seed"
    done
}

program=$1

# A death leaves both the object and the record of a name, or both places of an object that moves.
# The witness has inherited them, so they stay until the end.
replay "size=64MiB flags=sparse caches=all alignment=8 growth=fixed memory=anon-fork names=kept \
opened=create processes=2 event=kill-store" 40 41 143 147 156 180
replay "size=1MiB flags=none caches=none alignment=8 growth=fixed memory=anon-fork names=kept \
opened=create processes=2 event=kill-store" 20 69 113 165 170 187

# A process gets the places of a dead process and dies itself. What it kept or shared stays there.
replay "size=1MiB flags=none caches=none alignment=16 growth=fixed memory=file-tmpfs names=kept \
opened=later processes=2 event=kill-next" 16 18 19 20
