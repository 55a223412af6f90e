// Every workload on every peer at the tiny scale, in heaps of both sizes, and by the pass over
// single calls: each cell has a positive figure or a reason, and all objects keep their contents.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/statvfs.h>

#include "bench/suite/runner.h"
#include "bench/workloads/scales.h"
#include "bench/measure/start.h"

namespace
{

// These peers need no library that could be missing.
bool must_work(const bench::peer_entry &entry)
{
    for (const char *name : {"driver", "shmheap", "shmheap-cached", "tlsf", "glibc"})
        if (std::strcmp(entry.name, name) == 0)
            return true;
    return false;
}

// Returns 1 if the cell has a figure, 0 if it has a valid reason, -1 if it failed.
int try_one(const bench::peer_entry &entry, const bench::workload &what,
            const bench::heap_size &heap, bench::pass how)
{
    bool suited = (entry.traits & what.needs) == what.needs;
    bench::result got = bench::run_apart(entry, what, bench::tiny_scale, heap, 1, how);
    const bench::latency &calls = got.figure.calls;
    bool ordered =
        how == bench::pass::whole ||
        (calls.median > 0 && calls.median <= calls.most_999 && calls.most_999 <= calls.most);
    bool good = got.state == bench::status::measured && got.figure.value > 0 && ordered;
    bool excused = got.state == bench::status::unavailable && !(suited && must_work(entry));
    if (!good)
        std::printf("%-14s %-4s %-14s %s %s\n", what.name, heap.name, entry.name,
                    excused ? "no figure:" : "FAILED:", got.reason.c_str());
    return good ? 1 : excused ? 0 : -1;
}

// The largest heap for which /dev/shm has room: a container of Docker has 64 MiB.
std::size_t room_in_shm()
{
    struct statvfs shm;
    if (statvfs("/dev/shm", &shm) != 0 || shm.f_blocks == 0) // 0: no limit
        return SIZE_MAX;
    const std::size_t room = static_cast<std::size_t>(shm.f_bavail) * shm.f_frsize;
    const std::size_t index = 16 * bench::mib; // and other control data, at most
    return room < index ? 0 : room - index;
}

// Sets the variables of `bazel run`. Recording must ignore them: in / no program finds its input.
void pretend_bazel_run()
{
    setenv("BUILD_WORKING_DIRECTORY", "/", 1);
    setenv("BUILD_WORKSPACE_DIRECTORY", "/", 1);
}

} // namespace

int main(int, char **argv)
{
    bench::start_again_with_tls(argv);
    pretend_bazel_run();
    int passed = 0, failed = 0;
    const std::size_t room = room_in_shm();
    if (room < 64 * bench::mib)
        std::printf("skipped: heaps of more than %zu MiB, for which /dev/shm has no room\n",
                    room / bench::mib);
    for (const bench::workload &what : bench::workloads()) {
        if (what.prepare != nullptr)
            what.prepare(what);
        for (const bench::heap_size *heap : bench::heap_sizes_of(what)) {
            if (heap->least > room)
                continue;
            for (const bench::peer_entry &entry : bench::peers())
                for (bench::pass how : {bench::pass::whole, bench::pass::calls}) {
                    if (how == bench::pass::calls && (!what.calls || heap->least > bench::mib))
                        continue;
                    int verdict = try_one(entry, what, *heap, how);
                    passed += verdict > 0;
                    failed += verdict < 0;
                }
        }
    }
    std::printf("%d cells with a figure, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
