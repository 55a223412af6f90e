#!/bin/bash
# run: sqlite3, python3, perl, gcc and git print and write the same, byte for byte, with a heap as
# their malloc and without; and their objects are in the heap while they work.
source tests/tool/lib.sh
cd "$work" || exit 1
export HOME=$work LC_ALL=C GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_DATE='2000-01-01 00:00 +0000' GIT_COMMITTER_DATE='2000-01-01 00:00 +0000'

needs() { command -v "$1" >/dev/null || { echo "skipped: there is no $1"; return 1; }; }

# same PROGRAM ARGUMENT...: runs in a new folder without the heap, then with, in two ways. Compares
# what it prints, its status and the files of the folder.
same() {
    local status=0 options
    rm -rf plain heaped
    mkdir plain
    (cd plain && "$@" </dev/null >../plain.out 2>../plain.err) || status=$?
    for options in '' '--cached --children'; do
        mkdir heaped
        # shellcheck disable=SC2086
        (cd heaped && run $status run --name "$heap" $options -- "$@") || exit 1
        cmp plain.out out || fail "$1 $options prints something else"
        cmp plain.err err || fail "$1 $options prints other errors"
        diff -r plain heaped >&2 || fail "$1 $options writes something else"
        [ -z "$(ls -d "/dev/shm/$heap"* 2>/dev/null)" ] || fail "$1 $options leaves a heap"
        rm -r heaped
    done
}

# works OBJECTS PROGRAM ARGUMENT...: the program gets $commands, says "ready" and reads to the end
# of its input. Then it has at least so many objects in the heap.
mkfifo to from
commands=
works() {
    local least=$1 line=
    shift
    "$tool" run --name "$heap" -- "$@" <to >from 2>words &
    exec 3>to 4<from
    [ -z "$commands" ] || echo "$commands" >&3
    while [ "$line" != ready ]; do
        read -r line <&4 || fail "$1 never said ready: $(cat words)"
    done
    run 0 stat --json "$heap"
    json "j['used_blocks'] >= $least and j['processes'] == 1 and j['failed_allocs'] == 0"
    run 0 check "$heap"
    exec 3>&-
    wait $! || fail "$1 failed"
    exec 4<&-
}

if needs sqlite3; then
    cat >script.sql <<'SQL'
pragma cache_size = 50;
create table number (n integer primary key, square integer, text text);
with recursive c(x) as (values (1) union all select x + 1 from c where x < 20000)
    insert into number select x, x * x, printf('%x-%d', x * 7919, x) from c;
create index by_text on number (text);
delete from number where n % 3 = 0;
select count(*), sum(square), max(text) from number;
select group_concat(text, '|') from (select text from number order by text desc limit 500);
vacuum;
select * from absent;
SQL
    same sqlite3 my.db '.read ../script.sql'
    commands=$(grep -v absent script.sql; echo "select 'ready';")
    works 200 sqlite3 work.db
    commands=
fi

if needs python3; then
    cat >work.py <<'PYTHON'
import json, multiprocessing, os, re, subprocess, sys, threading

def digits(n):
    return sum(len(str(i)) for i in range(n))

def texts(results, i):
    results[i] = [re.sub("[aeiou]", "", json.dumps({"n": list(range(n))})) for n in range(200)]

if __name__ == "__main__":
    results = [None] * 4
    threads = [threading.Thread(target=texts, args=(results, i)) for i in range(4)]
    for thread in threads:
        thread.start()
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print(pool.map(digits, range(0, 3000, 100)))
    for thread in threads:
        thread.join()
    print(results[0] == results[3], results[0][:10])
    print(subprocess.run(["sh", "-c", "echo out; echo err >&2; exit 3"], capture_output=True))
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os._exit(len([str(i) for i in range(70000)]) % 251)
    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]), file=sys.stderr)
    sys.exit(9)
PYTHON
    python=$(python3 -c 'import sys; print(sys.executable)') # not a script that looks for it
    for PYTHONMALLOC in pymalloc malloc; do
        export PYTHONMALLOC
        same "$python" ../work.py
    done
    works 20000 "$python" -c 'import sys
x = [str(i) for i in range(20000)]
print("ready", flush=True)
sys.stdin.read()'
    unset PYTHONMALLOC
fi

if needs perl; then
    cat >work.pl <<'PERL'
my %words;
$words{ "w" . ($_ * 7919 % 10007) } .= "$_," for 1 .. 30000;
print "$_ $words{$_}\n" for (sort keys %words)[ 0 .. 300 ];
open my $child, "-|" or do { print scalar(keys %words), " ", join(":", 1 .. 9), "\n"; exit 4 };
print <$child>;
close $child;
print $? >> 8, "\n", `echo from a shell`;
my $text = join " ", map { $_ x 3 } "a" .. "zz";
$text =~ s/(\w)\1+/<$1>/g;
print STDERR length $text, "\n";
exit 6;
PERL
    same perl ../work.pl
    works 20000 perl -e '$| = 1; @x = map { "text $_" } 1 .. 20000; print "ready\n"; @y = <STDIN>;'
fi

if needs gcc; then
    for i in {1..40}; do
        echo "static int f$i(int n) { return n < 2 ? n : f$i(n - 1) * $i + f$i(n - 2); }"
    done >some.c
    { cat some.c; printf '#include <stdio.h>\nint main(void) { return printf("%%d", f7(9)) < 0'
      printf ' || f%d(3)' {1..40}; echo '; }'; } >all.c
    same gcc -O2 -c ../all.c -o all.o
    same gcc -O1 ../all.c -o program
    same gcc -c ../work.pl -x c -
fi

if needs git; then
    git init -q repository
    (
        cd repository && git config user.name name && git config user.email mail
        for i in {1..20}; do
            seq "$i" $((i * 50)) >"file$((i % 7))" && git add . && git commit -q -m "commit $i"
        done
    ) || fail "git"
    same git -C ../repository log -p --stat
    same git -C ../repository blame file3
    same git -C ../repository grep -n 77
    same git clone -q --bare "$work/repository" copy
    same git -C ../repository fsck --strict
    same git -C ../repository show absent
fi
exit 0
