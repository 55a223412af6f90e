// descendants.h: waits for all processes that a test and its children started. For tests.
// SPDX-License-Identifier: Apache-2.0
#ifndef SHMHEAP_BENCH_DESCENDANTS_H
#define SHMHEAP_BENCH_DESCENDANTS_H

#include <cstdio>
#include <stdexcept>
#include <unistd.h>

namespace bench
{

// A pipe that is open for writing in each process started after it was made. It reaches end of file
// when the last of them ends.
class descendants
{
public:
    descendants()
    {
        if (pipe(ends_) != 0)
            throw std::runtime_error("pipe failed");
    }
    descendants(const descendants &) = delete;
    descendants &operator=(const descendants &) = delete;

    // Blocks until all have ended. Returns 0, or 1 if reading failed. Call it once.
    int expect_none_left()
    {
        char byte;
        close(ends_[1]);
        if (read(ends_[0], &byte, 1) == 0)
            return 0;
        std::printf("read from the pipe failed\n");
        return 1;
    }

private:
    int ends_[2];
};

} // namespace bench

#endif
