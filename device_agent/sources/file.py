"""A source of lines in a growing file, followed over rotation, truncation and restarts.

Nothing of the file is waited for, and nothing of it ends the source: a file that is missing, or is
none, is looked for again. Answers are kept in the lines' order until they can be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import glob
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

import msgspec

from device_agent.sources.followed import FilePosition, Followed, FollowedLine, Rewritten
from device_agent.sources.in_order import InOrder
from device_agent.sources.kept import append
from device_agent.sources.stream import SourceItem, SourceWorker
from shared.errors import SettingsError
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from device_agent.app import Device
    from device_agent.settings.sources import FileSource
    from device_agent.sources.priority_semaphore import PrioritySemaphore
    from shared.messages import Result

_NAMESPACE = UUID("8a1d0c2e-6f0b-4b7e-9f36-0d8a0f6c9b11")
_POLL_S: Final = 0.2
_FULL_S: Final = 1.0


class FileStream:
    """Reads one file as it grows and appends an answer for each line, in the lines' order."""

    def __init__(
        self,
        name: str,
        settings: FileSource,
        device: Device,
        turns: PrioritySemaphore,
        state: Path | None,
    ) -> None:
        """Raise ``SettingsError`` when the answers cannot be written."""
        self._path = Path(settings.path)
        self._answers = Path(settings.answers)
        self._mark = state / f"{device.settings.agent}.{name}.place" if state else None
        self._limit_bytes = device.settings.limits.prompt_bytes
        self._stream = SourceWorker(name, settings, device, turns, self._answered)
        self._order: InOrder[FilePosition] = InOrder(settings.queue_prompts)
        self._place: FilePosition | None = None
        self._from_end = (settings.begin or ("start" if state else "end")) == "end"
        try:
            append(self._answers, b"")
        except OSError as error:
            raise SettingsError(
                f"answers: {self._answers} cannot be written ({error.strerror})"
            ) from error

    async def run(self) -> None:
        """Follow the file until cancelled."""
        self._place = self._remembered()
        await self._stream.run(self._follow, self._write)

    # -- reading -------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Read whatever file stands at the path, one after another."""
        if self._place is not None:
            await self._finish_rotated(self._place)
        while True:
            try:
                file = Followed(self._path, self._limit_bytes)
            except FileNotFoundError:
                self._from_end = False  # it comes later, and all of it is new
                await asyncio.sleep(_POLL_S)
                continue
            except OSError as error:
                self._stream.fault("unreadable", f"{self._path}: {error.strerror}")
                await asyncio.sleep(_POLL_S)
                continue
            with contextlib.closing(file):
                self._begin(file)
                await self._read(file)

    async def _finish_rotated(self, place: FilePosition) -> None:
        """Read the rest of the file that was being read, if it lies beside under a longer name."""
        for file in self._rotated(place):
            with contextlib.closing(file):
                while (lines := file.read()) is not None:
                    await self._take_all(lines)
                await self._take_rest(file)

    def _rotated(self, place: FilePosition) -> list[Followed]:
        """Open the file that a place is in, if that is not at the path any more."""
        pattern = f"{glob.escape(self._path.name)}?*"
        paths = [self._path, *self._path.parent.glob(pattern)]
        for any_inode in (False, True):
            for path in paths[any_inode:]:
                try:
                    file = Followed(path, self._limit_bytes)
                except OSError:
                    continue
                if file.go_to(place, any_inode=any_inode):
                    return [file] if path != self._path else []
                file.close()
        return []

    def _begin(self, file: Followed) -> None:
        """Go to where this file is to be read from."""
        if self._place is not None and file.go_to(self._place):
            return
        if self._from_end and self._place is None:
            self._place = file.go_to_end()
            self._remember(self._place)
        else:
            file.go_to_start()
        self._from_end = False

    async def _read(self, file: Followed) -> None:
        """Take the lines of one file until another stands in its place, or it was rewritten."""
        replaced = False
        while True:
            try:
                lines = file.read()
            except Rewritten:
                self._place = None
                return
            if lines is not None:
                await self._take_all(lines)
            elif replaced:  # and was read to its end once more
                await self._take_rest(file)
                return
            else:
                replaced = self._replaced(file)
                await asyncio.sleep(0 if replaced else _POLL_S)

    def _replaced(self, file: Followed) -> bool:
        try:
            return not file.is_same(self._path.stat())
        except OSError:
            return file.deleted  # one that was only moved may still be written to

    async def _take_all(self, lines: list[FollowedLine]) -> None:
        for line in lines:
            await self._take(line)

    async def _take_rest(self, file: Followed) -> None:
        if (rest := file.rest()) is not None:
            await self._take(rest)

    async def _take(self, line: FollowedLine) -> None:
        self._place = line.place
        if len(line.text) > self._limit_bytes:
            self._pass_over(line, f"a line of more than {self._limit_bytes} bytes")
            return
        try:
            text = line.text.decode().strip()
        except UnicodeDecodeError as error:
            self._pass_over(line, error.reason)
            return
        if text:
            self._order.ask(line.place)
            name = f"{self._path}:{line.place.inode}:{line.place.offset}:{text}"
            await self._stream.put(SourceItem(uuid5(_NAMESPACE, name), text, line.place))

    def _pass_over(self, line: FollowedLine, reason: str) -> None:
        where = f"{self._path}, before byte {line.place.offset}"
        self._stream.fault("unreadable", f"{where}: {reason}")

    # -- answers -------------------------------------------------------------------------------

    async def _answered(self, event: SourceItem, result: Result, answer: dict[str, Any]) -> None:
        del result
        await self._order.put(event.place, answer | {"text": event.text})

    async def _write(self) -> None:
        """Append the answers whose turn it is, as soon as there is room, and remember how far."""
        while ready := await self._order.ready():
            lines = b"".join(msgspec.json.encode(answer) + b"\n" for _, answer in ready)
            try:
                append(self._answers, lines)
            except OSError as error:
                self._stream.fault("not written", f"{self._answers}: {error.strerror}")
                await asyncio.sleep(_FULL_S)
                continue
            self._remember(ready[-1][0])
            await self._order.kept(len(ready))

    def _remember(self, place: FilePosition) -> None:
        if self._mark is None:
            return
        try:
            write_atomically(self._mark, msgspec.json.encode(place), durable=False)
        except OSError as error:
            self._stream.fault("not remembered", f"{self._mark}: {error.strerror}")

    def _remembered(self) -> FilePosition | None:
        if self._mark is None:
            return None
        try:
            return msgspec.json.decode(self._mark.read_bytes(), type=FilePosition)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._from_end = False  # rather twice than never
            self._stream.fault("forgotten", f"{self._mark}: {error}; from the file's beginning")
            return None
