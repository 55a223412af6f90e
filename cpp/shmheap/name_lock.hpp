// name_lock.hpp: a lock for each name: one thread of one process changes a name at a time.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_NAME_LOCK_HPP
#define SHMHEAP_CPP_NAME_LOCK_HPP

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "c.hpp"
#include "error.hpp"

namespace shmheap::detail
{

// open_files are all descriptors of this header in the process. A child made by fork() closes its
// copies first: a lock ends with its last copy, so a child would keep its parent's lock beyond the
// parent's death.
class open_files
{
public:
    // Never destroyed: threads may use it while the process ends.
    static open_files &all()
    {
        static open_files *const files = new open_files;
        return *files;
    }

    // Opens path. Returns the descriptor, or -1 with errno.
    int open(const std::string &path)
    {
        guard one_at_a_time(*this);
        files_.reserve(files_.size() + 1);
        file opened = {::open(path.c_str(), O_RDWR | O_CLOEXEC), 0, 0};
        if (opened.fd < 0 || !identify(opened.fd, opened))
            return -1;
        files_.push_back(opened);
        return opened.fd;
    }
    // Closes fd, unless the program closed it: the number may be that of another file now.
    void close(int fd) noexcept
    {
        guard one_at_a_time(*this);
        auto found = find(fd);
        if (found == files_.end())
            return;
        close_ours(*found);
        files_.erase(found);
    }
    bool has(int fd) noexcept
    {
        guard one_at_a_time(*this);
        auto found = find(fd);
        return found != files_.end() && is_ours(*found);
    }
    // Another number in a child than in its parent. A child has closed descriptors of an older
    // number.
    unsigned forks() const noexcept { return forks_.load(std::memory_order_relaxed); }

private:
    struct file {
        int fd;
        dev_t device;
        ino_t inode;
    };
    struct guard {
        explicit guard(open_files &files) : mutex(files.mutex_) { pthread_mutex_lock(&mutex); }
        guard(const guard &) = delete;
        guard &operator=(const guard &) = delete;
        ~guard() { pthread_mutex_unlock(&mutex); }
        pthread_mutex_t &mutex;
    };

    open_files() { pthread_atfork(prepare, in_parent, in_child); }

    static bool identify(int fd, file &its)
    {
        struct stat status;
        if (fstat(fd, &status) != 0)
            return false;
        its.device = status.st_dev;
        its.inode = status.st_ino;
        return true;
    }
    static bool is_ours(const file &known)
    {
        file now = {known.fd, 0, 0};
        return identify(known.fd, now) && now.device == known.device && now.inode == known.inode;
    }
    static void close_ours(const file &known) noexcept
    {
        if (is_ours(known))
            ::close(known.fd);
    }
    std::vector<file>::iterator find(int fd) noexcept
    {
        return std::find_if(files_.begin(), files_.end(),
                            [fd](const file &file) { return file.fd == fd; });
    }

    // fork() waits for a thread that opens a file, 0.1 s at most.
    static void prepare()
    {
        open_files &files = all();
        struct timespec limit;
        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_nsec += 100000000;
        limit.tv_sec += limit.tv_nsec / 1000000000;
        limit.tv_nsec %= 1000000000;
        files.mutex_is_ours_ = pthread_mutex_timedlock(&files.mutex_, &limit) == 0;
    }
    static void in_parent()
    {
        if (all().mutex_is_ours_)
            pthread_mutex_unlock(&all().mutex_);
    }
    static void in_child()
    {
        open_files &files = all();
        int before = errno;
        pthread_mutex_init(&files.mutex_, nullptr);
        files.forks_.fetch_add(1, std::memory_order_relaxed);
        for (const file &known : files.files_)
            close_ours(known);
        files.files_.clear();
        errno = before;
    }

    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
    bool mutex_is_ours_ = false; // of the thread that forks
    std::vector<file> files_;
    std::atomic<unsigned> forks_{0};
};

inline unsigned forks() { return open_files::all().forks(); }

// lock_files are open descriptions of one heap's file, one for each lock held at a time: locks of
// one description do not exclude each other. They stay open for the next lock, since opening costs
// more than locking.
class lock_files
{
public:
    lock_files() = default;
    lock_files(const lock_files &) = delete;
    lock_files &operator=(const lock_files &) = delete;
    ~lock_files()
    {
        if (generation_ == forks())
            for (; count_ > 0; count_--)
                open_files::all().close(files_[count_ - 1]);
    }

    // Returns a descriptor, or -1 with errno: ENOTSUP, the heap has no file; EACCES, the connection
    // is read-only.
    int take(shmheap_memory_handle mem)
    {
        int fd = kept();
        int file = fd < 0 ? shmheap_fd_writable(mem) : -1;
        if (file < 0)
            return fd;
        return open_files::all().open("/proc/self/fd/" + std::to_string(file));
    }

    // The caller has released the lock on fd. generation is forks() of when it was taken.
    void give(int fd, unsigned generation) noexcept
    {
        std::lock_guard<std::mutex> guard(mutex_);
        if (generation != forks() || generation != generation_ || count_ == capacity)
            open_files::all().close(fd);
        else
            files_[count_++] = fd;
    }

private:
    static constexpr int capacity = 8;

    int kept()
    {
        std::lock_guard<std::mutex> guard(mutex_);
        if (generation_ != forks())
            count_ = 0; // the parent's; this child has closed them
        generation_ = forks();
        while (count_ > 0) {
            int fd = files_[--count_];
            if (open_files::all().has(fd))
                return fd;
            open_files::all().close(fd); // the program has closed it
        }
        return -1;
    }

    std::mutex mutex_;
    unsigned generation_ = 0;
    int files_[capacity] = {}, count_ = 0;
};

// name_lock is an open-file-description lock on one byte of the heap's file, far behind its end.
// The name determines the byte. The kernel releases the lock when its holder dies, so no death
// leaves it locked, and no peer can hold it by a write to the segment. (A child made by _Fork() or
// clone() while a lock was held keeps the lock until it execs or ends.)
class name_lock
{
public:
    static constexpr std::chrono::seconds limit{30}; // as long as the heap's own lock

    // Waits, at most limit. On failure valid() is false, with error ETIMEDOUT (a live process held
    // the lock for 30 s), ENOTSUP (the heap has no file) or EACCES (the connection is read-only).
    name_lock(lock_files &files, shmheap_memory_handle mem, std::string_view name,
              std::error_code &error)
        : files_(files), byte_(byte_of(name)), generation_(forks()), fd_(files.take(mem))
    {
        error = fd_ < 0 ? last_error() : std::error_code();
        if (fd_ >= 0 && !take(error)) {
            open_files::all().close(fd_);
            fd_ = -1;
        }
    }
    name_lock(const name_lock &) = delete;
    name_lock &operator=(const name_lock &) = delete;
    ~name_lock()
    {
        if (fd_ < 0 || generation_ != forks())
            return; // none, or the parent's, which this child has closed
        if (set(F_UNLCK))
            files_.give(fd_, generation_);
        else
            open_files::all().close(fd_);
    }
    bool valid() const noexcept { return fd_ >= 0; }

private:
    // The same in every build of every program: FNV-1a. Two names on one byte only wait for each
    // other.
    static off_t byte_of(std::string_view name) noexcept
    {
        std::uint64_t hash = UINT64_C(0xcbf29ce484222325);
        for (unsigned char byte : name)
            hash = (hash ^ byte) * UINT64_C(0x100000001b3);
        return static_cast<off_t>(UINT64_C(1) << 61 | hash >> 3);
    }

    // The kernel's waiting lock call has no time limit, so this one retries, with growing pauses.
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
