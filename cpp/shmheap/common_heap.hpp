// common_heap.hpp: a heap that the first process makes and the last process removes.
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

// common_heap is a heap for processes of one user that come and go at any time. A name of
// shm_open() stands for it as long as a process uses it. When all processes died, the next process
// gets an empty heap instead. The heap's file is readable by its owner only. join refuses a file of
// another user, or one that other users can read (EACCES). When processes come and leave at the
// same time, all that are present in the end share one heap. exec and _exit() leave the heap
// as a death does.
class common_heap
{
public:
    common_heap() noexcept = default;
    // A moved-from one has no heap, and leaves nothing.
    common_heap(common_heap &&) noexcept = default;
    common_heap &operator=(common_heap &&) = delete;
    ~common_heap() { leave(); }

    // Errors as shmheap_open; the result is then false.
    static common_heap join(const std::string &name, options how, std::error_code &error)
    {
        common_heap joined;
        how.mode = 0600;
        how.take_over = true;
        joined.name_ = name;
        if (how.socket) // the suffix that shmheap_open adds
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

    // Disconnects; the last process removes the name. The destructor calls it.
    void leave() noexcept
    {
        if (!heap_)
            return;
        heap_.close();
        shmheap_unlink_unused(name_.c_str());
    }

private:
    // Whether this user owns the file, and no other user can open it.
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
