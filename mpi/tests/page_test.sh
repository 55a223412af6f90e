#!/bin/bash
# page_test.sh PAGE DEATH MPI STARTER: the commands of docs/mpi.md, each run as it stands and in the
# page's order, in a copy of the tree, with one MPI (openmpi or mpich; STARTER is its mpirun). Only
# the names of heaps change. A command that the test does not know is a failure, and so is one that
# is no longer there. The commands of Bazel and tools/setup do not run. DEATH is death.c, compiled.
set -u
page=$(readlink -f "$1") death=$(readlink -f "$2") mpi=$3 starter=$4
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/mpi.XXXXXX")
heap=shmheap-page-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -rf "$work" "/dev/shm/$heap"*' EXIT
export HOME=${TEST_TMPDIR:-/tmp} TMPDIR=${TEST_TMPDIR:-/tmp} LC_ALL=C.UTF-8
# For machines and sandboxes without a network, or without ptrace between processes.
export OMPI_MCA_btl=self,vader OMPI_MCA_btl_vader_single_copy_mechanism=none
export HYDRA_LAUNCHER=fork HYDRA_IFACE=lo
failures=0
fail() { echo "FAIL: $*"; failures=$((failures + 1)); }

# The user's PATH finds the commands of this MPI.
mkdir "$work/bin"
for program in mpicc mpifort mpirun; do
    command=${starter%/mpirun*}/$program${starter##*/mpirun}
    [ ! -x "$command" ] || printf '#!/bin/sh\nexec %s "$@"\n' "$command" >"$work/bin/$program"
done
chmod +x "$work"/bin/*
export PATH=$work/bin:$PATH
. tests/support/unoptimised.sh
unoptimised "$work/compilers"
fortran=1
if ! mpifort --version >/dev/null 2>&1 || [ ! -x "$work/bin/mpifort" ]; then
    echo "skipped: the Fortran commands of the page ($mpi has no mpifort with a compiler)"
    fortran=0
fi

# The page's lists of commands without the program texts between ```; lines that \ joins are one.
sed -n '/^```/,/^```/d; s/^    //p' "$page" | sed -e ':more' -e '/\\$/{N;s/\\\n//;b more' -e '}' |
    sed -e 's/^\$ //' -e "s,/my-,/$heap-," >"$work/lines"
lines() { grep -E "^$1" "$work/lines"; }
for ranks_line in 'rank [0-9]+ of [0-9]+: sum' '[0-9]+ bytes in use for [0-9]+ ranks$'; do
    lines "$ranks_line"
done | sort >"$work/shown" # what the page says that the ranks of table print
[ "$(wc -l <"$work/shown")" = 5 ] || fail "the page does not show what four ranks print"
options=$(lines 'mpirun --oversubscribe' | grep -oE ' --[a-z-]+' | xargs)
[ "$options" = "--oversubscribe --allow-run-as-root" ] ||
    fail "options for few processors: $options"

# The program on the page is a part of table.c, which takes the name from its command line.
sed -n '/^```c$/,/^```$/p' "$page" | sed -e '/^```/d; /^\.\.\.$/d' -e 's,  */\*.*\*/,,' \
    -e 's/"\/my-table"/argv[1]/' -e 's/^ *//; s/;$//' >"$work/excerpt"
[ -s "$work/excerpt" ] || fail "the page has no program"
while IFS= read -r line; do
    grep -qF -e "$line" mpi/examples/table.c || fail "not in table.c: $line"
done <"$work/excerpt"

cp -RL c mpi "$work"
cd "$work" || exit 1

complain() { fail "$1: status $2"; sed 's/^/  /' "$work/out" "$work/err"; }

# do_here COMMAND: in this shell, since cd has to last. It must succeed.
do_here() { eval "$1" >"$work/out" 2>"$work/err" </dev/null || complain "$1" $?; }

try() { timeout 200 bash -c "$1" >"$work/out" 2>"$work/err" </dev/null; }

# After a death the starter may end before the ranks do.
await_end() {
    local pid
    for pid in $(pgrep -x table; pgrep -x field; pgrep -x "${death##*/}"); do
        [[ $(readlink "/proc/$pid/exe") != @("$work"/*|"$death") ]] ||
            timeout 60 tail --pid="$pid" -f /dev/null || fail "rank $pid does not end"
    done
}

# ranks COMMAND: an mpirun. Where Open MPI refuses it to this user or on this machine, once more
# with the options. Root is always refused, and more ranks than processors.
ranks() {
    local command=$1 status number
    number=$(sed -n 's/.* -n \([0-9]*\) .*/\1/p' <<<"$command")
    try "$command"
    status=$?
    if [ "$mpi" = openmpi ] && grep -q 'not enough slots\|run as root' "$work/err"; then
        command=${command/mpirun/mpirun $options}
        try "$command"
        status=$?
    elif [[ $mpi = openmpi && $command != *--oversubscribe* ]] &&
        { [ "$(id -u)" = 0 ] || [ "$(nproc)" -lt "$number" ]; }; then
        fail "$command: as the page says, this needs $options"
    fi
    await_end
    return "$status"
}

run_table() {
    ranks "$1" || complain "$1" $?
    sort "$work/out" | diff "$work/shown" - || fail "$1: prints other lines than the page shows"
}

run_field() {
    ranks "$1" || complain "$1" $?
    [ "$(grep -c '^ *rank [01] of 2: sum *80200000\.0$' "$work/out")" = 2 ] ||
        complain "$1: two ranks do not print the sum" 0
}

# ./program is the reader's. Here it is DEATH: a rank dies inside an allocation, and each other
# rank makes a file.
run_recovery() {
    local survivors status
    mkdir survivors
    printf '#!/bin/sh\nexec %s %s 2 2\n' "$death" "$work/survivors" >program
    chmod +x program
    ranks "$1"
    status=$?
    survivors=$(find survivors -type f ! -name '.*' | wc -l)
    [ "$survivors" = 3 ] || complain "$1: $survivors of 3 ranks continue" "$status"
    # Where Open MPI 4 kills a job it takes so long that these ranks end before. Its status tells.
    [[ $status = 0 || $(mpirun --version) != *' 4.'* ]] || [ "$mpi" = mpich ] ||
        complain "$1: the starter ends the job" "$status"
}

run() {
    local command=$1 kind=$2
    did[$kind]=$((${did[$kind]} + 1))
    "$kind" "$command"
}

declare -A did=([do_here]=0 [run_table]=0 [run_field]=0 [run_recovery]=0 [refuse_options]=0)
refuse_options() { ! try "$1" || fail "$1: MPICH should not know these options"; }

while IFS= read -r line; do
    command=${line%%  *#*}
    case $line in
        tools/setup* | 'bazel build //mpi:all'* | 'bazel test //mpi/...'*) ;;
        *'# Open MPI '[0-9]*) [ "$mpi" != openmpi ] || run "$command" run_recovery ;;
        *'# MPICH '[0-9]*) [ "$mpi" != mpich ] || run "$command" run_recovery ;;
        *--oversubscribe*)
            if [ "$mpi" = mpich ]; then
                run "$command" refuse_options
            else
                run "$command" run_table
            fi
            ;;
        mpicc*' -o table '*) run "$command" do_here ;;
        mpirun*' ./table '*) run "$command" run_table ;;
        'mkdir -p o && cd o' | mpicc*' -c '* | mpifort*' -o field '*)
            [ "$fortran" = 0 ] || run "$command" do_here
            ;;
        mpirun*' ./field '*) [ "$fortran" = 0 ] || run "$command" run_field ;;
        mpi* | bazel* | tools/* | mkdir* | cd* | ./* | cc*) fail "an unknown command: $line" ;;
    esac
done <"$work/lines"

[ "${did[do_here]}" = $((1 + 3 * fortran)) ] || fail "${did[do_here]} commands that build"
[ "${did[run_table]}" -ge 2 ] || fail "${did[run_table]} runs of table"
[ "${did[run_field]}" = "$fortran" ] || fail "${did[run_field]} runs of field"
[ "${did[run_recovery]}" = 1 ] || fail "${did[run_recovery]} ways to let the other ranks continue"
ls "/dev/shm/$heap"* 2>/dev/null && fail "left in /dev/shm"
[ "$failures" = 0 ] && echo "passed: ${did[run_table]} runs of table, $fortran of field"
