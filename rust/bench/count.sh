#!/bin/bash
# count.sh: prints the instructions of each way of making and dropping, and of sending and
# receiving, 64 bytes: the C calls, and the crate's. Counted by callgrind, so that other programs on
# the machine change nothing: twice each way, and the difference is that of so many more rounds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
program=$(cargo build --locked --profile bench --example count --message-format json |
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

# counted WAY ROUNDS: instructions of the whole program.
counted() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" 2>&1 |
        sed -n 's/.*Collected : *//p'
}

for way in make-{c,borrowed,owned}{,-cached} send-{c,c-labelled,borrowed,owned}; do
    few=$(counted "$way" 1000) many=$(counted "$way" 11000)
    printf '%-22s %6d\n' "$way" $(((many - few) / 10000))
done
