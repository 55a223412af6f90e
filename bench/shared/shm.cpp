// Named shared memory for peers that do not create their own.
// SPDX-License-Identifier: Apache-2.0
#include "bench/shared/shm.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace bench
{

namespace
{

[[noreturn]] void fail(const char *what)
{
    throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

} // namespace

shm::~shm()
{
    if (base_ != nullptr)
        munmap(base_, bytes_);
}

void shm::map(int fd, std::size_t bytes)
{
    void *address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (address == MAP_FAILED)
        fail("mmap");
    base_ = static_cast<unsigned char *>(address);
    bytes_ = bytes;
}

void shm::create(const std::string &name, std::size_t bytes)
{
    int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        fail("shm_open");
    if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
        ::close(fd);
        fail("ftruncate");
    }
    map(fd, bytes);
}

void shm::connect(const std::string &name)
{
    struct stat status;
    int fd = shm_open(name.c_str(), O_RDWR, 0);
    if (fd < 0)
        fail("shm_open");
    if (fstat(fd, &status) != 0) {
        ::close(fd);
        fail("fstat");
    }
    map(fd, static_cast<std::size_t>(status.st_size));
}

} // namespace bench
