// containers.hpp: containers that live in a heap, filled and checked by the same rule in several
// processes.
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CPP_CONTAINERS_HPP
#define TESTS_CPP_CONTAINERS_HPP

#include "tests/cpp/test.hpp"

#include <deque>
#include <string>
#include <vector>

#if __has_include(<boost/container/map.hpp>) && __has_include(<boost/unordered_map.hpp>)
#define TEST_BOOST 1
#include <boost/container/deque.hpp>
#include <boost/container/flat_map.hpp>
#include <boost/container/list.hpp>
#include <boost/container/map.hpp>
#include <boost/container/set.hpp>
#include <boost/container/stable_vector.hpp>
#include <boost/container/string.hpp>
#include <boost/container/vector.hpp>
#include <boost/unordered_map.hpp>
#include <boost/unordered_set.hpp>
#else
#define TEST_BOOST 0
#endif

template <class T>
using in_heap = shmheap::allocator<T>;
using text = std::basic_string<char, std::char_traits<char>, in_heap<char>>;

inline const char *long_word()
{
    return "a word that is too long to be kept inside the string itself";
}

// Each has add(n), for n from 0 on, and holds(count): exactly what add put there for 0 to count -
// 1.
struct std_vector {
    using shmheap_shareable = std_vector;
    std::vector<int, in_heap<int>> numbers;
    explicit std_vector(const in_heap<int> &in) : numbers(in) {}
    void add(int n) { numbers.push_back(n * 3); }
    bool holds(int count) const
    {
        for (int i = 0; i < count; i++)
            if (numbers.at(static_cast<size_t>(i)) != i * 3)
                return false;
        return numbers.size() == static_cast<size_t>(count);
    }
};

struct std_deque {
    using shmheap_shareable = std_deque;
    std::deque<int, in_heap<int>> numbers;
    explicit std_deque(const in_heap<int> &in) : numbers(in) {}
    void add(int n) { n % 2 ? numbers.push_front(n) : numbers.push_back(n); }
    bool holds(int count) const
    {
        int odd = count / 2;
        for (int i = 0; i < count; i++)
            if (numbers.at(static_cast<size_t>(i % 2 ? odd - 1 - i / 2 : odd + i / 2)) != i)
                return false;
        return numbers.size() == static_cast<size_t>(count);
    }
};

struct std_string {
    using shmheap_shareable = std_string;
    text letters;
    explicit std_string(const in_heap<int> &in) : letters(in) {}
    void add(int n) { letters += static_cast<char>('a' + n % 26); }
    bool holds(int count) const
    {
        for (int i = 0; i < count; i++)
            if (letters[static_cast<size_t>(i)] != 'a' + i % 26)
                return false;
        return letters.size() == static_cast<size_t>(count) &&
               strlen(letters.c_str()) == static_cast<size_t>(count);
    }
};

// Strings, short and long, inside a vector, each with the allocator given by hand.
struct std_vector_of_strings {
    using shmheap_shareable = std_vector_of_strings;
    std::vector<text, in_heap<text>> words;
    explicit std_vector_of_strings(const in_heap<int> &in) : words(in_heap<text>(in)) {}
    std::string word(int n) const { return std::to_string(n) + (n % 2 ? long_word() : ""); }
    void add(int n) { words.emplace_back(word(n).c_str(), in_heap<char>(words.get_allocator())); }
    bool holds(int count) const
    {
        for (int i = 0; i < count; i++)
            if (words.at(static_cast<size_t>(i)) != word(i).c_str())
                return false;
        return words.size() == static_cast<size_t>(count);
    }
};

#if TEST_BOOST

template <class Sequence>
struct boost_sequence {
    using shmheap_shareable = boost_sequence;
    Sequence numbers;
    explicit boost_sequence(const in_heap<int> &in) : numbers(in) {}
    void add(int n) { numbers.insert(numbers.end(), n * 3); }
    bool holds(int count) const
    {
        int expected = 0;
        for (int number : numbers)
            if (number != expected++ * 3)
                return false;
        return expected == count && numbers.size() == static_cast<size_t>(count);
    }
};

template <class Map>
struct boost_map {
    using shmheap_shareable = boost_map;
    Map numbers;
    explicit boost_map(const in_heap<int> &in) : numbers(typename Map::allocator_type(in)) {}
    void add(int n) { numbers[n * 7919 % 1000003] = n; }
    bool holds(int count) const
    {
        for (int i = 0; i < count; i++) {
            auto found = numbers.find(i * 7919 % 1000003);
            if (found == numbers.end() || found->second != i)
                return false;
        }
        return numbers.size() == static_cast<size_t>(count);
    }
};

template <class Set>
struct boost_set {
    using shmheap_shareable = boost_set;
    Set numbers;
    explicit boost_set(const in_heap<int> &in) : numbers(in) {}
    void add(int n) { numbers.insert(n * 5); }
    bool holds(int count) const
    {
        for (int i = 0; i < count; i++)
            if (numbers.count(i * 5) != 1)
                return false;
        return numbers.size() == static_cast<size_t>(count);
    }
};

struct boost_string {
    using shmheap_shareable = boost_string;
    boost::container::basic_string<char, std::char_traits<char>, in_heap<char>> letters;
    explicit boost_string(const in_heap<int> &in) : letters(in_heap<char>(in)) {}
    void add(int n) { letters += static_cast<char>('a' + n % 26); }
    bool holds(int count) const
    {
        for (int i = 0; i < count; i++)
            if (letters[static_cast<size_t>(i)] != 'a' + i % 26)
                return false;
        return letters.size() == static_cast<size_t>(count);
    }
};

using map_entry = std::pair<const int, int>;

#endif

// All of them, each with its name in the heap.
template <class Visitor>
void each_container(Visitor &&visit)
{
    visit(static_cast<std_vector *>(nullptr), "std vector");
    visit(static_cast<std_deque *>(nullptr), "std deque");
    visit(static_cast<std_string *>(nullptr), "std string");
    visit(static_cast<std_vector_of_strings *>(nullptr), "std vector of strings");
#if TEST_BOOST
    namespace bc = boost::container;
    visit(static_cast<boost_sequence<bc::vector<int, in_heap<int>>> *>(nullptr), "boost vector");
    visit(static_cast<boost_sequence<bc::list<int, in_heap<int>>> *>(nullptr), "boost list");
    visit(static_cast<boost_sequence<bc::deque<int, in_heap<int>>> *>(nullptr), "boost deque");
    visit(static_cast<boost_sequence<bc::stable_vector<int, in_heap<int>>> *>(nullptr),
          "boost stable_vector");
    visit(static_cast<boost_set<bc::set<int, std::less<int>, in_heap<int>>> *>(nullptr),
          "boost set");
    visit(static_cast<boost_set<
              boost::unordered_set<int, boost::hash<int>, std::equal_to<int>, in_heap<int>>> *>(
              nullptr),
          "boost unordered_set");
    visit(static_cast<boost_map<bc::map<int, int, std::less<int>, in_heap<map_entry>>> *>(nullptr),
          "boost map");
    visit(static_cast<
              boost_map<bc::flat_map<int, int, std::less<int>, in_heap<std::pair<int, int>>>> *>(
              nullptr),
          "boost flat_map");
    visit(static_cast<boost_map<boost::unordered_map<int, int, boost::hash<int>, std::equal_to<int>,
                                                     in_heap<map_entry>>> *>(nullptr),
          "boost unordered_map");
    visit(static_cast<boost_string *>(nullptr), "boost string");
#endif
}

#endif
