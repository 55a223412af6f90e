// sorted_by_another: a program in the style of Boost.Interprocess, each line beside Boost's line.
//
// It makes a vector in shared memory and starts itself once more. That process finds the vector by
// name, sorts it and destroys it.
//
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <shmheap.hpp>

//  typedef allocator<int, managed_shared_memory::segment_manager> ShmemAllocator;
//  typedef vector<int, ShmemAllocator> MyVector; // Boost's; here libstdc++'s serves
using shmem_allocator = shmheap::allocator<int>;
using my_vector = std::vector<int, shmem_allocator>;

static void parent(const std::string &name, const char *program)
{
    //  managed_shared_memory segment(create_only, "MySharedMemory", 65536);
    auto segment = shmheap::heap::create(name, [] {
        shmheap::options how;
        how.len = 65536;
        return how;
    }());

    //  MyVector *numbers = segment.construct<MyVector>("MyVector")(segment.get_segment_manager());
    my_vector *numbers = segment.construct<my_vector>("MyVector")(segment.get_allocator<int>());
    for (int i = 0; i < 100; i++)
        numbers->push_back(i * 37 % 100);

    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", program, name.c_str(), static_cast<char *>(nullptr));
        _exit(1);
    }
    int status = -1;
    waitpid(pid, &status, 0);

    //  shared_memory_object::remove("MySharedMemory"); // also before create_only, after a death
    shmheap::heap::remove(name);
    if (status != 0 || segment.find<my_vector>("MyVector") != nullptr)
        throw std::runtime_error("the other process has not done its part");
    std::printf("sorted and destroyed by process %d\n", static_cast<int>(pid));
}

static void child(const std::string &name)
{
    //  managed_shared_memory segment(open_only, "MySharedMemory");
    auto segment = shmheap::heap::open(name);

    //  MyVector *numbers = segment.find<MyVector>("MyVector").first;
    my_vector *numbers = segment.find<my_vector>("MyVector");
    std::sort(numbers->begin(), numbers->end());
    for (int i = 0; i < 100; i++)
        if (numbers->at(static_cast<std::size_t>(i)) != i)
            throw std::runtime_error("not sorted");

    //  segment.destroy<MyVector>("MyVector");
    segment.destroy<my_vector>("MyVector");
}

int main(int argc, char **argv)
{
    try {
        argc > 1 ? child(argv[1])
                 : parent("/sorted-by-another-" + std::to_string(std::random_device()()), argv[0]);
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
