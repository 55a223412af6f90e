// peer NAME COUNT: finds the containers of containers_test in the heap NAME, and adds as many again
// as they hold, COUNT.
// SPDX-License-Identifier: Apache-2.0
#include "tests/cpp/containers.hpp"

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    int count = atoi(argv[2]), failures = 0;
    shmheap::heap in = shmheap::heap::open(argv[1]);
    each_container([&](auto type, const char *label) {
        auto object = in.find<std::remove_pointer_t<decltype(type)>>(label);
        if (object == nullptr || !object->holds(count)) {
            fprintf(stderr, "peer: %s is not as it should be\n", label);
            failures++;
            return;
        }
        for (int i = count; i < 2 * count; i++)
            object->add(i);
    });
    return failures != 0;
}
