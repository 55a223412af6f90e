// Measures one figure in a child process and its process group.
// SPDX-License-Identifier: Apache-2.0
#include "bench/suite/runner.h"
#include "bench/suite/call_timer.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <random>
#include <unistd.h>

namespace bench
{

namespace
{

// The child's result, sent through a pipe.
struct message {
    status state;
    outcome figure;
    char reason[160];
    char version[40];
};

std::string name_make()
{
    std::random_device device;
    char text[64];
    std::snprintf(text, sizeof text, "/shmheap-bench-%08x%08x", static_cast<unsigned>(device()),
                  static_cast<unsigned>(device()));
    return text;
}

// Runs the workload. Returns its outcome; for pass::calls with the latency of its calls.
outcome figure_make(peer &heap, const job &job, call_timer *timer)
{
    outcome figure = job.what.run(heap, job);
    if (timer != nullptr)
        figure.calls = timer->result();
    return figure;
}

message measure(const peer_entry &entry, const job &job, pass how)
{
    message sent = {};
    auto refuse = [&](status state, const char *reason) {
        sent.state = state;
        std::snprintf(sent.reason, sizeof sent.reason, "%s", reason);
    };
    try {
        std::unique_ptr<peer> heap = entry.make();
        call_timer *timer = nullptr;
        if (how == pass::calls) {
            auto made = std::make_unique<call_timer>(std::move(heap));
            timer = made.get();
            heap = std::move(made);
        }
        sent.figure = figure_make(*heap, job, timer);
        sent.state = status::measured;
        std::snprintf(sent.version, sizeof sent.version, "%s", heap->version().c_str());
    } catch (const unavailable &e) {
        refuse(status::unavailable, e.what());
    } catch (const std::exception &e) {
        refuse(status::failed, e.what());
    }
    return sent;
}

[[noreturn]] void child_main(int pipe_end, const peer_entry &entry, const job &job, pass how)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    message sent = measure(entry, job, how);
    // The message is shorter than PIPE_BUF, so the write is atomic.
    _exit(write(pipe_end, &sent, sizeof sent) == sizeof sent ? 0 : 1);
}

result no_figure(status state, const std::string &reason) { return {state, {}, reason, ""}; }

std::string death_text(int wait_status)
{
    if (!WIFSIGNALED(wait_status))
        return "ended without a figure";
    return std::string("killed: ") + strsignal(WTERMSIG(wait_status));
}

// Returns false if the pipe has neither data nor end of file within limit_ns.
bool readable_within(int pipe_end, std::uint64_t limit_ns)
{
    pollfd wanted = {pipe_end, POLLIN, 0};
    for (std::uint64_t now = now_ns(), end = now + limit_ns; now < end; now = now_ns())
        if (poll(&wanted, 1, static_cast<int>((end - now) / 1000000 + 1)) > 0)
            return true;
    return false;
}

// Kills the child's process group, too. WNOWAIT keeps the child's pid, and so the group's id, from
// being reused before kill().
int group_end(pid_t child)
{
    siginfo_t ended;
    int wait_status = 0;
    while (waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR)
        continue;
    kill(-child, SIGKILL);
    while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR)
        continue;
    return wait_status;
}

result child_wait(pid_t child, int pipe_end, std::uint64_t limit_ns)
{
    message received;
    bool late = !readable_within(pipe_end, limit_ns);
    ssize_t got = late ? 0 : read(pipe_end, &received, sizeof received);
    if (late)
        kill(child, SIGKILL);
    int wait_status = group_end(child);
    if (late)
        return no_figure(status::unavailable, "too slow: no figure within " +
                                                  std::to_string(limit_ns / 1000000000) + " s");
    if (got != sizeof received)
        return no_figure(status::failed, death_text(wait_status));
    return {received.state, received.figure, received.reason, received.version};
}

} // namespace

result run_apart(const peer_entry &entry, const workload &what, const scale &size,
                 const heap_size &heap, std::uint64_t seed, pass how)
{
    if ((entry.traits & what.needs) != what.needs)
        return no_figure(status::unavailable, "");
    if (what.live > size.live_max && !size.fill)
        return no_figure(status::unavailable, "skipped at this scale");
    int ends[2];
    if (pipe(ends) != 0)
        return no_figure(status::failed, "pipe failed");
    job job = {what, size, heap, name_make(), seed, entry.traits};
    std::fflush(nullptr);
    pid_t child = fork();
    if (child == 0)
        child_main(ends[1], entry, job, how);
    setpgid(child, child); // the child calls it too: whichever runs first
    close(ends[1]);
    result got = child < 0 ? no_figure(status::failed, "fork failed")
                           : child_wait(child, ends[0], size.limit_ns);
    close(ends[0]);
    shm_unlink(job.name.c_str());
    return got;
}

} // namespace bench
