// common_heap.hpp: a heap that the first to come makes and the last to leave removes.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_COMMON_HEAP_HPP
#define SHMHEAP_CPP_COMMON_HEAP_HPP

#include <string>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "heap.hpp"

namespace shmheap
{

// common_heap is a heap for processes of one user who come and go as they like: a name for shm_open() stands for it
// as long as any of them is there. What all of them left behind by dying goes when the next one comes: it gets an
// empty heap. Its file is readable by its owner only; one that is not, or belongs to another user, is refused
// (EACCES). Where two come, or one comes and one leaves, at the same time, all who are there in the end share one
// heap. What a process that exec'ed or called _exit() left is as after a death.
class common_heap
{
public:
    common_heap() noexcept = default;
    // Moved-from ones have no heap, and leave nothing.
    common_heap(common_heap &&) noexcept = default;
    common_heap &operator=(common_heap &&) = delete;
    ~common_heap() { leave(); }

    // Errors as shmheap_open has them; false then.
    static common_heap join(const std::string &name, options how, std::error_code &error)
    {
        common_heap joined;
        how.mode = 0600;
        how.take_over = true;
        joined.name_ = name;
        if (how.socket) // what shmheap_open adds
            joined.name_ += ".socket" + std::to_string(shmheap_socket());
        joined.heap_ = heap::open_or_create(name, how, error);
        if (joined.heap_ && !joined.is_private()) {
            joined.heap_.close();
            error = detail::error_of(EACCES);
        }
        return joined;
    }

    explicit operator bool() const noexcept { return static_cast<bool>(heap_); }
    const heap &get() const noexcept { return heap_; }

    // Disconnects; the last one removes the name. Called by the destructor.
    void leave() noexcept
    {
        if (!heap_)
            return;
        heap_.close();
        shmheap_unlink_unused(name_.c_str());
    }

private:
    // Ours alone: made by this user, and for nobody else.
    bool is_private() const noexcept
    {
        struct stat status;
        return fstat(heap_.fd(), &status) == 0 && status.st_uid == geteuid() &&
               (status.st_mode & 077) == 0;
    }

    std::string name_;
    heap heap_;
};

} // namespace shmheap

#endif
