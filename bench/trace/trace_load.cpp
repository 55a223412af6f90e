// Loads a trace file.
// SPDX-License-Identifier: Apache-2.0
#include "bench/trace/trace_load.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

extern "C" {
#include "tools/shmheap/trace/trace.h"
}

namespace bench
{

namespace
{

constexpr std::uint64_t size_least = 8; // workloads write 8 bytes into each object

// Sizes by slot; 0: not live.
class live_sizes
{
public:
    explicit live_sizes(std::size_t slots) : sizes_(slots, 0) {}

    trace_call take(const trace_event &event)
    {
        std::uint64_t &size = sizes_[event.slot], before = size;
        call what = event.op == TRACE_FREE      ? call::end
                    : event.op == TRACE_REALLOC ? call::resize
                                                : call::make;
        size = what == call::end ? 0 : std::max(event.size, size_least);
        live_ += size - before;
        most_ = std::max(most_, live_);
        return {what, event.slot, before, size};
    }
    std::uint64_t most() const { return most_; }

private:
    std::vector<std::uint64_t> sizes_;
    std::uint64_t live_ = 0, most_ = 0;
};

void stream_load(const trace_stream &stream, program_trace &out)
{
    live_sizes sizes(stream.totals.slots);
    trace_cursor cursor;
    trace_event event;
    int more;
    out.process = stream.name;
    out.slots = stream.totals.slots;
    out.calls.reserve(stream.totals.events);
    trace_begin(&cursor, &stream);
    while ((more = trace_next(&cursor, &event)) > 0)
        out.calls.push_back(sizes.take(event));
    trace_end(&cursor);
    if (more < 0)
        throw std::runtime_error("the trace ends early");
    out.live_most = sizes.most();
}

} // namespace

void trace_load(const std::string &path, program_trace &out)
{
    std::ifstream file(path, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    trace read;
    char error[200];
    if (trace_read(&read, bytes.data(), bytes.size(), 0, error, sizeof error) != 0)
        throw std::runtime_error(error);
    auto *end = read.streams + read.stream_count,
         *most = std::max_element(
             read.streams, end, [](auto &a, auto &b) { return a.totals.events < b.totals.events; });
    try {
        if (most == end || most->totals.events == 0)
            throw std::runtime_error("the trace has no calls");
        stream_load(*most, out);
    } catch (...) {
        trace_free(&read);
        throw;
    }
    trace_free(&read);
}

} // namespace bench
