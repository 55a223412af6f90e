// See umpire_beside_test.cpp. SPDX-License-Identifier: Apache-2.0
#include <shmheap_umpire.hpp>

std::size_t actual_size_elsewhere()
{
    umpire::Allocator host = umpire::ResourceManager::getInstance().getAllocator("HOST");
    void *data = host.allocate(300);
    std::size_t size = host.getActualSize();
    host.deallocate(data);
    return size;
}
