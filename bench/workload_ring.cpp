// Objects go from a producer to a consumer through a ring of handles.
// SPDX-License-Identifier: Apache-2.0
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

#include "bench/workload.h"

namespace bench {

namespace {

constexpr std::size_t object_len = 64;

// A page that both share; not in the heap that is measured. Each cache line has one writer.
struct ring {
    static constexpr std::size_t places = 256;

    alignas(64) std::atomic<std::uint64_t> put{0};   // handles that the producer ever put in
    alignas(64) std::atomic<std::uint64_t> taken{0}; // handles that the consumer ever took out
    alignas(64) std::atomic<bool> over{false};       // one of the two gave up
    char reason[80] = {};
    std::uint64_t begin_ns = 0, end_ns = 0; // the consumer's measurement
    alignas(64) std::uint64_t handles[places] = {};
};
static_assert(sizeof(ring) <= 4096, "one page");

class shared_ring {
public:
    shared_ring()
    {
        void *memory = mmap(nullptr, sizeof(ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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

// Spins, since the other side needs some ten nanoseconds; yields where both share a processor.
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
            throw std::runtime_error("the other side gave up");
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
    std::size_t warm, count; // objects: not measured, and in all

    unsigned char fill_of(std::uint64_t number) const { return static_cast<unsigned char>(number % 251); }

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
            throw std::runtime_error("a handle led nowhere");
        std::memcpy(&found, object, sizeof found);
        bool same = found == number;
        for (std::size_t i = sizeof found; job.size.fill && i < object_len; i++)
            same = same && static_cast<unsigned char *>(object)[i] == fill_of(number);
        if (!same && (job.traits & trait_objects))
            throw std::runtime_error("an object's contents changed on the way");
        heap.free(object);
    }

    void produce()
    {
        std::uint64_t taken = 0;
        for (std::uint64_t i = 0; i < count; i++) {
            std::uint64_t handle = object_make(i);
            // Looks at the other side's line only when the ring may be full.
            if (i - taken == ring::places)
                wait_until(shared, [&] { return (taken = shared.taken.load(std::memory_order_acquire)) + ring::places > i; });
            shared.handles[i % ring::places] = handle;
            shared.put.store(i + 1, std::memory_order_release);
        }
    }

    void consume()
    {
        std::uint64_t put = 0;
        for (std::uint64_t i = 0; i < count; i++) {
            if (i == put)
                wait_until(shared, [&] { return (put = shared.put.load(std::memory_order_acquire)) > i; });
            if (i == warm)
                shared.begin_ns = now_ns();
            std::uint64_t handle = shared.handles[i % ring::places];
            shared.taken.store(i + 1, std::memory_order_release);
            object_end(handle, i);
        }
        shared.end_ns = now_ns();
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

// The consumer is this process, the producer its child: one that dies is noticed when its pid can be waited for.
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
    std::size_t count = std::max<std::size_t>(job.size.steps, 10);
    endpoint side = {heap, *shared, job, count / 10, count + count / 10};
    heap.open(job.name, job.heap_bytes(ring::places));
    if (job.traits & trait_shared)
        run_in_processes(side);
    else
        run_in_threads(side);
    if ((*shared).over)
        throw std::runtime_error((*shared).reason);
    heap.close();
    return {static_cast<double>((*shared).end_ns - (*shared).begin_ns) / static_cast<double>(count), false};
}

} // namespace

const std::vector<workload> ring_workloads = {
    {"ring", "object", "one process allocates 64-byte objects, another frees them; handles go through a ring of 256 in a shared page", 0, 256,
     {64, 64}, 2, ring_run},
};

} // namespace bench
