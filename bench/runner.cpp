// SPDX-License-Identifier: Apache-2.0
#include "bench/runner.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <random>
#include <unistd.h>

namespace bench {

namespace {

constexpr unsigned limit_s = 300;

// What goes through the pipe.
struct message {
    status state;
    outcome figure;
    char reason[160];
};

std::string name_make()
{
    std::random_device device;
    char text[64];
    std::snprintf(text, sizeof text, "/shmheap-bench-%08x%08x", static_cast<unsigned>(device()), static_cast<unsigned>(device()));
    return text;
}

message measure(const peer_entry &entry, const job &job)
{
    message sent = {};
    auto refuse = [&](status state, const char *reason) {
        sent.state = state;
        std::snprintf(sent.reason, sizeof sent.reason, "%s", reason);
    };
    try {
        std::unique_ptr<peer> heap = entry.make();
        sent.figure = job.what.run(*heap, job);
        sent.state = status::measured;
    } catch (const unavailable &e) {
        refuse(status::unavailable, e.what());
    } catch (const std::exception &e) {
        refuse(status::failed, e.what());
    }
    return sent;
}

[[noreturn]] void child_main(int pipe_end, const peer_entry &entry, const job &job)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(limit_s);
    message sent = measure(entry, job);
    // Less than PIPE_BUF: all of it or nothing.
    _exit(write(pipe_end, &sent, sizeof sent) == sizeof sent ? 0 : 1);
}

std::string death_text(int wait_status)
{
    if (!WIFSIGNALED(wait_status))
        return "ended without a figure";
    if (WTERMSIG(wait_status) == SIGALRM)
        return "still running after " + std::to_string(limit_s) + " s";
    return std::string("killed: ") + strsignal(WTERMSIG(wait_status));
}

result child_wait(pid_t child, int pipe_end)
{
    message received;
    ssize_t got = read(pipe_end, &received, sizeof received);
    int wait_status = 0;
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    if (got != sizeof received)
        return {status::failed, {}, death_text(wait_status)};
    return {received.state, received.figure, received.reason};
}

} // namespace

result run_apart(const peer_entry &entry, const workload &what, const scale &size, std::uint64_t seed)
{
    if ((entry.traits & what.needs) != what.needs)
        return {status::unavailable, {}, ""};
    if (what.live > size.live_max && !size.fill)
        return {status::unavailable, {}, "left out at this scale"};
    int ends[2];
    if (pipe(ends) != 0)
        return {status::failed, {}, "pipe failed"};
    job job = {what, size, name_make(), seed, entry.traits};
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0)
        child_main(ends[1], entry, job);
    close(ends[1]);
    result got = child < 0 ? result{status::failed, {}, "fork failed"} : child_wait(child, ends[0]);
    close(ends[0]);
    shm_unlink(job.name.c_str());
    return got;
}

} // namespace bench
