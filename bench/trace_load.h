// trace_load.h: a trace file in memory.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_TRACE_LOAD_H
#define BENCH_TRACE_LOAD_H

#include "bench/trace.h"

namespace bench
{

// Fills process, calls, slots and live_most from the stream of the file that has most calls. Throws std::runtime_error.
void trace_load(const std::string &path, program_trace &out);

} // namespace bench

#endif
