"""What takes PyTorch of a night: rows are learned, and what was learned is packed.

It is done in a folder (``shared.nodes.lesson_folder``) by whoever has the base: the process of a
night on the edge's own machine, or, as ``python -m recserve.night.learn FOLDER BASE THREADS
LIMIT_S``, one that a cloud agent began for an edge. Killed at any point and begun again it goes on
from its last checkpoint.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from models.adapt.recipe import AdaptRecipe, AdaptRow, AdaptRows
from recserve.night.apart import become_idle, end_after
from shared.errors import MalformedMessage, RecServeError
from shared.nodes.lesson_folder import LessonFolder
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.wire.nights import LessonBundle, LessonRecipe

_STEPS_S: Final = 1.0


class LessonRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is learned, and the questions on which the packed model is held against the trained."""

    new: list[AdaptRow]
    old: list[AdaptRow]
    shown: list[AdaptRow]
    probes: tuple[str, ...]


class Workbench(NamedTuple):
    """What the machine that learns has for it; ``warm`` is the adapter to begin with, if any."""

    base: str
    warm: Path | None
    threads: int


def learn(
    folder: LessonFolder,
    rows: LessonRows,
    recipe: LessonRecipe,
    wanted: LessonBundle,
    bench: Workbench,
    told: Callable[[int], None] = lambda _: None,
) -> None:
    """Leave an adapter and a bundle in a folder; ``told`` hears how many steps are made.

    Raises ``RecServeError``.
    """
    from models.adapt.run import adapt  # noqa: PLC0415 - heavy
    from recserve.night.packing import pack_like  # noqa: PLC0415 - heavy

    tuned = folder.path / "tuned"
    if not tuned.exists():
        numbers = AdaptRecipe(**msgspec.structs.asdict(recipe), threads=bench.threads)
        learned_from = AdaptRows(task=wanted.task, new=rows.new, old=rows.old, shown=rows.shown)
        adapt(bench.base, learned_from, numbers, folder.path, warm=bench.warm, told=told)
    if not folder.bundle.exists():
        pack_like(wanted, tuned, folder.bundle, rows.probes)
    shutil.rmtree(tuned, ignore_errors=True)


def main(path: Path, base: str, threads: int) -> None:
    """Learn the lesson of a folder; whatever goes wrong stands in it, in one sentence.

    One process at a time does: that of an agent that was killed may still be at it.
    """
    with (path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (path / "learned.json").exists():
            return
        folder = LessonFolder(path)
        why = ""
        try:
            if not folder.bundle.exists():
                _learn(folder, base, threads)
        except (RecServeError, msgspec.DecodeError) as error:
            why = str(error)
        write_atomically(path / "learned.json", msgspec.json.encode({"why": why}))


def _learn(folder: LessonFolder, base: str, threads: int) -> None:
    lesson = folder.read()
    if lesson is None:
        raise MalformedMessage(f"{folder.path}: holds no lesson")
    rows = msgspec.json.decode(folder.rows.read_bytes(), type=LessonRows)
    warm = folder.warm if lesson.warm else None
    bench = Workbench(base, warm, threads)
    learn(folder, rows, lesson.recipe, lesson.bundle, bench, _Steps(folder.path / "steps"))


class _Steps:
    """Writes down how many steps are made, now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_s = 0.0

    def __call__(self, steps: int) -> None:
        now_s = time.monotonic()
        if now_s - self._written_s >= _STEPS_S:
            self._written_s = now_s
            write_atomically(self._path, str(steps).encode(), durable=False)


if __name__ == "__main__":
    become_idle()
    end_after(float(sys.argv[4]), "trainer.limit_s")
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
