// Programs that were recorded are played again, call by call.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include "bench/live_set.h"
#include "bench/trace.h"

namespace bench
{

namespace
{

// Workloads are called trace-PROGRAM and least-PROGRAM.
std::string program_of(const workload &what) { return std::string(what.name).substr(6); }

void trace_prepare(const workload &what) { trace_of(program_of(what)); }

const program_trace &trace_wanted(const job &job)
{
    const program_trace &found = trace_of(program_of(job.what));
    if (found.failed)
        throw std::runtime_error(found.missing);
    if (!found.missing.empty())
        throw unavailable(found.missing);
    return found;
}

template <bool checked>
class replay
{
public:
    replay(peer &heap, const job &job, const program_trace &trace)
        : set_(heap, job, trace.slots, job.seed), trace_(trace),
          count_(std::min(trace.calls.size(), job.size.trace_events))
    {
    }

    std::size_t count() const { return count_; }

    void play(std::size_t from, std::size_t count)
    {
        for (std::size_t i = from; i < from + count; i++) {
            const trace_call &it = trace_.calls[i];
            __builtin_prefetch(&trace_.calls[std::min(
                i + calls_ahead, count_ - 1)]); // the processor's own foresight ends with a page
            if (it.what == call::make)
                set_.put(it.slot, it.size);
            else if (it.what == call::end)
                set_.take(it.slot);
            else
                set_.resize(it.slot, it.before, it.size);
        }
    }

    // What the program left behind when it ended.
    void free_rest(const job &job)
    {
        prepare(job, trace_.slots, [&](std::size_t from, std::size_t count) {
            for (std::size_t slot = from; slot < from + count; slot++)
                if (set_.alive(slot))
                    set_.take(static_cast<std::uint32_t>(slot));
        });
    }

private:
    static constexpr std::size_t calls_ahead = 64;

    live_set<checked> set_;
    const program_trace &trace_;
    std::size_t count_;
};

std::size_t heap_bytes(const job &job, const program_trace &trace)
{
    constexpr std::size_t spare = std::size_t{8} << 20;
    return std::max<std::size_t>(job.size.heap_least, 2 * trace.live_most + spare);
}

// Twice: the first time all memory is touched that the second will use.
template <bool checked>
outcome trace_timed(peer &heap, const job &job)
{
    const program_trace &trace = trace_wanted(job);
    replay<checked> program(heap, job, trace);
    auto play = [&](std::size_t from, std::size_t count) { program.play(from, count); };
    heap.open(job.name, heap_bytes(job, trace));
    prepare(job, program.count(), play);
    program.free_rest(job);
    lap measured = timed(program.count(), job.size.cut_ns, play);
    heap.close();
    return {measured.ns, measured.cut};
}

outcome trace_run(peer &heap, const job &job)
{
    return job.size.fill ? trace_timed<true>(heap, job) : trace_timed<false>(heap, job);
}

// Bytes of the objects alive at once, at most, of as many calls as are played.
std::uint64_t live_most(const program_trace &trace, std::size_t count)
{
    std::uint64_t live = 0, most = 0;
    for (std::size_t i = 0; i < count; i++) {
        live += trace.calls[i].size - trace.calls[i].before;
        most = std::max(most, live);
    }
    return most;
}

// The bytes of the segment in which the program found room for all it asked for, or 0.
std::size_t plays_in(peer &heap, const job &job, const program_trace &trace, std::size_t bytes)
{
    struct removed_at_end {
        peer &heap;
        const std::string &name;
        ~removed_at_end()
        {
            heap.close();
            shm_unlink(name.c_str());
        }
    };
    try {
        heap.open_exactly(job.name, bytes);
    } catch (const unavailable &) {
        throw;
    } catch (const std::exception &) {
        return 0; // too small to be a heap at all
    }
    removed_at_end removed = {heap, job.name};
    try {
        replay<false> program(heap, job, trace);
        prepare(job, program.count(),
                [&](std::size_t from, std::size_t count) { program.play(from, count); });
        return heap.segment_bytes();
    } catch (const full &) {
        return 0;
    }
}

outcome least_run(peer &heap, const job &job)
{
    constexpr std::size_t unit = 64,
                          doublings = 12; // pages are too coarse where a heap has 200 of them
    constexpr double resolution = 0.0002;
    const program_trace &trace = trace_wanted(job);
    double live =
        static_cast<double>(live_most(trace, std::min(trace.calls.size(), job.size.trace_events)));
    auto bytes_of = [&](double times) {
        return (static_cast<std::size_t>(times * live) + unit - 1) / unit * unit;
    };
    double low = 0.75, high = 1.5;
    std::size_t segment = 0;
    for (unsigned i = 0;
         i < doublings && (segment = plays_in(heap, job, trace, bytes_of(high))) == 0; i++) {
        low = high;
        high *= 2;
    }
    if (segment == 0)
        throw std::runtime_error("no heap was large enough");
    while (high - low > resolution) {
        double middle = (low + high) / 2;
        if (std::size_t smaller = plays_in(heap, job, trace, bytes_of(middle))) {
            high = middle;
            segment = smaller;
        } else {
            low = middle;
        }
    }
    return {static_cast<double>(segment) / live, false};
}

workload trace_of_program(const char *name, const char *text)
{
    return {name, "call", text, 0, 0, {16, 1024}, 1, trace_run, quantity::ns, trace_prepare};
}

workload least_of_program(const char *name, const char *text)
{
    return {
        name,      "x live",        text,         trait_objects | trait_bounded, 0, {16, 1024}, 1,
        least_run, quantity::times, trace_prepare};
}

} // namespace

const std::vector<workload> trace_workloads = {
    trace_of_program("trace-python3", "python3 as it was recorded here, call by call"),
    trace_of_program("trace-cc1", "gcc's compiler, likewise"),
    trace_of_program("trace-sqlite3", "sqlite3, likewise"),
    trace_of_program("trace-git", "git, likewise"),
    least_of_program("least-python3", "the least segment in which python3's calls find room, over "
                                      "the bytes it had alive at most"),
    least_of_program("least-cc1", "the same of gcc's compiler"),
    least_of_program("least-sqlite3", "the same of sqlite3"),
    least_of_program("least-git", "the same of git"),
};

} // namespace bench
