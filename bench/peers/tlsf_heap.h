// tlsf_heap.h: two-level segregated fit, as Masmano, Ripoll, Crespo and Real describe it (2004).
//
// A list of free blocks for each class of sizes. The first level divides sizes by powers of two,
// the second divides each power into 32 equal ranges. A bitmap for each level tells which lists
// have a block. alloc takes the first block of the next list whose every block is large enough;
// free merges the block with its free neighbours. Both take constant time.
//
//     used:  | size, flags |  object ...                                   |
//     free:  | size, flags |  next  |  previous  |  ...             | size |
//
// Headers have 8 bytes, blocks are multiples of 16, objects are aligned to 16.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_TLSF_HEAP_H
#define BENCH_TLSF_HEAP_H

#include <cstddef>
#include <cstdint>

namespace bench
{

// Lies at the start of its own memory, which is aligned to 16. Offsets count from its address, so
// processes may map it at different places. The caller locks.
class tlsf_heap
{
public:
    // Makes a heap in `bytes` bytes of memory. Throws std::runtime_error if they are too few.
    static tlsf_heap *make(void *memory, std::size_t bytes);

    void *alloc(std::size_t size); // nullptr: no list has a block that is surely large enough
    void free(void *object);
    // As realloc, but never moves the object. Returns false if its place is too small.
    bool resize(void *object, std::size_t size);

    // For tests: the number of free blocks, found among all blocks and in the lists.
    std::size_t free_walked() const;
    std::size_t free_listed() const;

private:
    static constexpr unsigned lists = 32, levels = 32;

    struct block {
        std::uint64_t word;           // size with this header, and flags
        std::uint64_t next, previous; // free: offsets of the neighbours in the list; 0: none
    };
    struct place {
        unsigned level, list;
    };

    static std::uint64_t block_size_of(std::size_t object_size);
    static std::uint64_t size_of(const block *it);
    static place place_of(std::uint64_t size);
    static place place_to_search(std::uint64_t size);
    static block *after(block *it);
    static block *block_of(void *object);

    block *at(std::uint64_t offset) const;
    std::uint64_t offset_of(const block *it) const;
    void link(block *it);
    void unlink(block *it);
    block *fit_take(std::uint64_t size);
    void release(block *it, std::uint64_t size);
    void trim(block *it, std::uint64_t need);

    std::uint64_t bytes_;                // of the whole memory
    std::uint32_t first_;                // bit i: second_[i] is not 0
    std::uint32_t second_[levels];       // bit j: heads_[i][j] is not 0
    std::uint64_t heads_[levels][lists]; // offsets of the first blocks; 0: none
};

} // namespace bench

#endif
