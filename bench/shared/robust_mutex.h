// robust_mutex.h: a pthread mutex that several processes share.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_ROBUST_MUTEX_H
#define BENCH_ROBUST_MUTEX_H

#include <cerrno>
#include <pthread.h>
#include <stdexcept>

namespace bench
{

// Lies in shared memory.
class robust_mutex
{
public:
    robust_mutex()
    {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&mutex_, &attributes);
        pthread_mutexattr_destroy(&attributes);
    }
    robust_mutex(const robust_mutex &) = delete;
    robust_mutex &operator=(const robust_mutex &) = delete;

    void lock()
    {
        if (pthread_mutex_lock(&mutex_) == EOWNERDEAD)
            throw std::runtime_error("a process died inside a call: the heap may be damaged");
    }
    void unlock() { pthread_mutex_unlock(&mutex_); }

private:
    pthread_mutex_t mutex_;
};

} // namespace bench

#endif
