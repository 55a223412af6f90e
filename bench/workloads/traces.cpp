// Replays recorded programs, call by call.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include "bench/workloads/live_set.h"
#include "bench/trace/trace.h"

namespace bench
{

namespace
{

// Workloads are named trace-PROGRAM and least-PROGRAM.
std::string program_of(const workload &what) { return std::string(what.name).substr(6); }

void trace_prepare(const workload &what) { trace_of(program_of(what)); }

const program_trace &trace_wanted(const job &job)
{
    const std::string program = program_of(job.what);
    const program_trace &found = trace_of(program);
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
            // The processor's own prefetching stops at the end of a page.
            __builtin_prefetch(&trace_.calls[std::min(i + calls_ahead, count_ - 1)]);
            if (it.what == call::make)
                set_.put(it.slot, it.size);
            else if (it.what == call::end)
                set_.take(it.slot);
            else
                set_.resize(it.slot, it.before, it.size);
        }
    }

    // Frees the objects that the program did not free.
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
    return std::max<std::size_t>(job.heap.least, 2 * trace.live_most);
}

// Replays twice: the first replay touches all memory that the measured one will use.
template <bool checked>
outcome trace_timed(peer &heap, const job &job)
{
    const program_trace &trace = trace_wanted(job);
    replay<checked> program(heap, job, trace);
    auto play = [&](std::size_t from, std::size_t count) { program.play(from, count); };
    heap.open(job.name, heap_bytes(job, trace));
    prepare(job, program.count(), play);
    program.free_rest(job);
    lap measured = measure(heap, job, program.count(), play);
    heap.close();
    return {measured.ns, measured.cut};
}

outcome trace_run(peer &heap, const job &job)
{
    return job.size.fill ? trace_timed<true>(heap, job) : trace_timed<false>(heap, job);
}

// The largest sum of live bytes in the first count calls.
std::uint64_t live_most(const program_trace &trace, std::size_t count)
{
    std::uint64_t live = 0, most = 0;
    for (std::size_t i = 0; i < count; i++) {
        live += trace.calls[i].size - trace.calls[i].before;
        most = std::max(most, live);
    }
    return most;
}

// Replays in a heap of the given size. Returns the size of its segment, or 0 if the heap was too
// small.
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
        return 0; // too small for any heap
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
    constexpr std::size_t unit = 64; // finer than a page: a heap may have only 200 pages
    constexpr std::size_t doublings = 12;
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
    return {name,
            "x live",
            text,
            trait_objects | trait_bounded,
            0,
            {16, 1024},
            1,
            least_run,
            quantity::times,
            trace_prepare,
            false};
}

} // namespace

const std::vector<workload> trace_workloads = {
    trace_of_program("trace-python3", "replays python3, recorded on this machine, call by call"),
    trace_of_program("trace-cc1", "as trace-python3 for gcc's compiler"),
    trace_of_program("trace-sqlite3", "as trace-python3 for sqlite3"),
    trace_of_program("trace-git", "as trace-python3 for git"),
    trace_of_program("trace-perl", "as trace-python3 for perl"),
    trace_of_program("trace-node", "as trace-python3 for node"),
    least_of_program("least-python3", "the smallest segment in which all calls of python3 succeed, "
                                      "over its largest sum of live bytes"),
    least_of_program("least-cc1", "as least-python3 for gcc's compiler"),
    least_of_program("least-sqlite3", "as least-python3 for sqlite3"),
    least_of_program("least-git", "as least-python3 for git"),
    least_of_program("least-perl", "as least-python3 for perl"),
    least_of_program("least-node", "as least-python3 for node"),
};

} // namespace bench
