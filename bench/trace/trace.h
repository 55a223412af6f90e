// trace.h: the malloc calls of real programs, which //tools:shmheap records on this machine.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench
{

enum class call : std::uint32_t { make, resize, end };

// One call. Alignment and the zeros of calloc are dropped: most peers offer neither.
struct trace_call {
    call what;
    std::uint32_t slot;   // of the object; slots are reused
    std::uint64_t before; // the object's bytes before the call; 0 for a new object
    std::uint64_t size;   // bytes requested, at least 8; 0 for end
};

struct program_trace {
    std::string command; // description
    std::string process; // the process with most calls; only its calls are replayed
    std::vector<trace_call> calls;
    std::size_t slots = 0;
    std::uint64_t live_most = 0; // largest sum of live bytes
    std::string missing;         // if not empty: why there is no trace
    bool failed = false;         // the program is installed, but recording it failed
};

// The trace of "python3", "cc1", "sqlite3", "git", "perl" or "node". The first call records it in a
// temporary folder; later calls, also in children, return it from memory.
const program_trace &trace_of(const std::string &name);

// The programs recorded so far, by name.
std::vector<std::pair<std::string, const program_trace *>> traces_recorded();

} // namespace bench

#endif
