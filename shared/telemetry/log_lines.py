"""Log lines on their way to standard error, which may fail, fill up or stand still meanwhile.

A thread of its own writes them, so that nobody who logs ever waits or fails. Lines for which there
is no room, or that cannot be written, are dropped and counted; the count is said once it works
again. A process that is killed takes its last few lines with it; one that ends does not.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import select
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_ROOM_CHARACTERS: Final = 4 << 20
_GATHERING_S: Final = 0.005
"""One turn of the thread for what a few prompts say: on a busy machine turns are what costs."""
_LAST_WORDS_S: Final = 1.0


class LogLines:
    """What loggers take for a file, before a stream that may misbehave."""

    def __init__(self, stream: TextIO | None, say_dropped: Callable[[int], None]) -> None:
        """Write to ``stream``, None if it is closed; ``say_dropped`` logs how many were lost."""
        self.dropped = 0
        """Lines that nobody will see."""
        self._put = _writer_to(stream)
        self._say_dropped = say_dropped
        self._said = 0
        self._waiting: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._room = _ROOM_CHARACTERS
        self._counting = threading.Lock()
        threading.Thread(target=self._serve, name="log", daemon=True).start()
        atexit.register(self.drain, _LAST_WORDS_S)

    def write(self, line: str) -> None:
        """Take a line, or count it as dropped."""
        with self._counting:
            if len(line) > self._room:
                self.dropped += 1
                return
            self._room -= len(line)
        self._waiting.put(line)

    def flush(self) -> None:
        """Do nothing: loggers call this after each line, and must not wait."""

    def drain(self, timeout_s: float) -> None:
        """Wait until everything so far is written, but no longer than this."""
        for _ in range(2):  # the first may bring the word of what was dropped
            written = threading.Event()
            self._waiting.put(written)
            if not written.wait(timeout_s / 2):
                return

    # -- in the thread -------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            together = [self._waiting.get()]
            time.sleep(_GATHERING_S)
            with contextlib.suppress(queue.Empty):
                while True:
                    together.append(self._waiting.get_nowait())
            self._write_out([each for each in together if isinstance(each, str)])
            for each in together:
                if isinstance(each, threading.Event):
                    each.set()

    def _write_out(self, lines: list[str]) -> None:
        """Write lines in one go; those that cannot be written are dropped."""
        if not lines:
            return
        whole, lost = "".join(lines), 0
        try:
            self._put(whole)
        except (OSError, ValueError):
            lost = len(lines)
        with self._counting:
            self._room += len(whole)
            self.dropped += lost
        unsaid = self.dropped - self._said
        if unsaid and not lost:
            self._said += unsaid
            self._say_dropped(unsaid)


class _Descriptor:
    """A real file, written past the stream's own buffer, which would keep what it could not."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = os.dup(descriptor)
        self._mended = b""

    def put(self, lines: str) -> None:
        """Write all of it, or raise ``OSError``; what was cut off then is ended at the next."""
        whole = self._mended + lines.encode(errors="backslashreplace")
        rest = whole
        try:
            while rest:
                rest = rest[self._write(rest) :]
        finally:
            cut = len(rest) < len(whole) and not whole.endswith(b"\n", 0, len(whole) - len(rest))
            self._mended = b"\n" if cut else b""

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # whoever shares the file made it so
            select.select([], [self._descriptor], [])
            return 0


def _writer_to(stream: TextIO | None) -> Callable[[str], None]:
    """Return what writes whole lines, or raises ``OSError`` or ``ValueError``."""
    if stream is None:
        return _nowhere
    try:
        return _Descriptor(stream.fileno()).put
    except (OSError, ValueError):  # no file behind it, as in a notebook

        def put(lines: str) -> None:
            stream.write(lines)
            stream.flush()

        return put


def _nowhere(_lines: str) -> None:
    raise ValueError("standard error is closed")
