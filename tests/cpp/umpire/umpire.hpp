// umpire.hpp: what the tests of the Umpire layer share.
// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CPP_UMPIRE_HPP
#define TESTS_CPP_UMPIRE_HPP

#include "tests/cpp/test.hpp"

#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <shmheap_umpire.hpp>

// The expression throws this umpire error, whose text contains the words.
#define CHECK_UMPIRE(expression, type, words)                                                      \
    do {                                                                                           \
        std::string found_ = "nothing was thrown";                                                 \
        try {                                                                                      \
            (void)(expression);                                                                    \
        } catch (const umpire::type &error_) {                                                     \
            found_ = error_.what();                                                                \
        }                                                                                          \
        if (found_.find(words) == std::string::npos)                                               \
            test_fail(__FILE__, __LINE__, "%s: \"%s\" does not say \"%s\"", #expression,           \
                      found_.c_str(), words);                                                      \
    } while (0)

using shared_resource = umpire::resource::HostSharedMemoryResource;

// Of each test its own; the registered name removes the file whatever happens.
inline std::string resource_name, file_name;

inline void name_choose()
{
    resource_name = std::string("SHARED::") + (test_name() + 1);
    file_name = test_name_with(("/umpire." + std::to_string(geteuid()) + ".").c_str(),
                               resource_name.c_str());
}

inline bool file_is_there()
{
    int fd = shm_open(file_name.c_str(), O_RDONLY, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

inline umpire::Allocator make(std::size_t size)
{
    auto traits{umpire::get_default_resource_traits("SHARED")};
    traits.size = size;
    return umpire::ResourceManager::getInstance().makeResource(resource_name, traits);
}

// Runs in a child that leaves as programs do, by exit(), so that the ResourceManager's destructor
// runs.
inline pid_t start(void (*run)(void *), void *argument = nullptr)
{
    fflush(nullptr);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid != 0)
        return pid;
    run(argument);
    exit(0);
}

#endif
