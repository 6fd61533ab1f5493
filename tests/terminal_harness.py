"""A terminal for the tests: a pty that runs a command, and what its screen shows, read by pyte.

Nothing here waits for a time: it reads until the screen shows what is wanted, with a deadline.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte

DEADLINE_S = 60.0
# pyte 0.8 knows no private CSI with a `<`, `=` or `>` mark nor `$p` (mode queries): it would print their tails.
UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<=>][0-9;:]*[ -/]*[@-~]|\x1b\[\??[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\")
INCOMPLETE = re.compile(rb"\x1b(?:\[[0-9;:<=>?]*[ -/]*|\][^\x07\x1b]*|P[^\x1b]*|\x1b?)?$")


class Terminal:
    """A command in a terminal of `columns` × `rows`; leave the `with` block and the command is gone."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        columns: int = 80,
        rows: int = 24,
        cwd: Path | None = None,
    ) -> None:
        self.output = bytearray()
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self._fed = 0
        self.began = time.monotonic()
        self.master, terminal = os.openpty()
        self.resize(columns, rows)
        try:
            self.modes = termios.tcgetattr(terminal)
            self.process = subprocess.Popen(
                list(command),
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env=dict(environ),
                cwd=cwd,
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )
            # Kept open: Linux forgets a pty's modes with its last user, and the tests compare them at the end.
            self.terminal = terminal
        except BaseException:
            os.close(terminal)
            os.close(self.master)
            raise

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, _kind: object, _error: object, _trace: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        for descriptor in (self.terminal, self.master):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def resize(self, columns: int, rows: int) -> None:
        """Another size, told to the command by SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if (columns, rows) != (self.screen.columns, self.screen.lines):
            self.screen.resize(rows, columns)

    def type(self, text: str) -> None:
        """Keys, as the terminal sends them."""
        os.write(self.master, text.encode())

    def read(self, timeout_s: float) -> bool:
        """Take what comes within that time; whether anything came."""
        if not select.select([self.master], [], [], max(0.0, timeout_s))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.output += data
        return bool(data)

    def text(self) -> str:
        """What the screen shows, lines without trailing blanks."""
        data = bytes(self.output[self._fed :])
        cut = INCOMPLETE.search(data)
        data = data[: cut.start()] if cut else data
        self._fed += len(data)
        self._stream.feed(UNKNOWN_TO_PYTE.sub(b"", data))
        # pyte's own display fails on half a wide character, as one remains where something was written over it.
        lines = (self.screen.buffer[y] for y in range(self.screen.lines))
        return "\n".join("".join(line[x].data for x in range(self.screen.columns)).rstrip() for line in lines)

    def wait_for(self, wanted: str | Callable[[str], bool], deadline_s: float = DEADLINE_S) -> str:
        """Read until the screen shows `wanted`: a text, or a predicate on the screen's text."""
        shows = wanted if callable(wanted) else lambda text: wanted in text
        ends = time.monotonic() + deadline_s
        while not shows(self.text()):
            left = ends - time.monotonic()
            if left <= 0 or (not self.read(min(left, 0.5)) and self.process.poll() is not None and not self.read(0)):
                name = wanted if isinstance(wanted, str) else "what was wanted"
                raise AssertionError(f"the screen does not show {name!r}; it shows:\n{self.text()}")
        return self.text()

    def wait_quiet(self, quiet_s: float, deadline_s: float = DEADLINE_S) -> None:
        """Read until nothing has come for `quiet_s`."""
        ends = time.monotonic() + deadline_s
        while self.read(quiet_s):
            assert time.monotonic() < ends, f"the screen never rests; it shows:\n{self.text()}"

    def wait_end(self, deadline_s: float = DEADLINE_S) -> int:
        """Read until the command has ended; its exit status."""
        ends = time.monotonic() + deadline_s
        while self.process.poll() is None:
            assert time.monotonic() < ends, f"the command does not end; the screen shows:\n{self.text()}"
            self.read(0.05)
        while self.read(0):
            pass
        return self.process.returncode

    def restored(self) -> bool:
        """Whether the command left the terminal as it found it: its modes, the normal screen, a cursor, no mouse."""
        out = bytes(self.output)
        pairs = ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[?2004h", b"\x1b[?2004l"))
        left = all(out.rfind(leave) > out.rfind(enter) for enter, leave in pairs if enter in out)
        return left and b"\x1b[?1000h" not in out and termios.tcgetattr(self.terminal) == self.modes
