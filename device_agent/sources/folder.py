"""A source of files that are put into a folder.

Whoever may put files there may put anything, take it away again, or exchange it. Everything is done
by name below the open folder, no link is followed, and a file that cannot be moved now is moved
later: its answer is kept until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import heapq
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec

from device_agent.sources.put_away import Taken, opened, put_away, shown
from device_agent.sources.stream import SourceItem, SourceWorker
from shared.errors import SettingsError
from shared.messages import Failure

if TYPE_CHECKING:
    from device_agent.app import Device
    from device_agent.settings.sources import FolderSource
    from device_agent.sources.priority_semaphore import PrioritySemaphore
    from shared.messages import Result

_NAMESPACE = UUID("2b5a6f7e-35a1-4a0f-8a4c-7e2f1f0c5d02")
_POLL_S: Final = 0.5
_DONE, _FAILED = "done", "failed"
_LINE_END_BYTES: Final = 2


class _Unreadable(Exception):
    """What lies there holds no prompt."""


class _Answer(NamedTuple):
    """What is to lie beside a file, and in which folder both."""

    below: str
    said: dict[str, Any]


class FolderStream:
    """Reads the files of one folder, oldest first, and moves each when it is answered."""

    def __init__(
        self, name: str, settings: FolderSource, device: Device, turns: PrioritySemaphore
    ) -> None:
        """Raise ``SettingsError`` when the folder cannot be made or written."""
        self._settings = settings
        self._folder = Path(settings.path)
        self._limit_bytes = device.settings.limits.prompt_bytes
        self._stream = SourceWorker(name, settings, device, turns, self._answered)
        self._in_hand: set[str] = set()
        self._unmoved: dict[Taken, _Answer] = {}
        try:
            self._make_folders()
        except OSError as error:
            raise SettingsError(f"{self._folder} cannot be written ({error.strerror})") from error

    async def run(self) -> None:
        """Watch the folder until cancelled."""
        await self._stream.run(self._watch)

    async def _watch(self) -> None:
        while True:
            try:
                self._move_again()
                for name in self._new():
                    await self._take(name)
            except OSError as error:
                self._stream.fault("unreadable", f"{self._folder}: {error.strerror}")
            await asyncio.sleep(_POLL_S)

    def _make_folders(self) -> None:
        for below in (_DONE, _FAILED):
            (self._folder / below).mkdir(parents=True, exist_ok=True)

    # -- what comes in -------------------------------------------------------------------------

    def _new(self) -> list[str]:
        """Return the names of the oldest files that are not in hand, no more than may wait."""
        room = self._settings.queue_prompts - len(self._unmoved)
        with opened(self._folder) as folder, os.scandir(folder) as entries:
            found = (
                (changed_ns, entry.name)
                for entry in entries
                if entry.name not in self._in_hand
                and fnmatch.fnmatchcase(entry.name, self._settings.pattern)
                and (changed_ns := _changed_ns(folder, entry.name)) is not None
            )
            return [name for _, name in heapq.nsmallest(max(room, 0), found)]

    async def _take(self, name: str) -> None:
        self._in_hand.add(name)
        try:
            taken, text = self._read(name)
        except OSError as error:
            self._in_hand.discard(name)
            if isinstance(error, FileNotFoundError):
                return
            raise
        if text is not None:
            prompt_id = uuid5(_NAMESPACE, f"{self._folder}/{shown(name)}:{text}")
            await self._stream.put(SourceItem(prompt_id, text, taken))

    def _read(self, name: str) -> tuple[Taken, str | None]:
        """Return a file as it lies there, and its text unless it has none: that is put away."""
        with opened(self._folder) as folder:
            taken = Taken.of(folder, name)
            try:
                return taken, self._text(folder, taken)
            except (OSError, _Unreadable) as error:
                if isinstance(error, FileNotFoundError):
                    raise
                reason = getattr(error, "strerror", None) or str(error)
        self._stream.fault("unreadable", f"{self._folder}/{shown(name)}: {reason}")
        self._move(taken, _Answer(_FAILED, {"error": "unreadable", "reason": reason}))
        return taken, None

    def _text(self, folder: int, taken: Taken) -> str:
        if stat.S_ISLNK(taken.mode):
            raise _Unreadable("a link; links are not followed")
        if not stat.S_ISREG(taken.mode):
            raise _Unreadable("not a regular file")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        limit_bytes = self._limit_bytes + _LINE_END_BYTES
        with os.fdopen(os.open(taken.name, flags, dir_fd=folder), "rb") as file:
            content = file.read(limit_bytes + 1)
        if len(content) > limit_bytes:
            raise _Unreadable(f"more than {self._limit_bytes} bytes (limits.prompt_bytes)")
        try:
            return content.decode().strip()
        except UnicodeDecodeError as error:
            raise _Unreadable(f"not UTF-8 ({error.reason})") from None

    # -- what becomes of it --------------------------------------------------------------------

    async def _answered(self, event: SourceItem, result: Result, answer: dict[str, Any]) -> None:
        failed = isinstance(result.outcome, Failure)
        self._move(event.place, _Answer(_FAILED if failed else _DONE, answer))

    def _move_again(self) -> None:
        for taken, answer in list(self._unmoved.items()):
            self._move(taken, answer)

    def _move(self, taken: Taken, answer: _Answer) -> None:
        """Put a file away with its answer, now or, where that cannot be, at a later look."""
        try:
            with contextlib.suppress(OSError):
                self._make_folders()
            moved = put_away(self._folder, taken, answer.below, msgspec.json.encode(answer.said))
        except OSError as error:
            self._unmoved[taken] = answer
            reason = f"{self._folder}/{shown(taken.name)} cannot be put away ({error.strerror})"
            self._stream.fault("not written", reason)
            return
        if not moved:
            reason = f"{self._folder}/{shown(taken.name)} was taken away or written anew meanwhile"
            self._stream.fault("vanished", reason)
        self._unmoved.pop(taken, None)
        self._in_hand.discard(taken.name)


def _changed_ns(folder: int, name: str) -> int | None:
    """Return when a file was written; None for a folder, and for what is gone again."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns
