// SPDX-License-Identifier: Apache-2.0
#include "bench/measure/machine.h"

#include <cstdio>
#include <fstream>
#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace bench
{

namespace
{

// The value in the first line that begins with key, without surrounding quotes, colons and blanks.
std::string line_value(const char *file, const std::string &key)
{
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
        if (line.compare(0, key.size(), key) != 0)
            continue;
        std::size_t begin = line.find_first_not_of(" \t:=\"", key.size()),
                    end = line.find_last_not_of(" \t\"");
        return begin == std::string::npos ? "" : line.substr(begin, end - begin + 1);
    }
    return "unknown";
}

std::string kernel()
{
    utsname name;
    return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release + " " + name.machine
                             : "unknown";
}

std::string load()
{
    double average[1];
    char text[32];
    if (getloadavg(average, 1) != 1)
        return "unknown";
    std::snprintf(text, sizeof text, "%.2f", average[0]);
    return text;
}

std::string compiler()
{
#if defined(__clang__)
    const char *name = "clang ";
#else
    const char *name = "gcc ";
#endif
#if defined(NDEBUG)
    const char *mode = ", -DNDEBUG";
#else
    const char *mode = ", assertions on";
#endif
    return std::string(name) + __VERSION__ + mode;
}

} // namespace

std::vector<std::pair<std::string, std::string>> machine_describe()
{
    return {
        {"processor", line_value("/proc/cpuinfo", "model name")},
        {"cores", std::to_string(sysconf(_SC_NPROCESSORS_ONLN))},
        {"memory", line_value("/proc/meminfo", "MemTotal")},
        {"system", line_value("/etc/os-release", "PRETTY_NAME=")},
        {"kernel", kernel()},
        {"compiler", compiler()},
        {"C library", std::string("glibc ") + gnu_get_libc_version()},
        {"load before", load()},
    };
}

} // namespace bench
