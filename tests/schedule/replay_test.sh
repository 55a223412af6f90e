#!/bin/bash
# replay_test.sh SCHEDULE_TEST: SHMHEAP_SCHEDULE runs one plan and says so; a plan with an end that
# cannot be read is refused, since without that end it would be another plan.
set -uo pipefail
program=$1
failures=0

# says WORDS PLAN: the program runs the plan, or refuses it, with these words, and fails.
says() {
    local said
    said=$(SHMHEAP_SCHEDULE=$2 "$program" 2>&1) && { echo "'$2' passes"; failures=1; }
    [[ $said == *"$1"* ]] || { echo "'$2': expected '$1', output: $said"; failures=1; }
}
says "replayed: " "two_receivers"
says "replayed: " "two_receivers 1>0 5>1"
says "replayed: " "two_receivers 1>0 5>1 "
says "cannot read '7'; write 5>1 or 5x0" "two_receivers 1>0 5>1 7"
says "cannot read ',5>1'; write 5>1 or 5x0" "two_receivers 1>0,5>1"
says "cannot read '5=1'; write 5>1 or 5x0" "two_receivers 1>0 5=1"
says "cannot read '5>2'; write 5>1 or 5x0" "two_receivers 1>0 5>2"
says "two_receivers has 2 actors" "two_receivers never"
says "names no scenario: 'nothing 1>0'" "nothing 1>0"
[ "$failures" = 0 ] && echo passed
