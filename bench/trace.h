// trace.h: what real programs asked of malloc, recorded on the spot by the project's own recorder.
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

// One call. Alignment and the zeros of calloc are left out, since most peers have neither.
struct trace_call {
    call what;
    std::uint32_t slot;   // of the object: a slot is used again once its object is gone
    std::uint64_t before; // bytes of the object until now; 0 for a new one
    std::uint64_t size;   // bytes asked for, at least 8; 0 when it goes
};

struct program_trace {
    std::string command; // as a reader would type it
    std::string
        process; // the process of it that made most calls, which is the one that is replayed
    std::vector<trace_call> calls;
    std::size_t slots = 0;
    std::uint64_t live_most = 0; // bytes of the objects alive at once, at most
    std::string missing;         // not empty: why there is no trace
    bool failed = false;         // the program is there, and recording it went wrong
};

// The program of that name: "python3", "cc1", "sqlite3", "git". Recorded at the first call, in a folder that is
// removed; later calls, also of children, find it in memory.
const program_trace &trace_of(const std::string &name);

// The programs recorded so far, by name.
std::vector<std::pair<std::string, const program_trace *>> traces_recorded();

} // namespace bench

#endif
