// The ring workload reports a failure of either side, and ends in each case.
// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/measure/descendants.h"
#include "bench/suite/runner.h"
#include "bench/workloads/scales.h"

namespace
{

enum class fault { none, producer_dies, consumer_dies, full, loses_handles, spoils, slow };

constexpr std::size_t object_len = 64, bytes_mapped = std::size_t{4} << 20;
// The object at which the fault occurs: after the first round of the ring, not at the end of a
// batch.
constexpr std::uint64_t late = 5000;

// Never reuses memory. The fault occurs at object `late` and later.
template <fault what>
class faulty_peer final : public bench::peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        void *memory =
            mmap(nullptr, bytes_mapped, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            throw std::runtime_error("mmap failed");
        memory_ = static_cast<unsigned char *>(memory);
    }
    void close() override { munmap(memory_, bytes_mapped); }
    void *alloc(std::size_t) override
    {
        std::uint64_t number = made_++;
        if (what == fault::producer_dies && number == late)
            raise(SIGKILL);
        if ((what == fault::full && number == late) || (number + 1) * object_len > bytes_mapped)
            return nullptr;
        return memory_ + number * object_len;
    }
    void free(void *) override
    {
        std::uint64_t begin = bench::now_ns();
        while (what == fault::slow && bench::now_ns() - begin < bench::ms / 10)
            continue;
    }
    std::uint64_t handle_of(void *object) override
    {
        return static_cast<std::uint64_t>(static_cast<unsigned char *>(object) - memory_);
    }
    void *object_of(std::uint64_t handle) override
    {
        bool wrong = handle / object_len >= late;
        if (what == fault::consumer_dies && wrong)
            raise(SIGKILL);
        if (what == fault::spoils && wrong)
            memory_[handle + object_len - 1] ^= 1;
        return what == fault::loses_handles && wrong ? nullptr : memory_ + handle;
    }

private:
    unsigned char *memory_ = nullptr;
    std::uint64_t made_ = 0;
};

template <fault what, unsigned more_traits>
bench::result run()
{
    const bench::peer_entry entry = {"faulty", "",
                                     bench::trait_objects | bench::trait_handles | more_traits,
                                     bench::make_peer<faulty_peer<what>>};
    bench::scale size = bench::tiny_scale;
    size.limit_ns = 3600000 * bench::ms; // if a side waits for ever, this test times out
    size.cut_ns = what == fault::slow ? 20 * bench::ms : size.limit_ns;
    return bench::run_apart(entry, bench::ring_workloads.front(), size, bench::heap_sizes().front(),
                            1);
}

template <fault what, unsigned more_traits = bench::trait_shared>
int expect(bench::status state, const char *reason, bool cut = false)
{
    bench::result got = run<what, more_traits>();
    bool figure = state != bench::status::measured || got.figure.value > 0;
    if (got.state == state && got.reason == reason && got.figure.cut == cut && figure)
        return 0;
    std::printf(
        "fault %d, traits %u: state %d, '%s', %g ns, cut %d; expected state %d, '%s', cut %d\n",
        static_cast<int>(what), more_traits, static_cast<int>(got.state), got.reason.c_str(),
        got.figure.value, got.figure.cut, static_cast<int>(state), reason, cut);
    return 1;
}

} // namespace

int main()
{
    using bench::status;
    int failed = 0;
    bench::descendants started;
    failed += expect<fault::none>(status::measured, "");
    failed += expect<fault::none, 0>(status::measured, ""); // in two threads
    failed += expect<fault::producer_dies>(status::failed, "the producer died");
    failed += expect<fault::consumer_dies>(status::failed, "killed: Killed");
    failed += expect<fault::full>(status::failed, "the heap is full");
    failed += expect<fault::full, 0>(status::failed, "the heap is full");
    failed += expect<fault::loses_handles>(status::failed, "a handle gave no pointer");
    failed += expect<fault::loses_handles, 0>(status::failed, "a handle gave no pointer");
    failed +=
        expect<fault::spoils>(status::failed, "an object's contents changed between the processes");
    failed += expect<fault::slow>(status::measured, "", true);
    failed += started.expect_none_left();
    return failed == 0 ? 0 : 1;
}
