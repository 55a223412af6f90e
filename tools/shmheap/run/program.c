/* program.c: runs another program with a library in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tools/shmheap/run/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/shmheap/command_line/say.h"

enum { NOT_FOUND = 127, NOT_EXECUTABLE = 126 };

void program_hold_signals(struct program *program)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &program->blocked);
}

/* Puts the library before those that LD_PRELOAD names. Returns 0, or -1 with errno. */
static int preload(const char *library)
{
    const char *others = getenv("LD_PRELOAD");
    size_t len = others ? strlen(others) : 0, room = strlen(library) + len + 2;
    char *text = malloc(room);
    if (!text)
        return -1;
    snprintf(text, room, "%s%s%s", library, len ? ":" : "", len ? others : "");
    int failed = setenv("LD_PRELOAD", text, 1);
    free(text);
    return failed;
}

/* If exec fails, the child sends errno through the pipe report. A successful exec closes it. */
static void run_child(const struct program *program, int report)
{
    int failed = preload(program->library) || setenv(program->variable, program->value, 1);
    signal(SIGCHLD, program->on_child);
    sigprocmask(SIG_SETMASK, &program->blocked, NULL);
    if (!failed)
        execvp(program->words[0], program->words);
    int error = errno;
    ssize_t ignored = write(report, &error, sizeof error);
    (void)ignored;
    _exit(error == ENOENT ? NOT_FOUND : NOT_EXECUTABLE);
}

/* Waits for a signal, and passes it on if another process sent it. */
static void pass_signal(pid_t child)
{
    sigset_t all;
    siginfo_t info;
    sigfillset(&all);
    if (sigwaitinfo(&all, &info) > 0 && info.si_signo != SIGCHLD && info.si_code <= 0 &&
        info.si_pid != child)
        kill(child, info.si_signo);
}

static int is_of_terminal(int signal)
{
    return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static int wait_for(pid_t child, int *status)
{
    for (;;) {
        int how;
        pid_t got = waitpid(child, &how, WNOHANG | WUNTRACED);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got <= 0) {
            pass_signal(child);
        } else if (!WIFSTOPPED(how)) {
            *status = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
            return 0;
        } else if (is_of_terminal(WSTOPSIG(how))) {
            kill(getpid(), SIGSTOP);
        }
    }
}

int program_run(struct program *program, int *status)
{
    int report[2], error = 0;
    if (pipe2(report, O_CLOEXEC))
        return fail("cannot create a pipe: %s", strerror(errno));
    program->on_child = signal(SIGCHLD, SIG_DFL); /* ignored, it makes the kernel keep no status */
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        run_child(program, report[1]);
    close(report[1]);
    int failed = child < 0 ? fail("cannot start a process: %s", strerror(errno)) : 0;
    if (!failed && read(report[0], &error, sizeof error) == (ssize_t)sizeof error)
        failed = fail("cannot run '%s': %s", program->words[0], strerror(error));
    close(report[0]);
    if (child > 0 && wait_for(child, status) && !failed)
        failed = fail("cannot wait for %s: %s", program->words[0], strerror(errno));
    return failed;
}
