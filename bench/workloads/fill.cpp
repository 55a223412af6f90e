// How full a heap gets, and how full it stays under replacement.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include "bench/workloads/live_set.h"

namespace bench
{

namespace
{

struct object {
    void *at;
    std::size_t size;
};

// Objects of random sizes in a heap of job.size.fill_heap bytes. Their first 8 bytes are written.
class filling
{
public:
    filling(peer &heap, const job &job, const std::vector<step> &plan)
        : heap_(heap), name_(job.name), plan_(plan)
    {
        heap_.open_exactly(name_, job.size.fill_heap);
        segment_ = heap_.segment_bytes();
    }
    filling(const filling &) = delete;
    filling &operator=(const filling &) = delete;
    ~filling()
    {
        heap_.close();
        shm_unlink(name_.c_str());
    }

    // The step of the next object.
    const step &next() const { return plan_[made_ % plan_.size()]; }

    bool alloc()
    {
        std::size_t size = next().size;
        void *at = heap_.alloc(size);
        if (at == nullptr)
            return false;
        std::memcpy(at, &made_, sizeof made_);
        objects_.push_back({at, size});
        live_ += size;
        made_++;
        return true;
    }

    bool empty() const { return objects_.empty(); }

    void free_random()
    {
        // Mixes the state with the plan's numbers, so the victim differs at each call.
        state_ = (state_ + next().index) * 0x9e3779b97f4a7c15u + 1;
        object &victim = objects_[static_cast<std::size_t>((state_ >> 32) * objects_.size() >> 32)];
        heap_.free(victim.at);
        live_ -= victim.size;
        victim = objects_.back();
        objects_.pop_back();
    }

    // The share of the segment that objects fill.
    double share() const { return static_cast<double>(live_) / static_cast<double>(segment_); }

private:
    peer &heap_;
    std::string name_;
    const std::vector<step> &plan_;
    std::vector<object> objects_;
    std::size_t segment_ = 0, live_ = 0;
    std::uint64_t made_ = 0, state_ = 0;
};

std::vector<step> plan_make(const job &job)
{
    return steps_make(std::size_t{1} << 20, std::size_t{1} << 32, job.what.sizes, job.seed);
}

// Reads the clock every 64 objects: some peers become slower as they fill.
void fill_up(filling &it, const job &job)
{
    std::uint64_t begin = now_ns();
    for (std::size_t i = 1; it.alloc(); i++)
        if (i % 64 == 0 && now_ns() - begin > job.size.warm_cut_ns)
            throw unavailable("too slow: stopped when the heap was " +
                              std::to_string(static_cast<int>(100 * it.share())) + " % full");
}

outcome fill_first_run(peer &heap, const job &job)
{
    std::vector<step> plan = plan_make(job);
    filling it(heap, job, plan);
    fill_up(it, job);
    return {100 * it.share(), false};
}

// Fills the heap. Then it frees random objects until each new object fits. The figure is the mean
// share over the second half of the replacements; the first half brings the heap into its steady
// state.
outcome fill_kept_run(peer &heap, const job &job)
{
    std::vector<step> plan = plan_make(job);
    filling it(heap, job, plan);
    double sum = 0;
    std::size_t made = 0, counted = 0;
    fill_up(it, job);
    lap run =
        timed(job.size.replacements, 3 * job.size.cut_ns, [&](std::size_t, std::size_t count) {
            for (std::size_t i = 0; i < count; i++) {
                while (!it.alloc() && !it.empty())
                    it.free_random();
                if (2 * ++made > job.size.replacements) {
                    sum += it.share();
                    counted++;
                }
            }
        });
    if (run.cut || counted == 0)
        throw unavailable("too slow: stopped during the replacements");
    return {100 * sum / static_cast<double>(counted), false};
}

} // namespace

const std::vector<workload> fill_workloads = {
    {"full-first",
     "% of bytes",
     "the share of the segment that objects of 16 to 1024 bytes fill at the first failure",
     trait_objects | trait_bounded,
     0,
     {16, 1024},
     1,
     fill_first_run,
     quantity::percent,
     nullptr,
     false},
    {"full-kept",
     "% of bytes",
     "as full-first, after random objects were freed for each new object, many times",
     trait_objects | trait_bounded,
     0,
     {16, 1024},
     1,
     fill_kept_run,
     quantity::percent,
     nullptr,
     false},
};

} // namespace bench
