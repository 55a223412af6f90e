// test.hpp: the C tests' helpers (tests/support/test.h) for C++.
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CPP_TEST_HPP
#define TESTS_CPP_TEST_HPP

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <shmheap.hpp>

extern "C" {
#include "tests/support/test.h"
}

// The expression throws std::system_error with this errno.
#define CHECK_THROWS(expression, number)                                                           \
    do {                                                                                           \
        int found_ = 0;                                                                            \
        try {                                                                                      \
            (void)(expression);                                                                    \
        } catch (const std::system_error &error_) {                                                \
            found_ = error_.code().value();                                                        \
        }                                                                                          \
        CHECK_EQ(found_, number);                                                                  \
    } while (0)

// What a call says when it throws.
template <class Call>
std::string words_of(const Call &call)
{
    try {
        call();
    } catch (const std::system_error &error) {
        return error.what();
    }
    return "nothing";
}

inline shmheap::options options_of(std::size_t len)
{
    shmheap::options how;
    how.len = len;
    return how;
}

// Bytes and blocks that are not free, and the largest object that fits: what a test should leave as
// it found it.
struct usage {
    uint64_t blocks, bytes, largest;
    explicit usage(const shmheap::heap &heap)
    {
        shmheap_stats stats = heap.stat();
        blocks = stats.used_blocks;
        bytes = stats.used_bytes;
        largest = stats.largest_free;
    }
    bool operator==(const usage &other) const
    {
        return blocks == other.blocks && bytes == other.bytes && largest == other.largest;
    }
};

#endif
