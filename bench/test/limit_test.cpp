// A peer that is too slow or never returns costs only its own cell and leaves no process behind.
// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "bench/measure/descendants.h"
#include "bench/suite/runner.h"
#include "bench/workloads/scales.h"

namespace
{

// Has room for objects_max objects. After fast_calls calls, each call takes a millisecond.
template <std::size_t objects_max, std::size_t fast_calls>
class slow_peer final : public bench::peer
{
public:
    void open(const std::string &, std::size_t bytes) override { bytes_ = bytes; }
    void close() override {}
    void *alloc(std::size_t size) override
    {
        call();
        return objects_ < objects_max ? objects_++, std::malloc(size) : nullptr;
    }
    void free(void *object) override
    {
        call();
        objects_--;
        std::free(object);
    }
    std::size_t segment_bytes() override { return bytes_; }

private:
    void call()
    {
        std::uint64_t begin = bench::now_ns();
        while (calls_ >= fast_calls && bench::now_ns() - begin < bench::ms)
            continue;
        calls_++;
    }

    std::size_t bytes_ = 0, objects_ = 0, calls_ = 0;
};

// This peer and the process that it starts never end, and block all signals that can be blocked.
class endless_peer final : public bench::peer
{
public:
    void open(const std::string &, std::size_t) override
    {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, nullptr);
        if (fork() < 0)
            throw std::runtime_error("fork failed");
        for (;;)
            pause();
    }
    void close() override {}
    void *alloc(std::size_t) override { return nullptr; }
    void free(void *) override {}
};

constexpr std::size_t never = std::size_t{1} << 40;
constexpr unsigned traits = bench::trait_objects | bench::trait_shared | bench::trait_bounded;

const bench::peer_entry slow = {"slow", "", traits, bench::make_peer<slow_peer<never, 0>>},
                        slow_when_full = {"slow-when-full", "", traits,
                                          bench::make_peer<slow_peer<1000, 1000>>},
                        endless = {"endless", "", traits, bench::make_peer<endless_peer>};

const bench::workload &workload_named(const char *name)
{
    for (const bench::workload &it : bench::workloads())
        if (std::strcmp(it.name, name) == 0)
            return it;
    std::printf("no workload %s\n", name);
    std::exit(1);
}

bench::scale scale_make(std::uint64_t limit_ns)
{
    bench::scale size = bench::tiny_scale;
    size.warm_cut_ns = size.cut_ns = 20 * bench::ms;
    size.limit_ns = limit_ns;
    return size;
}

int expect_given_up(const bench::peer_entry &peer, const char *workload, std::uint64_t limit_ns,
                    const char *reason)
{
    bench::result got = bench::run_apart(peer, workload_named(workload), scale_make(limit_ns),
                                         bench::heap_sizes().back(), 1);
    if (got.state == bench::status::unavailable && got.reason.find(reason) == 0)
        return 0;
    std::printf("%s, %s: state %d, '%s', expected '%s'\n", peer.name, workload,
                static_cast<int>(got.state), got.reason.c_str(), reason);
    return 1;
}

} // namespace

int main()
{
    constexpr std::uint64_t second = 1000 * bench::ms;
    constexpr std::uint64_t hour = 3600 * second; // if the limit fails, this test times out
    int failed = 0;
    bench::descendants started;
    failed += expect_given_up(slow, "churn-1e3", hour, "too slow: stopped before the measurement");
    failed += expect_given_up(slow, "full-first", hour, "too slow: stopped when the heap was ");
    failed += expect_given_up(slow_when_full, "full-kept", hour,
                              "too slow: stopped during the replacements");
    failed += expect_given_up(endless, "full-kept", second, "too slow: no figure within 1 s");
    failed += expect_given_up(endless, "processes-2", second, "too slow: no figure within 1 s");
    failed += started.expect_none_left();
    return failed == 0 ? 0 : 1;
}
