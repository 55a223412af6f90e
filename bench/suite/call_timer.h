// call_timer.h: a peer that times each call of another peer.
// SPDX-License-Identifier: Apache-2.0
#ifndef BENCH_CALL_TIMER_H
#define BENCH_CALL_TIMER_H

#include <atomic>
#include <memory>

#include "bench/measure/histogram.h"
#include "bench/measure/ticks.h"
#include "bench/peers/peer.h"
#include "bench/workloads/workload.h"

namespace bench
{

// Stands between a workload and its peer. Between measure_begin() and measure_end(), each thread
// counts the durations of its allocs, frees and resizes in a histogram of its own, so the threads
// and processes of a workload do not disturb each other. measure_end() adds it to that of all.
class call_timer final : public peer
{
public:
    explicit call_timer(std::unique_ptr<peer> timed);
    ~call_timer() override;

    void open(const std::string &name, std::size_t bytes) override { timed_->open(name, bytes); }
    void close() override { timed_->close(); }
    void *alloc(std::size_t size) override;
    void free(void *object) override;
    void *resize(void *object, std::size_t before, std::size_t size) override;
    std::uint64_t handle_of(void *object) override { return timed_->handle_of(object); }
    void *object_of(std::uint64_t handle) override { return timed_->object_of(handle); }
    std::string version() override { return timed_->version(); }
    void measure_begin() override;
    void measure_end() override;

    // Of all threads and processes. Throws std::runtime_error if there was no call.
    latency result() const;

private:
    struct shared_counts {
        std::atomic<bool> busy{false};
        histogram counts;
    };

    std::unique_ptr<peer> timed_;
    tick_length tick_;
    shared_counts *shared_; // in shared memory, outside the measured heap
};

} // namespace bench

#endif
