"""One lesson on the disk of the agent that teaches it: whose it is, what it is, how it ended.

::

    lessons/SHA256/     one folder a lesson, named by its edge and all that it says: no name becomes
                        a path, and a training that nobody wants any more spoils no other one
        from.json       which edge, when it came first; touched whenever that is heard of
        taught.json     how it ended, once it has
        learned.json    what the training said, once it has ended
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
from shared.telemetry.log import get_logger
from shared.wire.nights import (
    LessonState,
    NightLesson,
    Stage,
    decode_night,
    encode_night,
    lesson_digest,
)

if TYPE_CHECKING:
    from pathlib import Path

_log = get_logger()
_FROM: Final = "from.json"
_TAUGHT: Final = "taught.json"


class LessonOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """Which edge a lesson is of, and when it came, in seconds since the epoch."""

    edge: str
    came_s: float


class HeldLesson:
    """One lesson that an edge wants taught."""

    def __init__(self, folder: LessonFolder, origin: LessonOrigin, lesson: NightLesson) -> None:
        """Take up what its folder has. Raises ``OSError`` and ``MalformedMessage``."""
        self.folder = folder
        self.edge = origin.edge
        self.came_s = origin.came_s
        self.lesson = lesson
        self.digest = lesson_digest(lesson)
        self.stage: Stage = "waits"
        self.done = self.total = 0
        self.away = False
        """Whether it waits until its edge is heard of again."""
        ended = folder.path / _TAUGHT
        self.ended = decode_night(LessonState, ended.read_bytes()) if ended.exists() else None
        """How it ended; None while it has not."""

    @classmethod
    def begin(cls, lessons: Path, edge: str, lesson: NightLesson) -> HeldLesson:
        """Take a lesson in. Raises ``StoreError``."""
        named = f"{edge} {lesson_digest(lesson)}"
        path = lessons / hashlib.sha256(named.encode()).hexdigest()
        origin = LessonOrigin(edge=edge, came_s=time.time())
        try:
            shutil.rmtree(path, ignore_errors=True)  # what came after it was deleted once
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            LessonFolder(path).write(lesson)
            write_atomically(path / _FROM, msgspec.json.encode(origin), mode=0o600)
            return cls(LessonFolder(path), origin, lesson)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror})") from error

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
        write_atomically(self.folder.path / _TAUGHT, encode_night(taught), mode=0o600)
        self.ended = taught

    def wait(self) -> None:
        """Be left alone until its edge is heard of again."""
        self.away, self.stage = True, "waits"

    def how_far(self, before: int) -> LessonState:
        """Return what its edge is told of it, with so many lessons before it."""
        if self.ended is not None:
            return self.ended
        waits = self.stage == "waits"
        return LessonState(
            night=self.lesson.night,
            lesson=self.digest,
            stage=self.stage,
            done=before if waits else self.done,
            total=before if waits else self.total,
        )

    def drop(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder.path, ignore_errors=True)


def held_lessons(lessons: Path) -> list[HeldLesson]:
    """Return the lessons that an earlier process held, the last of each edge; all else goes."""
    found = sorted(filter(None, map(_read, lessons.glob("*"))), key=lambda held: held.came_s)
    last = {held.edge: held for held in found}
    for held in found:
        if last[held.edge] is not held:
            held.drop()
    return list(last.values())


def _read(path: Path) -> HeldLesson | None:
    """Return the lesson of a folder; one that has none is deleted."""
    folder = LessonFolder(path)
    try:
        origin = msgspec.json.decode((path / _FROM).read_bytes(), type=LessonOrigin)
        if (lesson := folder.read()) is not None:
            return HeldLesson(folder, origin, lesson)
    except (OSError, msgspec.DecodeError, MalformedMessage) as error:
        _log.warning("what is no lesson is deleted", folder=str(path), reason=str(error))
    shutil.rmtree(path, ignore_errors=True)
    return None
