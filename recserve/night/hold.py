"""The steps of a night, each of which finds what the ones before it left on the disk."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edge_agent.memory.store import MemoryStore
from edge_agent.nights.folder import NightFolder, NightOutcome, NightRow
from edge_agent.nights.gates import closed, read_gates
from edge_agent.nights.plan import choose, half_of
from recserve.night.exam import examine, learned
from recserve.night.learn import Workbench, learn
from recserve.night.lesson import LessonParts, lesson_rows, like, write_lesson
from shared.errors import DataError, RecServeError, SettingsError
from shared.json_lines import read_lines
from shared.nodes.lesson_folder import LessonFolder
from shared.runtimes.bundle import Bundle
from shared.wire.nights import LessonRecipe

if TYPE_CHECKING:
    from edge_agent.nights.folder import NightOrder, NightRows
    from shared.runtimes import ModelSettings


class NightPaths(NamedTuple):
    """A night's folder among the others, and what was ordered."""

    nights: NightFolder
    order: NightOrder

    @property
    def folder(self) -> Path:
        """Where this night's files are."""
        return self.nights.of(self.order.number)

    @property
    def lesson(self) -> LessonFolder:
        """The same, as what is learned and what comes of it."""
        return LessonFolder(self.folder)

    @property
    def warm(self) -> Path:
        """The adapter of the night that this one goes on from."""
        return self.nights.of(self.order.warm) / "adapter"


class TrainedElsewhere(Exception):
    """No fault: another agent is to train first, and what that is to learn lies in the folder."""


def main(folder: Path) -> NightOutcome:
    """Hold the night of a folder; whatever goes wrong is its outcome, in one sentence.

    One process at a time does: that of an agent that was killed may still be at it. Raises
    ``TrainedElsewhere``.
    """
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _main(NightFolder(folder.parent.parent), int(folder.name))


def _main(nights: NightFolder, number: int) -> NightOutcome:
    if (known := nights.outcome(number)) is not None:
        nights.tidy(known)
        return known
    began_s = time.time()
    try:
        order = nights.order(number)
        began_s = order.ordered_s  # by the clock: a night may take several processes
        outcome = hold(NightPaths(nights, order))
    except RecServeError as error:
        outcome = NightOutcome(number=number, verdict="failed", why=str(error))
    outcome = msgspec.structs.replace(outcome, seconds=round(max(time.time() - began_s, 0.0), 1))
    nights.write_outcome(outcome)
    return outcome


def hold(night: NightPaths) -> NightOutcome:
    """Choose, learn, pack and examine; return what came of it. Raises ``RecServeError``.

    What a gate rejects is tried a second time, with half of the entries and more replay.
    """
    number, least = night.order.number, night.order.night.least
    served = _served(night.order.model)
    rows = _chosen(night, served)
    if (new := len(rows.new)) < least:
        why = f"{new} entries can be learned, and memory.night.least is {least}"
        return NightOutcome(number=number, verdict="nothing", why=why, new=new, old=len(rows.old))
    outcome = _tried(night, served, rows)
    if outcome.verdict == "rejected" and (fewer := half_of(rows, outcome.gates, least)):
        night.nights.try_again(number, fewer)
        outcome = _tried(night, served, fewer)
    return outcome


def _tried(night: NightPaths, served: Bundle, rows: NightRows) -> NightOutcome:
    """Learn rows, pack what was learned, and hold it against the model that serves."""
    order, settings = night.order, night.order.night
    task, room = served.manifest.task, served.manifest.max_tokens
    shown = task == "generate" and settings.shown_rows > 0
    bundle = _taught(night, served, rows)
    before = examine(order.model, task, rows, room, shown)
    wanted = msgspec.structs.replace(order.model, source=str(bundle.folder))
    after = examine(wanted, task, rows, room, shown)
    gates = read_gates(settings, task, before, after)
    why = closed(gates)
    return NightOutcome(
        number=order.number,
        verdict="rejected" if why else "passed",
        why=why,
        gates=gates,
        rejected=rows.rejected,
        new=len(rows.new),
        old=len(rows.old),
        learned={} if why else learned(after.new),
        bundle=bundle.digest,
        steps=settings.steps,
    )


def _served(model: ModelSettings) -> Bundle:
    """Return the bundle that serves. Raises ``SettingsError`` for one that cannot learn."""
    if model.runtime not in ("onnx", "genai"):
        raise SettingsError(
            f"model.runtime is {model.runtime}, and only bundles of onnx and genai are made at "
            "night; take one of these, or remove memory.night"
        )
    bundle = Bundle.open(model.source)
    if bundle.manifest.task == "tag":
        raise SettingsError(
            f"{bundle.manifest.name} is a tagger, of whose answers nothing is remembered; remove "
            "memory.night"
        )
    return bundle


def _chosen(night: NightPaths, served: Bundle) -> NightRows:
    """Return what the night is about: chosen once, however often it is begun."""
    nights, order = night
    if (rows := nights.rows(order.number)) is not None:
        return rows
    store = MemoryStore.join(Path(order.memory))
    before = nights.rows(order.warm) if order.warm else None
    rows = choose(
        store.load().entries,
        store.archived(),
        read_old(Path(order.night.old)) if order.night.old else [],
        task=served.manifest.task,
        settings=order.night,
        now_s=order.ordered_s,
        knew={row.entry for row in before.all if row.entry} if before else (),
    )
    nights.write_rows(order.number, rows)
    return rows


def read_old(path: Path) -> list[NightRow]:
    """Return the rows of ``memory.night.old``. Raises ``DataError`` that names file and line."""
    rows = read_lines(path, NightRow)
    for number, row in enumerate(rows, start=1):
        if not row.wordings:
            raise DataError(f"{path}: line {number} has no wordings; give at least one")
    return rows


def _taught(night: NightPaths, served: Bundle, rows: NightRows) -> Bundle:
    """Return the model that has learned. Raises ``TrainedElsewhere`` before that."""
    folder, settings = night.lesson, night.order.night
    if not folder.bundle.exists():
        task, number = served.manifest.task, night.order.number
        asked = LessonParts(lesson_rows(rows, task), _recipe(night, rows), like(served, number))
        warm = night.warm if night.order.warm and not rows.fresh else None
        if settings.trainer:
            write_lesson(folder, night.order, asked, warm)
            raise TrainedElsewhere
        learn(folder, *asked, Workbench(settings.base, warm, settings.threads))
    return Bundle.open(folder.bundle)


def _recipe(night: NightPaths, rows: NightRows) -> LessonRecipe:
    order, settings = night.order, night.order.night
    fewer = settings.new_rows // 2 if rows.rejected else 0
    return LessonRecipe(
        steps=settings.steps,
        rank=settings.rank,
        learning_rate=settings.learning_rate,
        new_rows=settings.new_rows - fewer,
        old_rows=settings.old_rows + fewer if settings.old_rows else 0,
        shown_rows=settings.shown_rows,
        seed=order.number,
        instruction=order.model.instruction,
    )
