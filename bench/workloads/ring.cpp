// A producer passes objects to a consumer through a ring of handles.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "bench/workloads/workload.h"

namespace bench
{

namespace
{

constexpr std::size_t object_len = 64;

// Lies in shared memory, outside the measured heap. Each cache line has one writer and moves
// between cores at most once for a batch of handles. A side publishes its position when a batch is
// complete and before it waits, so the sides cannot wait for each other.
struct ring {
    static constexpr std::size_t places = 4096, batch = 32;

    alignas(64) std::atomic<std::uint64_t> put{0};   // handles put, as published by the producer
    alignas(64) std::atomic<std::uint64_t> taken{0}; // handles taken, as published by the consumer
    alignas(64) std::atomic<bool> over{false};       // a side failed
    std::atomic<bool> enough{false};                 // the time limit ended the measurement
    char reason[80] = {};                            // why a side failed
    std::uint64_t begin_ns = 0, end_ns = 0;          // the consumer's measurement
    std::uint64_t measured = 0;                      // objects in the measurement
    alignas(64) std::uint64_t handles[places] = {};
};
static_assert(ring::places % ring::batch == 0 && ring::batch * sizeof(std::uint64_t) % 64 == 0,
              "batches share no cache line");

class shared_ring
{
public:
    shared_ring()
    {
        void *memory =
            mmap(nullptr, sizeof(ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            throw std::runtime_error("mmap failed");
        ring_ = new (memory) ring();
    }
    shared_ring(const shared_ring &) = delete;
    shared_ring &operator=(const shared_ring &) = delete;
    ~shared_ring() { munmap(ring_, sizeof(ring)); }
    ring &operator*() const { return *ring_; }

private:
    ring *ring_;
};

void pause()
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

// Spins, since the other side needs only tens of nanoseconds. Yields in case both share a
// processor.
template <class Ready>
void wait_until(ring &shared, Ready ready)
{
    constexpr unsigned spins = 200;
    for (unsigned i = 1; !ready(); i++) {
        if (i % spins != 0) {
            pause();
            continue;
        }
        if (shared.over)
            throw std::runtime_error("the other side failed");
        sched_yield();
    }
}

void give_up(ring &shared, const char *reason)
{
    if (!shared.over)
        std::snprintf(shared.reason, sizeof shared.reason, "%s", reason);
    shared.over = true;
}

struct endpoint {
    peer &heap;
    ring &shared;
    const struct job &job;
    std::size_t warm, count; // objects of the warm-up, objects in total

    unsigned char fill_of(std::uint64_t number) const
    {
        return static_cast<unsigned char>(number % 251);
    }

    std::uint64_t object_make(std::uint64_t number)
    {
        void *object = heap.alloc(object_len);
        if (object == nullptr)
            throw std::runtime_error("the heap is full");
        if (job.size.fill)
            std::memset(object, fill_of(number), object_len);
        std::memcpy(object, &number, sizeof number);
        return heap.handle_of(object);
    }

    void object_end(std::uint64_t handle, std::uint64_t number)
    {
        void *object = heap.object_of(handle);
        std::uint64_t found;
        if (object == nullptr)
            throw std::runtime_error("a handle gave no pointer");
        std::memcpy(&found, object, sizeof found);
        bool same = found == number;
        for (std::size_t i = sizeof found; job.size.fill && i < object_len; i++)
            same = same && static_cast<unsigned char *>(object)[i] == fill_of(number);
        if (!same && (job.traits & trait_objects))
            throw std::runtime_error("an object's contents changed between the processes");
        heap.free(object);
    }

    // Whether the measurement has ended. This cache line is read once a batch and written at most
    // once.
    bool stopped() const { return shared.enough || shared.over; }

    // Reads the consumer's cache line only if the ring may be full.
    void produce()
    {
        std::uint64_t taken = 0;
        for (std::uint64_t i = 0; i < count; i++) {
            if (i == warm)
                heap.measure_begin();
            std::uint64_t handle = object_make(i);
            if (i - taken == ring::places) {
                shared.put.store(i, std::memory_order_release);
                wait_until(shared, [&] {
                    taken = shared.taken.load(std::memory_order_acquire);
                    return taken + ring::places > i || shared.enough;
                });
            }
            shared.handles[i % ring::places] = handle;
            if ((i + 1) % ring::batch != 0)
                continue;
            shared.put.store(i + 1, std::memory_order_release);
            if (stopped())
                return heap.measure_end();
        }
        heap.measure_end();
        shared.put.store(count, std::memory_order_release);
    }

    // The number of handles put, after i were taken. Waits for at least one more.
    std::uint64_t put_of(std::uint64_t i)
    {
        std::uint64_t put = 0;
        auto more = [&] { return (put = shared.put.load(std::memory_order_acquire)) > i; };
        if (!more()) {
            shared.taken.store(i, std::memory_order_release);
            wait_until(shared, more);
        }
        return put;
    }

    // Takes handles up to the end of the batch of i at most.
    void take_batch(std::uint64_t &i, std::uint64_t put)
    {
        std::uint64_t end = std::min(put, (i / ring::batch + 1) * ring::batch);
        for (; i < end; i++)
            object_end(shared.handles[i % ring::places], i);
        if (i % ring::batch == 0)
            shared.taken.store(i, std::memory_order_release);
    }

    // The measurement begins with the first batch after the warm-up. Reads the clock every eighth
    // batch.
    void consume()
    {
        std::uint64_t put = 0, begin_ns = 0, first = 0, i = 0;
        while (i < count && !shared.enough) {
            if (i == put)
                put = put_of(i);
            if (begin_ns == 0 && i >= warm) {
                heap.measure_begin();
                begin_ns = now_ns();
                first = i;
            }
            take_batch(i, put);
            if (i % (8 * ring::batch) == 0 && begin_ns != 0 &&
                now_ns() - begin_ns > job.size.cut_ns)
                shared.enough = i < count;
        }
        shared.end_ns = now_ns();
        heap.measure_end();
        shared.begin_ns = begin_ns;
        shared.measured = i - first;
    }

    void guarded(void (endpoint::*work)())
    {
        try {
            (this->*work)();
        } catch (const std::exception &e) {
            give_up(shared, e.what());
        }
    }
};

void run_in_threads(endpoint &side)
{
    std::thread consumer([&] { side.guarded(&endpoint::consume); });
    side.guarded(&endpoint::produce);
    consumer.join();
}

// This process is the consumer, its child the producer. A thread waits for the child and so notices
// its death.
void run_in_processes(endpoint &side)
{
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        throw std::runtime_error("fork failed");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            side.guarded(&endpoint::produce);
        _exit(0);
    }
    std::thread watch([&] {
        int status = 0;
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
            give_up(side.shared, "the producer died");
    });
    side.guarded(&endpoint::consume);
    watch.join();
}

outcome ring_run(peer &heap, const job &job)
{
    shared_ring shared;
    // Enough objects that the start of a process does not count; several times around the ring,
    // even in tests.
    std::size_t count = std::max<std::size_t>(4 * job.size.steps, 4 * ring::places);
    endpoint side = {heap, *shared, job, count / 10, count + count / 10};
    heap.open(job.name, job.heap_bytes(ring::places));
    if (job.traits & trait_shared)
        run_in_processes(side);
    else
        run_in_threads(side);
    if ((*shared).over)
        throw std::runtime_error((*shared).reason);
    heap.close();
    double ns = static_cast<double>((*shared).end_ns - (*shared).begin_ns);
    return {ns / static_cast<double>((*shared).measured), (*shared).enough};
}

} // namespace

const std::vector<workload> ring_workloads = {
    {"ring",
     "object",
     "one process allocates 64-byte objects, another frees them; handles pass through a ring of "
     "4,096, in batches of 32",
     0,
     ring::places,
     {64, 64},
     2,
     ring_run},
};

} // namespace bench
