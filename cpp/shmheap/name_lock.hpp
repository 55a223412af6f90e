// name_lock.hpp: one process, and one thread in it, at a time changes what a name stands for.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_NAME_LOCK_HPP
#define SHMHEAP_CPP_NAME_LOCK_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include "c.hpp"
#include "error.hpp"

namespace shmheap::detail {

// name_lock is an open-file-description lock on one byte of the heap's file, far behind its end, which byte the name says.
// The kernel drops it when its holder dies, so there is nothing in the segment that a peer could write to hold others up,
// and no death leaves it locked. (A child that its holder made by fork() while holding it keeps it too, until it execs or ends.)
class name_lock {
public:
    static constexpr std::chrono::seconds limit{30}; // as long as the heap's own lock

    // Waits; valid() unless error says why not: ETIMEDOUT, somebody alive held it for 30 s; ENOTSUP, the heap has no file;
    // EACCES, the connection is read-only.
    name_lock(shmheap_memory_handle mem, std::string_view name, std::error_code &error)
    {
        fd_ = open_again(shmheap_fd(mem));
        error = fd_ < 0 ? last_error() : std::error_code();
        if (fd_ >= 0 && !take(byte_of(name), error))
            release();
    }
    name_lock(const name_lock &) = delete;
    name_lock &operator=(const name_lock &) = delete;
    ~name_lock() { release(); }
    bool valid() const noexcept { return fd_ >= 0; }

private:
    // A description of our own, since locks of one description do not exclude each other. -1, errno.
    static int open_again(int file)
    {
        if (file < 0)
            return -1;
        if ((fcntl(file, F_GETFL) & O_ACCMODE) == O_RDONLY)
            return errno = EACCES, -1;
        return ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR | O_CLOEXEC);
    }

    // The same in every build of every program: FNV-1a. Two names on one byte only wait for each other.
    static off_t byte_of(std::string_view name) noexcept
    {
        std::uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (unsigned char byte : name)
            hash = (hash ^ byte) * UINT64_C(0x100000001b3);
        return static_cast<off_t>(UINT64_C(1) << 61 | hash >> 3);
    }

    // The kernel wakes who waits for a lock, but knows no time limit; so we ask again, ever more rarely.
    bool take(off_t byte, std::error_code &error)
    {
        auto end = std::chrono::steady_clock::now() + limit;
        for (auto pause = std::chrono::microseconds(20); !try_take(byte); pause = std::min(2 * pause, std::chrono::microseconds(2000))) {
            if (errno != EAGAIN && errno != EACCES && errno != EINTR)
                return error = last_error(), false;
            if (std::chrono::steady_clock::now() > end)
                return error = error_of(ETIMEDOUT), false;
            std::this_thread::sleep_for(pause);
        }
        return true;
    }

    bool try_take(off_t byte) const noexcept
    {
        struct flock lock = {};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        lock.l_start = byte;
        lock.l_len = 1;
        return fcntl(fd_, F_OFD_SETLK, &lock) == 0;
    }

    void release() noexcept
    {
        if (fd_ >= 0)
            ::close(fd_);
        fd_ = -1;
    }

    int fd_ = -1;
};

} // namespace shmheap::detail

#endif
