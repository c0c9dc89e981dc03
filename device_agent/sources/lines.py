"""A source of lines in a file that ends, or on standard input; answers on standard output."""

from __future__ import annotations

import asyncio
import contextlib
import stat
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID, uuid4, uuid5

import msgspec

from device_agent.settings.sources import STANDARD_INPUT
from device_agent.sources.in_order import InOrder
from device_agent.sources.stream import SourceItem, SourceWorker
from shared.cli import give_up
from shared.errors import InvalidPrompt, SettingsError
from shared.messages import Failure, Result
from shared.serving.station import check_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from device_agent.app import Device
    from device_agent.settings.sources import LinesSource
    from device_agent.sources.priority_semaphore import PrioritySemaphore

_NAMESPACE = UUID("c1f6b7a4-0f0e-4d55-9d0d-5a8f5d9f2e31")
_READ_AHEAD = 16


class LinesStream:
    """Asks every line that is not empty, and prints the answers as JSON in the lines' order."""

    def __init__(
        self,
        name: str,
        settings: LinesSource,
        device: Device,
        turns: PrioritySemaphore,
        out: IO[str] | None,
    ) -> None:
        """Raise ``SettingsError`` when the file cannot be read, or nothing be printed."""
        if out is None:
            raise SettingsError("answers cannot be printed: standard output is closed")
        self._name = name
        self._path = settings.path
        self._open = _opener(settings.path)
        self._limit_bytes = device.settings.limits.prompt_bytes
        self._stream = SourceWorker(name, settings, device, turns, self._answered)
        self._order: InOrder[int] = InOrder(settings.queue_prompts)
        self._out = out
        self._failures = 0

    async def run(self) -> int:
        """Ask all lines; return how many got no answer, once every answer is printed.

        Raises ``SettingsError`` when reading or printing fails.
        """
        answering = asyncio.ensure_future(self._stream.run())
        both = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._print())]
        try:
            await asyncio.gather(*both)
        finally:
            for task in (answering, *both):
                task.cancel()
        return self._failures

    async def _read(self) -> None:
        said = f"sources.{self._name}: {self._path}"
        number = 0
        async for line in _lines(self._open, self._limit_bytes, said):
            if line.strip():
                await self._take(line.strip(), number)
                number += 1
        await self._order.end()

    async def _take(self, line: bytes, number: int) -> None:
        self._order.ask(number)
        try:
            text = _text(line, self._limit_bytes)
        except InvalidPrompt as error:
            refused = Result(uuid4(), Failure(error.code, str(error)))
            await self._stream.answer(SourceItem(refused.id, "", number), refused)
        else:
            await self._stream.put(SourceItem(self._id(number, text), text, number))

    def _id(self, number: int, text: str) -> UUID:
        """Return the same id for a file's line at the next start, should it end this one."""
        if self._path == STANDARD_INPUT:
            return uuid4()
        return uuid5(_NAMESPACE, f"{self._path}:{number}:{text}")

    async def _answered(self, event: SourceItem, result: Result, answer: dict[str, Any]) -> None:
        self._failures += isinstance(result.outcome, Failure)
        await self._order.put(event.place, answer)

    async def _print(self) -> None:
        """Print the answers whose turn it is."""
        while ready := await self._order.ready():
            try:
                for _, answer in ready:
                    self._out.write(msgspec.json.encode(answer).decode() + "\n")
                self._out.flush()
            except (OSError, ValueError) as error:  # a closed file raises the latter
                reason = getattr(error, "strerror", None) or error
                said = f"sources.{self._name}: answers cannot be printed ({reason})"
                give_up(self._out)
                raise SettingsError(said) from error
            await self._order.kept(len(ready))


def _text(line: bytes, limit_bytes: int) -> str:
    """Return the prompt in a line, or raise ``InvalidPrompt``."""
    if len(line) > limit_bytes:
        raise InvalidPrompt(f"the line has more than {limit_bytes} bytes")
    try:
        return check_text(line.decode(), limit_bytes)
    except UnicodeDecodeError:
        raise InvalidPrompt("the line is not UTF-8") from None


def _opener(path: str) -> Callable[[], IO[bytes]]:
    """Return what opens the file; all but a pipe, which waits for its writer, is opened now."""
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise SettingsError("path: standard input is closed")
        # A handle of our own, which a thread left behind may keep.
        number = sys.stdin.fileno()
        return lambda: open(number, "rb", closefd=False)
    try:
        if stat.S_ISFIFO(Path(path).stat().st_mode):
            return lambda: Path(path).open("rb")
        file = Path(path).open("rb")  # noqa: SIM115 - the thread that reads it closes it
    except OSError as error:
        raise SettingsError(f"path: {path} cannot be read ({error.strerror})") from error
    return lambda: file


async def _lines(
    opened: Callable[[], IO[bytes]], limit_bytes: int, said: str
) -> AsyncIterator[bytes]:
    """Yield the lines of a file as they come, each cut short after the limit and a little more.

    They are read in a thread that the process does not wait for when it ends: standard input may
    stay silent and open for ever.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Queue[bytes | Exception] = asyncio.Queue()
    room = threading.Semaphore(_READ_AHEAD)

    def hand_over(item: bytes | Exception) -> None:
        room.acquire()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
            loop.call_soon_threadsafe(read.put_nowait, item)

    def read_all() -> None:
        try:
            with opened() as file:
                while line := file.readline(limit_bytes + 2):
                    hand_over(line)
                    _skip_rest(file, line, limit_bytes + 2)
            hand_over(b"")
        except Exception as error:  # noqa: BLE001 - whoever waits for a line has to hear of it
            hand_over(error)

    threading.Thread(target=read_all, name="lines", daemon=True).start()
    while line := await read.get():
        room.release()
        if isinstance(line, Exception):
            reason = getattr(line, "strerror", None) or line
            raise SettingsError(f"{said} cannot be read ({reason})") from line
        yield line


def _skip_rest(file: IO[bytes], line: bytes, limit_bytes: int) -> None:
    """Read to the end of a line that was cut short."""
    while len(line) == limit_bytes and not line.endswith(b"\n"):
        line = file.readline(limit_bytes)
