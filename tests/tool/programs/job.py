"""job.py COMMAND ARGUMENT...: runs a command as a shell's job in a terminal of its own. The command
says "ready"; then Ctrl-Z stops it, SIGCONT continues it, Ctrl-C ends it. Prints the states of the
command and of its child when stopped, and the command's exit status.

SPDX-License-Identifier: Apache-2.0
"""
import os
import pty
import signal
import sys

CTRL_C, CTRL_Z = b"\x03", b"\x1a"


def states(job):
    with open(f"/proc/{job}/task/{job}/children", encoding="ascii") as file:
        child = file.read().split()[0]
    words = []
    for pid in (job, child):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            words.append(file.read().rpartition(")")[2].split()[0])
    return " ".join(words)


def shell(command):
    """The leader of the terminal's session."""
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in a script's background
        os.execv(command[0], command)
    _, status = os.waitpid(job, os.WUNTRACED)
    print("stopped" if os.WIFSTOPPED(status) else "not stopped", states(job), flush=True)
    os.killpg(job, signal.SIGCONT)
    os.waitpid(job, os.WCONTINUED)
    print("not continued" if "T" in states(job) else "continued", flush=True)
    _, status = os.waitpid(job, 0)
    print("ended", os.waitstatus_to_exitcode(status), "indeed", flush=True)
    os._exit(0)


def read_to(terminal, word):
    """All that the terminal shows, up to the word."""
    text = b""
    while word not in text:
        text += os.read(terminal, 1000)
    return text.decode()


def main():
    pid, terminal = pty.fork()
    if pid == 0:
        shell(sys.argv[1:])
    text = read_to(terminal, b"ready")
    os.write(terminal, CTRL_Z)
    text += read_to(terminal, b"continued")
    os.write(terminal, CTRL_C)
    text += read_to(terminal, b"indeed")
    os.waitpid(pid, 0)
    print(text.replace("\r", ""))


main()
