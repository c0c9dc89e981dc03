"""One lesson on the disk of the agent that teaches it: whose it is, what it is, how it ended.

::

    lessons/SHA256-OF-THE-EDGE/   one folder an edge, named so that no name becomes a path
        from.json                 which edge, when it came first; touched whenever that is heard of
        taught.json               how it ended, once it has
        learned.json              what the training said, once it has ended
        and what every lesson has (``shared.nodes.lesson_folder``)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from typing import TYPE_CHECKING, Final

import msgspec

from shared.errors import MalformedMessage, StoreError
from shared.nodes.lesson_folder import LessonFolder
from shared.storage.files import write_atomically
from shared.wire.nights import (
    LessonState,
    NightLesson,
    Stage,
    decode_night,
    encode_night,
    lesson_digest,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FROM: Final = "from.json"


class LessonOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Which edge a lesson is of, and when it came, in seconds since the epoch."""

    edge: str
    came_s: float


class HeldLesson:
    """One lesson that an edge wants taught."""

    def __init__(self, folder: LessonFolder, origin: LessonOrigin, lesson: NightLesson) -> None:
        self.folder = folder
        self.edge = origin.edge
        self.came_s = origin.came_s
        self.lesson = lesson
        self.digest = lesson_digest(lesson)
        self.stage: Stage = "waits"
        self.done = self.total = 0
        self.away = False
        """Whether its edge did not give its files: it waits until that is heard of again."""

    @classmethod
    def begin(cls, lessons: Path, edge: str, lesson: NightLesson) -> HeldLesson:
        """Take a lesson in. Raises ``StoreError``."""
        path = lessons / hashlib.sha256(edge.encode()).hexdigest()
        origin = LessonOrigin(edge=edge, came_s=time.time())
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            LessonFolder(path).write(lesson)
            write_atomically(path / _FROM, msgspec.json.encode(origin), mode=0o600)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror})") from error
        return cls(LessonFolder(path), origin, lesson)

    @property
    def ended(self) -> LessonState | None:
        """How it ended; None while it has not."""
        path = self.folder.path / "taught.json"
        return decode_night(LessonState, path.read_bytes()) if path.exists() else None

    @property
    def quiet_s(self) -> float:
        """For how long nothing was heard of it."""
        path = self.folder.path / _FROM
        return time.time() - path.stat().st_mtime if path.exists() else 0.0

    def hear(self) -> None:
        """Take note that its edge is there."""
        self.away = False
        os.utime(self.folder.path / _FROM)

    def end(self, taught: LessonState) -> None:
        """Keep how it ended. Raises ``OSError``."""
        write_atomically(self.folder.path / "taught.json", encode_night(taught), mode=0o600)

    def drop(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder.path, ignore_errors=True)


def held_lessons(lessons: Path) -> Iterator[HeldLesson]:
    """Return every lesson that an earlier process held; what is none of one is deleted."""
    for path in sorted(lessons.glob("*")):
        folder = LessonFolder(path)
        try:
            origin = msgspec.json.decode((path / _FROM).read_bytes(), type=LessonOrigin)
            lesson = folder.read()
        except (OSError, msgspec.DecodeError, MalformedMessage):
            lesson = None
        if lesson is None:
            shutil.rmtree(path, ignore_errors=True)
        else:
            yield HeldLesson(folder, origin, lesson)
