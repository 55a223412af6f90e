// name_lock.hpp: one process, and one thread in it, at a time changes what a name stands for.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_NAME_LOCK_HPP
#define SHMHEAP_CPP_NAME_LOCK_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "c.hpp"
#include "error.hpp"

namespace shmheap::detail {

// forks tells a child made by fork() from its parent: it is another number there.
inline std::atomic<unsigned> fork_count{0};
inline unsigned forks()
{
    static const int once =
        pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });
    static_cast<void>(once);
    return fork_count.load(std::memory_order_relaxed);
}

// lock_files are open descriptions of one heap's file, one for each lock that is held at a time: locks of one
// description do not exclude each other. Kept open for the next lock, since opening costs more than locking.
class lock_files {
public:
    lock_files() = default;
    lock_files(const lock_files &) = delete;
    lock_files &operator=(const lock_files &) = delete;
    ~lock_files() { close_all(); }

    // -1, errno: ENOTSUP, the heap has no file; EACCES, the connection is read-only.
    int take(shmheap_memory_handle mem)
    {
        int fd = kept();
        int file = fd < 0 ? shmheap_fd_writable(mem) : -1;
        if (file < 0)
            return fd;
        return ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR | O_CLOEXEC);
    }

    // No lock is held on it; generation is that of when it was taken.
    void give(int fd, unsigned generation) noexcept
    {
        std::lock_guard<std::mutex> guard(mutex_);
        if (generation != forks() || generation != generation_ || count_ == capacity)
            ::close(fd);
        else
            files_[count_++] = fd;
    }

private:
    static constexpr int capacity = 8;

    int kept()
    {
        std::lock_guard<std::mutex> guard(mutex_);
        if (generation_ != forks())
            close_all(); // our parent's: its locks would be ours
        generation_ = forks();
        return count_ > 0 ? files_[--count_] : -1;
    }
    void close_all() noexcept
    {
        while (count_ > 0)
            ::close(files_[--count_]);
    }

    std::mutex mutex_;
    unsigned generation_ = 0;
    int files_[capacity] = {}, count_ = 0;
};

// name_lock is an open-file-description lock on one byte of the heap's file, far behind its end, which byte the name
// says. The kernel drops it when its holder dies, so there is nothing in the segment that a peer could write to hold
// others up, and no death leaves it locked. (A child that its holder made by fork() while holding it keeps it too,
// until it execs or ends.)
class name_lock {
public:
    static constexpr std::chrono::seconds limit{30}; // as long as the heap's own lock

    // Waits; valid() unless error says why not: ETIMEDOUT, somebody alive held it for 30 s; ENOTSUP, the heap has no
    // file; EACCES, the connection is read-only.
    name_lock(lock_files &files, shmheap_memory_handle mem, std::string_view name, std::error_code &error)
        : files_(files), byte_(byte_of(name)), generation_(forks()), fd_(files.take(mem))
    {
        error = fd_ < 0 ? last_error() : std::error_code();
        if (fd_ >= 0 && !take(error)) {
            ::close(fd_);
            fd_ = -1;
        }
    }
    name_lock(const name_lock &) = delete;
    name_lock &operator=(const name_lock &) = delete;
    ~name_lock()
    {
        if (fd_ >= 0 && set(F_UNLCK))
            files_.give(fd_, generation_);
        else if (fd_ >= 0)
            ::close(fd_);
    }
    bool valid() const noexcept { return fd_ >= 0; }

private:
    // The same in every build of every program: FNV-1a. Two names on one byte only wait for each other.
    static off_t byte_of(std::string_view name) noexcept
    {
        std::uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (unsigned char byte : name)
            hash = (hash ^ byte) * UINT64_C(0x100000001b3);
        return static_cast<off_t>(UINT64_C(1) << 61 | hash >> 3);
    }

    // The kernel wakes who waits for a lock, but knows no time limit; so we ask again, ever more rarely.
    bool take(std::error_code &error) const
    {
        auto end = std::chrono::steady_clock::now() + limit;
        for (auto pause = std::chrono::microseconds(20); !set(F_WRLCK);
             pause = std::min(2 * pause, std::chrono::microseconds(2000))) {
            if (errno != EAGAIN && errno != EACCES && errno != EINTR)
                return error = last_error(), false;
            if (std::chrono::steady_clock::now() > end)
                return error = error_of(ETIMEDOUT), false;
            std::this_thread::sleep_for(pause);
        }
        return true;
    }

    bool set(short type) const noexcept
    {
        struct flock lock = {};
        lock.l_type = type;
        lock.l_whence = SEEK_SET;
        lock.l_start = byte_;
        lock.l_len = 1;
        return fcntl(fd_, F_OFD_SETLK, &lock) == 0;
    }

    lock_files &files_;
    off_t byte_;
    unsigned generation_;
    int fd_;
};

} // namespace shmheap::detail

#endif
