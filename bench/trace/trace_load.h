// trace_load.h: loads a trace file.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_TRACE_LOAD_H
#define BENCH_TRACE_LOAD_H

#include "bench/trace/trace.h"

namespace bench
{

// Sets process, calls, slots and live_most from the stream with most calls. Throws
// std::runtime_error.
void trace_load(const std::string &path, program_trace &out);

} // namespace bench

#endif
