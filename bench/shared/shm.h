// shm.h: named shared memory for peers that do not create their own.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_SHM_H
#define BENCH_SHM_H

#include <cstddef>
#include <string>

namespace bench
{

class shm
{
public:
    shm() = default;
    shm(const shm &) = delete;
    shm &operator=(const shm &) = delete;
    ~shm();

    // Both throw std::runtime_error.
    void create(const std::string &name, std::size_t bytes);
    void connect(const std::string &name);

    unsigned char *base() const { return base_; }
    std::size_t bytes() const { return bytes_; }

private:
    void map(int fd, std::size_t bytes);

    unsigned char *base_ = nullptr;
    std::size_t bytes_ = 0;
};

} // namespace bench

#endif
