// Two-level segregated fit.
// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/tlsf_heap.h"

#include <algorithm>
#include <new>
#include <stdexcept>

namespace bench
{

namespace
{

constexpr std::uint64_t unit = 16, header = 8, least = 32;
constexpr std::uint64_t free_flag = 1, before_free = 2, flags = unit - 1;
constexpr unsigned linear_log2 = 9, lists_log2 = 5; // below 512 bytes each size has a list

// The first block, so that its object is aligned.
constexpr std::uint64_t begin = (sizeof(tlsf_heap) + unit - 1) / unit * unit + header;

unsigned highest_bit(std::uint64_t value)
{
    return 63 - static_cast<unsigned>(__builtin_clzll(value));
}

unsigned lowest_bit(std::uint32_t value) { return static_cast<unsigned>(__builtin_ctz(value)); }

// The last word of a free block repeats its size, so that the next block finds its start.
std::uint64_t &word_before(void *block) { return static_cast<std::uint64_t *>(block)[-1]; }

} // namespace

std::uint64_t tlsf_heap::block_size_of(std::size_t object_size)
{
    return std::max(least, (object_size + header + unit - 1) / unit * unit);
}

std::uint64_t tlsf_heap::size_of(const block *it) { return it->word & ~flags; }

// The list that holds blocks of this size.
tlsf_heap::place tlsf_heap::place_of(std::uint64_t size)
{
    if (size < std::uint64_t{1} << linear_log2)
        return {0, static_cast<unsigned>(size / unit)};
    unsigned top = highest_bit(size);
    return {top - linear_log2 + 1, static_cast<unsigned>(size >> (top - lists_log2)) - lists};
}

// The first list whose blocks all have at least this size.
tlsf_heap::place tlsf_heap::place_to_search(std::uint64_t size)
{
    if (size >= std::uint64_t{1} << linear_log2)
        size += (std::uint64_t{1} << (highest_bit(size) - lists_log2)) - 1;
    return place_of(size);
}

tlsf_heap::block *tlsf_heap::after(block *it)
{
    return reinterpret_cast<block *>(reinterpret_cast<unsigned char *>(it) + size_of(it));
}

tlsf_heap::block *tlsf_heap::block_of(void *object)
{
    return reinterpret_cast<block *>(static_cast<unsigned char *>(object) - header);
}

tlsf_heap::block *tlsf_heap::at(std::uint64_t offset) const
{
    auto base = reinterpret_cast<std::uintptr_t>(this);
    return reinterpret_cast<block *>(base + static_cast<std::uintptr_t>(offset));
}

std::uint64_t tlsf_heap::offset_of(const block *it) const
{
    return reinterpret_cast<std::uintptr_t>(it) - reinterpret_cast<std::uintptr_t>(this);
}

void tlsf_heap::link(block *it)
{
    place in = place_of(size_of(it));
    std::uint64_t self = offset_of(it), &head = heads_[in.level][in.list];
    it->next = head;
    it->previous = 0;
    if (head != 0)
        at(head)->previous = self;
    head = self;
    second_[in.level] |= 1u << in.list;
    first_ |= 1u << in.level;
}

void tlsf_heap::unlink(block *it)
{
    if (it->next != 0)
        at(it->next)->previous = it->previous;
    if (it->previous != 0) {
        at(it->previous)->next = it->next;
        return;
    }
    place in = place_of(size_of(it));
    heads_[in.level][in.list] = it->next;
    if (it->next != 0)
        return;
    second_[in.level] &= ~(1u << in.list);
    if (second_[in.level] == 0)
        first_ &= ~(1u << in.level);
}

// Takes a block of at least this size from its list, or returns nullptr.
tlsf_heap::block *tlsf_heap::fit_take(std::uint64_t size)
{
    place in = place_to_search(size);
    std::uint32_t found = second_[in.level] & (~0u << in.list);
    if (found == 0) {
        std::uint32_t larger = first_ & static_cast<std::uint32_t>(~std::uint64_t{1} << in.level);
        if (larger == 0)
            return nullptr;
        in.level = lowest_bit(larger);
        found = second_[in.level];
    }
    block *it = at(heads_[in.level][lowest_bit(found)]);
    unlink(it);
    return it;
}

// Makes size bytes a free block. The block before them is used; a free one after them joins:
//   [ used ][ it ][ free ]   =>   [ used ][     it     ]
void tlsf_heap::release(block *it, std::uint64_t size)
{
    it->word = size | free_flag;
    block *next = after(it);
    if (next->word & free_flag) {
        unlink(next);
        it->word += size_of(next);
        next = after(it);
    }
    word_before(next) = size_of(it);
    next->word |= before_free;
    link(it);
}

// Gives back the end of a used block:   [    it    ]   =>   [ it ][ free ]
void tlsf_heap::trim(block *it, std::uint64_t need)
{
    std::uint64_t rest = size_of(it) - need;
    if (rest < least)
        return;
    it->word -= rest;
    release(after(it), rest);
}

// [ this ][ one free block ... ][ end: a used block of 0 bytes ]
tlsf_heap *tlsf_heap::make(void *memory, std::size_t bytes)
{
    if (bytes < begin + least + unit || bytes >> (linear_log2 + levels - 1) != 0)
        throw std::runtime_error("no TLSF heap has this size");
    tlsf_heap *heap = new (memory) tlsf_heap();
    heap->bytes_ = bytes;
    std::uint64_t end = bytes / unit * unit - header;
    heap->at(end)->word = 0;
    heap->release(heap->at(begin), end - begin);
    return heap;
}

void *tlsf_heap::alloc(std::size_t size)
{
    if (size > bytes_)
        return nullptr;
    std::uint64_t need = block_size_of(size);
    block *it = fit_take(need);
    if (it == nullptr)
        return nullptr;
    it->word &= ~free_flag;
    after(it)->word &= ~before_free;
    trim(it, need);
    return reinterpret_cast<unsigned char *>(it) + header;
}

void tlsf_heap::free(void *object)
{
    block *it = block_of(object);
    std::uint64_t size = size_of(it);
    if (it->word & before_free) {
        std::uint64_t before = word_before(it);
        it = at(offset_of(it) - before);
        unlink(it);
        size += before;
    }
    release(it, size);
}

bool tlsf_heap::resize(void *object, std::size_t size)
{
    if (size > bytes_)
        return false;
    block *it = block_of(object), *next = after(it);
    std::uint64_t need = block_size_of(size), have = size_of(it);
    if (need > have) {
        if (!(next->word & free_flag) || have + size_of(next) < need)
            return false;
        unlink(next);
        it->word += size_of(next);
        after(it)->word &= ~before_free;
    }
    trim(it, need);
    return true;
}

// Walks over all blocks, while free_listed() walks over the lists.
std::size_t tlsf_heap::free_walked() const
{
    std::size_t count = 0;
    for (block *it = at(begin); size_of(it) != 0; it = after(it))
        count += it->word & free_flag;
    return count;
}

std::size_t tlsf_heap::free_listed() const
{
    std::size_t count = 0;
    for (const auto &level : heads_)
        for (std::uint64_t head : level)
            for (std::uint64_t it = head; it != 0; it = at(it)->next)
                count++;
    return count;
}

} // namespace bench
