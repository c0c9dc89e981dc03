"""Prompts from a file or standard input, one a line; answers as JSON, one a line, in order."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import IO, TYPE_CHECKING
from uuid import uuid4

import msgspec

from device_agent.asking import write_answer
from shared.errors import InvalidPrompt, SettingsError
from shared.messages import Failure, Result
from shared.station import check_text

if TYPE_CHECKING:
    from device_agent.app import Device


async def answer_lines(device: Device, source: str, out: IO[str]) -> int:
    """Ask the device every non-empty line of ``source`` (``-``: standard input).

    At most ``source.in_flight`` are under way at once. Returns how many failed. Raises
    ``SettingsError`` when the file cannot be read.
    """
    loop = asyncio.get_running_loop()
    lines = _open(source)
    under_way: deque[asyncio.Task[tuple[Result, float]]] = deque()
    failures = 0

    async def print_first() -> int:
        result, elapsed_s = await under_way.popleft()
        answer = write_answer(result, echo=None, elapsed_s=elapsed_s)
        out.write(msgspec.json.encode(answer).decode() + "\n")
        out.flush()
        return isinstance(result.outcome, Failure)

    try:
        while line := await loop.run_in_executor(None, lines.readline):
            if not line.strip():
                continue
            under_way.append(asyncio.create_task(_ask(device, line)))
            if len(under_way) >= device.settings.source.in_flight:
                failures += await print_first()
        while under_way:
            failures += await print_first()
    finally:
        if lines is not sys.stdin.buffer:
            lines.close()
    return failures


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


def _open(source: str) -> IO[bytes]:
    if source == "-":
        return sys.stdin.buffer
    try:
        return open(source, "rb")  # noqa: PTH123 - closed by the reader's loop
    except OSError as error:
        raise SettingsError(f"source.lines: {source} cannot be read ({error.strerror})") from error
