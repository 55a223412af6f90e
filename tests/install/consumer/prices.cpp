// prices.cpp: the same in C++: the other process finds a container by its name.
// SPDX-License-Identifier: Apache-2.0
#include <shmheap.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

using prices = std::vector<double, shmheap::allocator<double>>;

int main(int argc, char **argv)
{
    shmheap::options how;
    how.len = 1 << 20;
    auto heap = shmheap::heap::open_or_create(argv[1], how);
    auto in = heap.get_allocator<double>();
    prices *today = heap.find_or_construct<prices>("today")(in);
    if (argc == 3) {
        today->push_back(3.50);
        return 0;
    }
    std::string command = "'" + std::string(argv[0]) + "' '" + argv[1] + "' other";
    if (std::system(command.c_str()) != 0 || today->size() != 1 || today->front() != 3.50)
        return 1;
    std::puts("two processes");
}
