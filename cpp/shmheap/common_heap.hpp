// common_heap.hpp: a heap that the first to come makes and the last to leave removes.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_COMMON_HEAP_HPP
#define SHMHEAP_CPP_COMMON_HEAP_HPP

#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "heap.hpp"

namespace shmheap {

namespace detail {

// door is flock() on the heap's file, held by who comes or leaves. The kernel drops it at a death. It owns the
// descriptor, of which nobody else may have a copy: -1 and errno, or open.
class door {
public:
    explicit door(int fd) noexcept : fd_(fd) {}
    door(const door &) = delete;
    door &operator=(const door &) = delete;
    ~door()
    {
        if (fd_ >= 0)
            ::close(fd_);
    }
    int fd() const noexcept { return fd_; }

    // ETIMEDOUT: somebody alive has stood in it for 30 s.
    bool enter(std::error_code &error) const
    {
        auto end = std::chrono::steady_clock::now() + name_lock::limit;
        while (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) != 0) {
            if (fd_ < 0 || (errno != EWOULDBLOCK && errno != EINTR))
                return error = last_error(), false;
            if (std::chrono::steady_clock::now() > end)
                return error = error_of(ETIMEDOUT), false;
            std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
        return true;
    }

private:
    int fd_;
};

// Whether name is that of the file in fd still.
inline bool is_named(const std::string &name, int fd)
{
    struct stat ours, theirs;
    int found = shm_open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    bool same = found >= 0 && fstat(fd, &ours) == 0 && fstat(found, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
                ours.st_ino == theirs.st_ino;
    if (found >= 0)
        ::close(found);
    return same;
}

inline int open_again(int file)
{
    return ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR | O_CLOEXEC);
}

// Ours alone: made by this user, and for nobody else.
inline bool is_private(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0;
}

} // namespace detail

// common_heap is a heap for processes of one user who come and go as they like: a name for shm_open() stands for it
// as long as any of them is there. What all of them left behind by dying goes when the next one comes: it gets an
// empty heap. Its file is readable by its owner only; one that is not, or belongs to another user, is refused
// (EACCES). Where two come, or one comes and one leaves, at the same time, all who are there in the end share one
// heap. A child made by fork() counts from its first change on; what a process that exec'ed or called _exit() left is
// as after a death.
class common_heap {
public:
    common_heap() noexcept = default;
    // Moved-from ones have no name, and leave nothing.
    common_heap(common_heap &&) noexcept = default;
    common_heap &operator=(common_heap &&) = delete;
    ~common_heap() { leave(); }

    // Errors as shmheap_open has them, but EEXIST; false then.
    static common_heap join(const std::string &name, options how, std::error_code &error)
    {
        how.mode = 0600;
        auto end = std::chrono::steady_clock::now() + detail::name_lock::limit;
        do {
            common_heap joined;
            joined.name_ = name;
            joined.try_join(how, error);
            if (error != detail::error_of(EAGAIN) || joined.heap_)
                return joined;
        } while (std::chrono::steady_clock::now() < end);
        error = detail::error_of(ETIMEDOUT);
        return common_heap();
    }

    explicit operator bool() const noexcept { return static_cast<bool>(heap_); }
    const heap &get() const noexcept { return heap_; }

    // Disconnects; the last one removes the name. Called by the destructor.
    void leave() noexcept
    {
        if (!heap_)
            return;
        try {
            std::error_code error;
            detail::door door(detail::open_again(heap_.fd()));
            bool alone = door.enter(error);
            heap_.close();
            if (alone && shmheap_in_use(door.fd()) == 0 && detail::is_named(name_, door.fd()))
                shmheap_unlink(name_.c_str());
        } catch (...) { // no memory: the next one to come finds a heap that nobody is on
            heap_.close();
        }
    }

private:
    // EAGAIN without a heap: what was there is gone, or was replaced by another; try again.
    void try_join(const options &how, std::error_code &error)
    {
        int fd = shm_open(name_.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
        if (fd >= 0)
            enter(detail::door(fd), how, error);
        else if (errno == ENOENT)
            make(how, error);
        else
            error = detail::last_error();
    }

    // Connecting in the door, one at a time: whoever else is connected then has come before, and stays until it has
    // been at the door.
    void enter(const detail::door &door, const options &how, std::error_code &error)
    {
        if (!door.enter(error) || !check_name(door, error))
            return;
        heap_ = heap::from_fd(door.fd(), how, error);
        bool unfinished = error == detail::error_of(ETIMEDOUT) && shmheap_in_use(door.fd()) == 0; // its maker died
        if (!unfinished && (!heap_ || heap_.stat().processes > 1))
            return;
        shmheap_unlink(name_.c_str()); // of those who died, or left without a word
        heap_.close();
        error = detail::error_of(EAGAIN);
    }

    // Making happens outside of the door, since the door is on what is made. Who comes before the maker is through it
    // waits for the heap to be complete and sees that somebody is connected.
    void make(const options &how, std::error_code &error)
    {
        heap_ = heap::create(name_, how, error);
        if (error == detail::error_of(EEXIST))
            error = detail::error_of(EAGAIN);
        if (!heap_)
            return;
        detail::door door(detail::open_again(heap_.fd()));
        if (!door.enter(error) || !check_name(door, error))
            heap_.close();
    }

    bool check_name(const detail::door &door, std::error_code &error) const
    {
        if (!detail::is_named(name_, door.fd()))
            return error = detail::error_of(EAGAIN), false;
        if (!detail::is_private(door.fd()))
            return error = detail::error_of(EACCES), false;
        return true;
    }

    std::string name_;
    heap heap_;
};

} // namespace shmheap

#endif
