"""Prompts from a file or standard input, one a line; answers as JSON, one a line, in order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from typing import IO, TYPE_CHECKING
from uuid import uuid4

import msgspec

from device_agent.asking import write_answer
from shared.errors import InvalidPrompt, SettingsError
from shared.messages import Failure, Result
from shared.station import check_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from device_agent.app import Device

    _Asking = asyncio.Task[tuple[Result, float]]


_READ_AHEAD = 16


async def answer_lines(device: Device, source: str, out: IO[str]) -> int:
    """Ask the device every non-empty line of ``source`` (``-``: standard input).

    About ``source.in_flight`` are under way at once; each answer is printed as soon as those
    before it are. Returns how many failed. Raises ``SettingsError`` when the file cannot be read.
    """
    lines = _lines(_open(source), source)
    under_way: asyncio.Queue[_Asking | None] = asyncio.Queue(device.settings.source.in_flight)
    asking = asyncio.create_task(_ask_all(device, lines, under_way))
    failures = 0
    try:
        while (first := await under_way.get()) is not None:
            result, elapsed_s = await first
            answer = write_answer(result, echo=None, elapsed_s=elapsed_s)
            out.write(msgspec.json.encode(answer).decode() + "\n")
            out.flush()
            failures += isinstance(result.outcome, Failure)
    finally:
        asking.cancel()
    return failures


async def _ask_all(
    device: Device, lines: AsyncIterator[bytes], under_way: asyncio.Queue[_Asking | None]
) -> None:
    try:
        async for line in lines:
            if line.strip():
                await under_way.put(asyncio.create_task(_ask(device, line)))
    except SettingsError as error:
        await under_way.put(asyncio.create_task(_fail(error)))
    await under_way.put(None)


async def _ask(device: Device, line: bytes) -> tuple[Result, float]:
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    try:
        text = check_text(line.decode().strip(), device.settings.limits.prompt_bytes)
    except (UnicodeDecodeError, InvalidPrompt) as error:
        reason = str(error) if isinstance(error, InvalidPrompt) else "the line is not UTF-8"
        return Result(uuid4(), Failure(InvalidPrompt.code, reason)), 0.0
    result = await device.ask(text)
    return result, loop.time() - started_s


async def _fail(error: SettingsError) -> tuple[Result, float]:
    raise error


def _open(source: str) -> IO[bytes]:
    try:
        # A handle of our own on standard input, which a thread left behind may keep.
        return open(source if source != "-" else sys.stdin.fileno(), "rb", closefd=source != "-")
    except OSError as error:
        raise SettingsError(f"source.lines: {source} cannot be read ({error.strerror})") from error


async def _lines(file: IO[bytes], source: str) -> AsyncIterator[bytes]:
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
            raise SettingsError(f"source.lines: {source} cannot be read ({line.strerror})")
        yield line
