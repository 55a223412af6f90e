// socket.hpp: which CPU package this process runs on.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_CPP_SOCKET_HPP
#define SHMHEAP_CPP_SOCKET_HPP

#include <fstream>
#include <string>
#include <system_error>

#include <sched.h>

#include "error.hpp"

namespace shmheap {

// own_socket is the package id of the cores that the calling thread may run on. Failure: -1, EXDEV (they belong to
// more than one: bind the process to a socket) or ENOTSUP (the system does not say). cpus: the folder where it does.
inline int own_socket(std::error_code &error, const std::string &cpus = "/sys/devices/system/cpu")
{
    constexpr int sets = 16, count = sets * CPU_SETSIZE;
    static_assert(count >= 8192, "as many as Linux can have");
    cpu_set_t allowed[sets] = {};
    int socket = -1;
    error.clear();
    if (sched_getaffinity(0, sizeof allowed, allowed) != 0)
        return error = detail::last_error(), -1;
    for (int cpu = 0; cpu < count; cpu++) {
        if (!CPU_ISSET_S(static_cast<size_t>(cpu), sizeof allowed, allowed))
            continue;
        int package = -1;
        std::ifstream file(cpus + "/cpu" + std::to_string(cpu) + "/topology/physical_package_id");
        if (!(file >> package) || package < 0)
            return error = detail::error_of(ENOTSUP), -1;
        if (socket >= 0 && socket != package)
            return error = detail::error_of(EXDEV), -1;
        socket = package;
    }
    return socket;
}

} // namespace shmheap

#endif
