#!/bin/bash
# What would put plain pointers into shared memory is refused by the compiler, in words.
set -uo pipefail

compilers=()
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null && compilers+=("$compiler")
done
if [ ${#compilers[@]} = 0 ]; then
    echo "skipped: neither g++ nor clang++ is in PATH"
    exit 0
fi

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/must-not-compile.XXXXXX")
trap 'rm -rf "$work"' EXIT

# precompile COMPILER: the headers, once, in a folder of the compiler's own; -include finds them
# there.
precompile() {
    mkdir "$work/$1"
    cat >"$work/$1/all.hpp" <<'END'
#include <shmheap.hpp>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>
template <class T> using in_heap = shmheap::allocator<T>;
template <class K, class V> using entry = std::pair<const K, V>;
END
    local extension=gch
    [ "$1" = g++ ] || extension=pch
    "$1" -std=c++17 -Icpp -Ic/include -x c++-header "$work/$1/all.hpp" \
        -o "$work/$1/all.hpp.$extension"
}

# compile COMPILER TYPE CALL: the compiler's words about a function that makes such a container and
# calls that.
compile() {
    "$1" -std=c++17 -fsyntax-only -Icpp -Ic/include -include "$work/$1/all.hpp" -x c++ - 2>&1 <<END
void use(shmheap::heap &heap) { $2 x(heap.get_allocator<int>()); x.$3; }
END
}

# statement COMPILER STATEMENT: the compiler's words about it.
statement() {
    "$1" -std=c++17 -fsyntax-only -Icpp -Ic/include -include "$work/$1/all.hpp" -x c++ - 2>&1 <<END
struct open_book { using shmheap_shareable = open_book; std::vector<int, in_heap<int>> orders; };
struct closed_book { std::vector<int, in_heap<int>> orders; };
void use(shmheap::heap &heap) { $2; }
END
}

# too_old COMPILER HEADER: the errors of a program below C++17 that includes it.
too_old() {
    echo "#include <$2>" | "$1" -std=c++14 -fsyntax-only -Icpp -Ic/include -x c++ - 2>&1 |
        grep "error:"
}

failures=0
fail() { echo "$*"; failures=$((failures + 1)); }

for compiler in "${compilers[@]}"; do
    precompile "$compiler" || fail "$compiler does not compile the headers"
    while IFS='|' read -r expected type call; do
        words=$(compile "$compiler" "$type" "$call")
        status=$?
        if [ "$expected" = good ]; then
            [ $status = 0 ] || fail "$compiler refuses $type: $words"
        elif [ $status = 0 ]; then
            fail "$compiler accepts $type"
        else
            [[ $words == *"plain pointers"* ]] ||
                fail "$compiler refuses $type without saying why: $words"
        fi
    done <<'END'
good|std::vector<int, in_heap<int>>|push_back(1)
good|std::basic_string<char, std::char_traits<char>, in_heap<char>>|push_back('a')
good|std::deque<int, in_heap<int>>|push_back(1)
bad|std::vector<bool, in_heap<bool>>|push_back(true)
bad|std::vector<int *, in_heap<int *>>|push_back(nullptr)
bad|std::list<int, in_heap<int>>|push_back(1)
bad|std::forward_list<int, in_heap<int>>|push_front(1)
bad|std::map<int, int, std::less<int>, in_heap<entry<int, int>>>|clear()
bad|std::set<int, std::less<int>, in_heap<int>>|insert(1)
bad|std::unordered_map<int, int, std::hash<int>, std::equal_to<int>,in_heap<entry<int,int>>>|clear()
bad|std::unordered_set<int, std::hash<int>, std::equal_to<int>, in_heap<int>>|insert(1)
bad|std::vector<std::string, in_heap<std::string>>|emplace_back("x")
bad|std::vector<std::vector<int>, in_heap<std::vector<int>>>|emplace_back()
END
    while IFS='|' read -r expected text; do
        words=$(statement "$compiler" "$text")
        status=$?
        if [ "$expected" = good ]; then
            [ $status = 0 ] || fail "$compiler refuses $text: $words"
        elif [ $status = 0 ]; then
            fail "$compiler accepts $text"
        else
            [[ $words == *"plain pointers"* && $words == *is_shareable* ]] ||
                fail "$compiler refuses $text without saying why: $words"
        fi
    done <<'END'
good|heap.construct<int>("x")(1)
good|heap.construct<std::vector<int, in_heap<int>>>("x")(heap.get_allocator<int>())
good|heap.find<open_book>("x")
bad|heap.find<closed_book>("x")
bad|heap.construct<std::string>("x")("text")
bad|heap.find_or_construct<std::string>("x")("text")
bad|heap.find<std::string>("x")
bad|heap.destroy<std::string>("x")
bad|heap.construct<std::vector<int>>("x")()
bad|heap.construct<std::vector<std::string, in_heap<std::string>>>("x")(heap.get_allocator<int>())
bad|heap.construct<int *>("x")(nullptr)
bad|heap.construct<std::initializer_list<int>>("x")()
bad|heap.get_allocator<std::string>()
bad|heap.get_allocator<closed_book>()
END
    words=$("$compiler" -std=c++20 -fsyntax-only -Icpp -Ic/include -x c++ - 2>&1 <<'END'
#include <shmheap.hpp>
#ifdef __cpp_lib_span
static_assert(!shmheap::is_shareable<std::span<int>>);
static_assert(!shmheap::is_shareable<std::array<std::span<int, 2>, 2>>);
#endif
END
    ) || fail "$compiler takes a span for shareable: $words"
    for header in shmheap.hpp shmheap_umpire.hpp; do
        words=$(too_old "$compiler" "$header")
        [[ $(wc -l <<<"$words") = 1 && $words == *"$header needs C++17"* ]] ||
            fail "$compiler says below C++17: $words"
    done
done
[ $failures = 0 ] && echo passed
