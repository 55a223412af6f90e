"""screen.py: runs a program on a pseudo-terminal and reads its screen by pyte."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte

LIMIT = 60  # seconds that a condition may take


class Screen:
    """A program on a terminal of a size; text() is its screen."""

    def __init__(self, columns, lines, command, **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            self.set_size(1, columns, lines)
            names = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
            os.execve(command[0], command, {**names, **environment})
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)

    @staticmethod
    def set_size(fd, columns, lines):
        """Sets the size of the terminal that fd is."""
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        """Changes the size of the terminal."""
        self.screen.resize(lines, columns)
        self.set_size(self.fd, columns, lines)

    def text(self):
        """The screen, without the spaces at the ends of lines."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def colors(self):
        """The colours of characters on the screen."""
        rows = self.screen.buffer.values()
        return {char.fg for row in rows for char in row.values() if char.data.strip()}

    def read(self, seconds):
        """Reads what the program writes. Returns False when it has ended."""
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                self.stream.feed(os.read(self.fd, 65536))
            except OSError:
                return False
        return True

    def wait(self, condition, what):
        """Waits until condition(text) is true."""
        end = time.monotonic() + LIMIT
        while not condition(self.text()):
            if not self.read(0.1) or time.monotonic() > end:
                raise AssertionError(f"not seen: {what}; the screen:\n{self.text()}")
        return self.text()

    def keys(self, text):
        """Types text."""
        os.write(self.fd, text.encode())

    def status(self):
        """Waits for the end of the program. Returns its exit status."""
        end = time.monotonic() + LIMIT
        while self.read(0.1):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
