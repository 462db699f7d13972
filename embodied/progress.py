"""What a person sees while something runs: a line a stage, rewritten on a terminal, printed now and then in a log."""

from __future__ import annotations

import io
import sys
import time
from typing import Optional, TextIO, Union


class Progress:
    """A line that changes. Time is the host's: this is for eyes only, nothing depends on it."""

    def __init__(self, stream: Optional[Union[TextIO, io.TextIOBase]] = None, *, every_s: float = 3.0) -> None:
        self._stream: Union[TextIO, io.TextIOBase] = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._every_s = 0.1 if self._terminal else every_s
        self._started_s = time.monotonic()
        self._last_s = -1e9
        self._open = False

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started_s

    def update(self, text: str) -> None:
        """Show how the stage stands, unless something was shown a moment ago."""
        now_s = time.monotonic()
        if now_s - self._last_s < self._every_s:
            return
        self._last_s = now_s
        self._write(text, end="" if self._terminal else "\n")
        self._open = self._terminal

    def done(self, text: str) -> None:
        """Show the stage's last line and go on to the next."""
        self._write(text, end="\n")
        self._open = False
        self._last_s = -1e9

    def interrupt(self) -> None:
        """Leave an unfinished line on the terminal readable before something else is written."""
        if self._open:
            self._stream.write("\n")
            self._stream.flush()
            self._open = False

    def _write(self, text: str, *, end: str) -> None:
        start = "\r\x1b[K" if self._terminal else ""
        self._stream.write(f"{start}{self.elapsed_s:6.1f} s  {text}{end}")
        self._stream.flush()
