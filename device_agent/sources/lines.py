"""A source of lines in a file that ends, or on standard input; answers on standard output."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from device_agent.questions import write_answer
from device_agent.sources.stream import Event, Stream
from shared.errors import InvalidPrompt, SettingsError
from shared.messages import Failure, Result
from shared.source_settings import STANDARD_INPUT
from shared.station import check_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_agent.app import Device
    from device_agent.sources.turns import Turns
    from shared.source_settings import LinesSource

_READ_AHEAD = 16


class LinesStream:
    """Asks every line that is not empty, and prints the answers as JSON in the lines' order."""

    def __init__(
        self, name: str, settings: LinesSource, device: Device, turns: Turns, out: IO[str]
    ) -> None:
        """Raise ``SettingsError`` when the file cannot be read."""
        self._name = name
        self._path = settings.path
        self._file = _open(settings.path)
        self._limit_bytes = device.settings.limits.prompt_bytes
        self._stream = Stream(name, settings, device, turns, self._answered)
        self._out = out
        self._taken = 0
        self._printed = 0
        self._failures = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._progress = asyncio.Event()
        self._broken: OSError | None = None

    async def run(self) -> int:
        """Ask all lines; return how many got no answer, once every answer is printed.

        Raises ``SettingsError`` when reading or printing fails.
        """
        answering = asyncio.ensure_future(self._stream.run())
        try:
            async for line in _lines(self._file, f"sources.{self._name}: {self._path}"):
                await self._take(line.strip())
            while self._printed < self._taken and self._broken is None:
                self._progress.clear()
                await self._progress.wait()
            self._say_broken()
        finally:
            answering.cancel()
        return self._failures

    async def _take(self, line: bytes) -> None:
        self._say_broken()
        if not line:
            return
        number, self._taken = self._taken, self._taken + 1
        try:
            text = check_text(line.decode(), self._limit_bytes)
        except (UnicodeDecodeError, InvalidPrompt) as error:
            reason = str(error) if isinstance(error, InvalidPrompt) else "the line is not UTF-8"
            result = Result(uuid4(), Failure(InvalidPrompt.code, reason))
            answer = {"source": self._name} | write_answer(result, echo=None, elapsed_s=0.0)
            await self._answered(Event(result.id, "", number), result, answer)
        else:
            await self._stream.put(Event(uuid4(), text, number))

    async def _answered(self, event: Event, result: Result, answer: dict[str, Any]) -> None:
        """Print the answers that have none before them to wait for."""
        self._failures += isinstance(result.outcome, Failure)
        self._answers[event.place] = answer
        try:
            while (ready := self._answers.pop(self._printed, None)) is not None:
                self._printed += 1
                self._out.write(msgspec.json.encode(ready).decode() + "\n")
            self._out.flush()
        except OSError as error:
            self._broken = error
        self._progress.set()

    def _say_broken(self) -> None:
        if self._broken is not None:
            reason = self._broken.strerror
            raise SettingsError(
                f"sources.{self._name}: answers cannot be printed ({reason})"
            ) from self._broken


def _open(path: str) -> IO[bytes]:
    try:
        # A handle of our own on standard input, which a thread left behind may keep.
        if path == STANDARD_INPUT:
            return open(sys.stdin.fileno(), "rb", closefd=False)
        return Path(path).open("rb")
    except OSError as error:
        raise SettingsError(f"path: {path} cannot be read ({error.strerror})") from error


async def _lines(file: IO[bytes], said: str) -> AsyncIterator[bytes]:
    """Yield the lines of a file as they come.

    They are read in a thread that the process does not wait for when it ends: standard input may
    stay silent and open for ever.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(_READ_AHEAD)

    def hand_over(item: bytes | OSError) -> None:
        room.acquire()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
            loop.call_soon_threadsafe(read.put_nowait, item)

    def read_all() -> None:
        with file:
            try:
                for line in file:
                    hand_over(line)
                hand_over(b"")
            except OSError as error:
                hand_over(error)

    threading.Thread(target=read_all, name="lines", daemon=True).start()
    while line := await read.get():
        room.release()
        if isinstance(line, OSError):
            raise SettingsError(f"{said} cannot be read ({line.strerror})")
        yield line
