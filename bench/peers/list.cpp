// Textbook first fit: a list of free blocks in address order, searched from its start.
// SPDX-License-Identifier: Apache-2.0
#include <mutex>
#include <new>

#include "bench/peers/peer.h"
#include "bench/shared/robust_mutex.h"
#include "bench/shared/shm.h"

namespace bench
{

namespace
{

// Offsets count from the start of the segment; 0 ends the list. Headers and payloads are multiples
// of 16.
struct block {
    std::uint64_t size; // with this header
    std::uint64_t next; // free: the free block after this one
};

struct list_heap {
    robust_mutex lock;
    alignas(16) block head; // the head of the list; never allocated
};

class list_peer final : public peer
{
public:
    void open(const std::string &name, std::size_t bytes) override
    {
        memory_ = std::make_unique<shm>();
        memory_->create(name, bytes);
        heap_ = new (memory_->base()) list_heap;
        std::uint64_t first = (sizeof(list_heap) + 15) / 16 * 16;
        *at(first) = {bytes / 16 * 16 - first, 0};
        heap_->head = {0, first};
    }
    void close() override { memory_.reset(); }

    void *alloc(std::size_t size) override
    {
        std::uint64_t need = (size + 15) / 16 * 16 + sizeof(block);
        std::lock_guard<robust_mutex> guard(heap_->lock);
        block *before = &heap_->head;
        while (before->next != 0 && at(before->next)->size < need)
            before = at(before->next);
        return before->next != 0 ? take(before, need) : nullptr;
    }

    void free(void *object) override
    {
        block *freed = static_cast<block *>(object) - 1;
        std::lock_guard<robust_mutex> guard(heap_->lock);
        block *before = &heap_->head;
        while (before->next != 0 && at(before->next) < freed)
            before = at(before->next);
        link(before, freed);
    }

    std::size_t segment_bytes() override { return memory_->bytes(); }
    std::uint64_t handle_of(void *object) override
    {
        return offset_of(static_cast<block *>(object));
    }
    void *object_of(std::uint64_t handle) override { return at(handle); }

private:
    block *at(std::uint64_t offset) const
    {
        return reinterpret_cast<block *>(memory_->base() + offset);
    }
    std::uint64_t offset_of(const block *it) const
    {
        return static_cast<std::uint64_t>(reinterpret_cast<const unsigned char *>(it) -
                                          memory_->base());
    }

    // before -> [ free ] -> after   =>   [ object ] and before -> [ rest ] -> after
    void *take(block *before, std::uint64_t need)
    {
        block *taken = at(before->next);
        if (taken->size - need < 2 * sizeof(block)) {
            before->next = taken->next;
        } else {
            block *rest = at(before->next + need);
            *rest = {taken->size - need, taken->next};
            before->next += need;
            taken->size = need;
        }
        return taken + 1;
    }

    // Inserts freed after before, and merges it with adjacent neighbours.
    void link(block *before, block *freed)
    {
        freed->next = before->next;
        before->next = offset_of(freed);
        merge(freed);
        if (before != &heap_->head)
            merge(before);
    }

    void merge(block *left)
    {
        if (left->next == 0 || offset_of(left) + left->size != left->next)
            return;
        const block *right = at(left->next);
        left->size += right->size;
        left->next = right->next;
    }

    std::unique_ptr<shm> memory_;
    list_heap *heap_ = nullptr;
};

} // namespace

const peer_entry list_entry = {
    "first-fit-list",
    "textbook first fit on an address-ordered list of free blocks, 16-byte headers, "
    "robust pthread mutex",
    trait_objects | trait_shared | trait_handles | trait_bounded, make_peer<list_peer>};

} // namespace bench
