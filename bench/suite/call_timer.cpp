// Times each call of a peer.
// SPDX-License-Identifier: Apache-2.0
#include "bench/suite/call_timer.h"

#include <new>
#include <sched.h>
#include <sys/mman.h>

namespace bench
{

namespace
{

// Of this thread.
struct own_counts {
    bool on = false;
    histogram counts;
};
thread_local own_counts mine;

void count(std::uint64_t begin)
{
    std::uint64_t end = ticks_end();
    if (mine.on)
        mine.counts.add(end - begin);
}

} // namespace

call_timer::call_timer(std::unique_ptr<peer> timed) : timed_(std::move(timed))
{
    void *memory = mmap(nullptr, sizeof(shared_counts), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::runtime_error("mmap failed");
    shared_ = new (memory) shared_counts();
}

call_timer::~call_timer() { munmap(shared_, sizeof(shared_counts)); }

void *call_timer::alloc(std::size_t size)
{
    std::uint64_t begin = ticks_begin();
    void *object = timed_->alloc(size);
    count(begin);
    return object;
}

void call_timer::free(void *object)
{
    std::uint64_t begin = ticks_begin();
    timed_->free(object);
    count(begin);
}

void *call_timer::resize(void *object, std::size_t before, std::size_t size)
{
    std::uint64_t begin = ticks_begin();
    void *now = timed_->resize(object, before, size);
    count(begin);
    return now;
}

// Touches the histogram's pages before the clock counts.
void call_timer::measure_begin()
{
    mine.counts = histogram();
    mine.on = true;
}

void call_timer::measure_end()
{
    mine.on = false;
    while (shared_->busy.exchange(true))
        sched_yield();
    shared_->counts.merge(mine.counts);
    shared_->busy = false;
}

latency call_timer::result() const
{
    const histogram &all = shared_->counts;
    if (all.count() == 0)
        throw std::runtime_error("no call was timed");
    double ns = tick_.ns();
    auto in_ns = [&](std::uint64_t ticks) { return ns * static_cast<double>(ticks); };
    return {in_ns(all.quantile(0.5)), in_ns(all.quantile(0.999)), in_ns(all.most())};
}

} // namespace bench
