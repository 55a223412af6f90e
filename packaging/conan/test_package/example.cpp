// example.cpp NAME: a child process finds the parent's vector by its name.
// SPDX-License-Identifier: Apache-2.0
#include <shmheap.hpp>

#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

using prices = std::vector<double, shmheap::allocator<double>>;

int main(int argc, char **argv)
{
    shmheap::options how;
    how.len = 1 << 20;
    auto heap = shmheap::heap::open_or_create(argv[argc - 1], how);
    auto in = heap.get_allocator<double>();
    prices *today = heap.find_or_construct<prices>("today")(in);
    if (fork() == 0) {
        heap.find_or_construct<prices>("today")(in)->push_back(3.50);
        _exit(0);
    }
    wait(nullptr);
    if (today->size() != 1 || today->front() != 3.50)
        return 1;
    std::puts("two processes");
}
