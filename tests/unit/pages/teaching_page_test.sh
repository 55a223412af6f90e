#!/bin/bash
# teaching_page_test.sh PAGE: the commands of the page for teachers, each run as it stands. By both
# of them, a heap's first objects lie where the page says.
set -u
page=$(readlink -f "$1")
command -v cc > /dev/null || { echo "skipped: there is no cc"; exit 0; }
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/teaching.XXXXXX")
name=course-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
trap 'rm -rf "$work" "/dev/shm/$name"' EXIT
ln -s "$PWD/c" "$work/c"
cd "$work" || exit 1

# write HEADER: a program that includes it. Aligned to 16, its objects would lie 32 bytes apart.
write() {
    cat > program.c << END
#include <$1>
#include <stdio.h>
int main(void)
{
    shmheap_memory_handle heap = shmheap_create("/$name", 4096);
    if (!shmheap_valid(heap))
        return perror("/$name"), 1;
    for (int i = 1; i <= 4; i++)
        printf("%td ", (char *)shmheap_alloc(heap, 16) - (char *)shmheap_underlying(heap));
    shmheap_destroy("/$name", heap);
}
END
}

failures=0 commands=0
while read -r command; do
    case $command in
        *-include*) write shmheap.h ;;
        *) write shmheap_textbook.h ;;
    esac
    commands=$((commands + 1))
    offsets=$(eval "$command" && ./a.out)
    [ "$offsets" = "16 40 64 88 " ] || { echo "$command: $offsets"; failures=$((failures + 1)); }
done < <(sed -n 's/^    cc /cc /p' "$page")
[ "$commands" = 2 ] || { echo "the page has $commands commands, not 2"; exit 1; }
[ "$failures" = 0 ] && echo passed
