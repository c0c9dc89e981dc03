"""A source of lines in a growing file, followed over rotation and truncation."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid5

import msgspec

from device_agent.sources.stream import Event, Stream
from shared.errors import SettingsError

if TYPE_CHECKING:
    from device_agent.app import Device
    from device_agent.sources.turns import Turns
    from shared.messages import Result
    from shared.source_settings import FileSource

_NAMESPACE = UUID("8a1d0c2e-6f0b-4b7e-9f36-0d8a0f6c9b11")
_POLL_S = 0.2
_LINE_BYTES = 1 << 20


class _Place(NamedTuple):
    """The end of a line: in which file, and at which byte."""

    inode: int
    offset: int


class FileStream:
    """Reads one file as it grows and appends an answer for each line, in the lines' order."""

    def __init__(
        self, name: str, settings: FileSource, device: Device, turns: Turns, state: Path | None
    ) -> None:
        self._settings = settings
        self._name = name
        self._path = Path(settings.path)
        self._mark = state / f"{device.settings.agent}.{name}.place" if state else None
        self._stream = Stream(name, settings, device, turns, self._answered)
        self._under_way: deque[_Place] = deque()
        self._answers: dict[_Place, dict[str, Any]] = {}
        self._out = _open_answers(Path(settings.answers))

    async def run(self) -> None:
        """Follow the file until cancelled."""
        try:
            await asyncio.gather(self._follow(), self._stream.run())
        finally:
            self._out.close()

    async def _follow(self) -> None:
        place = self._remembered()
        while True:
            try:
                file = self._path.open("rb")
            except OSError:
                await asyncio.sleep(_POLL_S)
                continue
            with file:
                inode = os.fstat(file.fileno()).st_ino
                start = place.offset if place and place.inode == inode else 0
                await self._read(file, inode, start)
            place = None

    async def _read(self, file: IO[bytes], inode: int, start: int) -> None:
        """Take the lines of one file until another stands in its place, or it was cut short."""
        offset = start if start <= os.fstat(file.fileno()).st_size else 0
        file.seek(offset)
        partial = b""
        while True:
            piece = file.readline(_LINE_BYTES)
            partial += piece
            if partial.endswith(b"\n") or len(partial) >= _LINE_BYTES:
                offset += len(partial)
                await self._take(partial, _Place(inode, offset))
                partial = b""
            elif not piece:
                if self._replaced(inode, offset + len(partial)):
                    return
                await asyncio.sleep(_POLL_S)

    def _replaced(self, inode: int, read: int) -> bool:
        try:
            now = self._path.stat()
        except OSError:
            return True
        return now.st_ino != inode or now.st_size < read

    async def _take(self, line: bytes, place: _Place) -> None:
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            self._stream.fault("unreadable", f"{self._path}, byte {place.offset}: {error.reason}")
            return
        if text:
            self._under_way.append(place)
            prompt_id = uuid5(_NAMESPACE, f"{self._path}:{place.inode}:{place.offset}:{text}")
            await self._stream.put(Event(prompt_id, text, place))

    async def _answered(self, event: Event, result: Result, answer: dict[str, Any]) -> None:
        """Write the answers that have none before them to wait for, and remember how far we are."""
        del result
        self._answers[event.place] = answer | {"text": event.text}
        ready = []
        while self._under_way and self._under_way[0] in self._answers:
            place = self._under_way.popleft()
            ready.append(msgspec.json.encode(self._answers.pop(place)) + b"\n")
        if ready:
            self._out.write(b"".join(ready))
            self._out.flush()
            self._remember(place)

    def _remember(self, place: _Place) -> None:
        if self._mark is not None:
            fresh = self._mark.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(place))
            fresh.replace(self._mark)

    def _remembered(self) -> _Place | None:
        if self._mark is None or not self._mark.exists():
            return None
        try:
            return msgspec.json.decode(self._mark.read_bytes(), type=_Place)
        except msgspec.DecodeError:
            self._stream.fault("forgotten", f"{self._mark} cannot be read: from the beginning")
            return None


def _open_answers(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError as error:
        raise SettingsError(f"answers: {path} cannot be written ({error.strerror})") from error
