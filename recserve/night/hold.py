"""The steps of a night, each of which finds what the ones before it left on the disk."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from edge_agent.memory.store import MemoryStore
from edge_agent.nights.folder import NightFolder, NightOutcome, NightRow
from edge_agent.nights.gates import closed, read_gates
from edge_agent.nights.plan import choose
from recserve.night.exam import PROBES, examine, learned
from shared.errors import DataError, RecServeError, SettingsError
from shared.json_lines import read_lines
from shared.runtimes.bundle import Bundle
from shared.tasks import Exemplar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_agent.nights.folder import NightOrder, NightRows
    from models.adapt.recipe import AdaptRow
    from shared.runtimes import ModelSettings

_SHOWN_EVERY: Final = 3
"""Of the facts that are learned, one in so many is learned with an example, too."""


class NightPaths(NamedTuple):
    """A night's folder among the others, and what was ordered."""

    nights: NightFolder
    order: NightOrder

    @property
    def folder(self) -> Path:
        """Where this night's files are."""
        return self.nights.of(self.order.number)

    @property
    def tuned(self) -> Path:
        """The base with what was learned put in, until it is packed."""
        return self.folder / "tuned"


def main(folder: Path) -> NightOutcome:
    """Hold the night of a folder; whatever goes wrong is its outcome, in one sentence.

    One process at a time does: that of an agent that was killed may still be at it.
    """
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _main(NightFolder(folder.parent.parent), int(folder.name))


def _main(nights: NightFolder, number: int) -> NightOutcome:
    if (known := nights.outcome(number)) is not None:
        nights.tidy(known)
        return known
    started_s = time.monotonic()
    try:
        outcome = hold(NightPaths(nights, nights.order(number)))
    except RecServeError as error:
        outcome = NightOutcome(number=number, verdict="failed", why=str(error))
    outcome = msgspec.structs.replace(outcome, seconds=round(time.monotonic() - started_s, 1))
    nights.write_outcome(outcome)
    return outcome


def hold(night: NightPaths) -> NightOutcome:
    """Choose, learn, pack and examine; return what came of it. Raises ``RecServeError``."""
    order = night.order
    settings, number = order.night, order.number
    until_s = time.monotonic() + settings.limit_s
    served = _served(order.model)
    task, room = served.manifest.task, served.manifest.max_tokens
    rows = _chosen(night, served)
    new, old = len(rows.new), len(rows.old)
    if new < settings.least:
        why = f"{new} entries can be learned, and memory.night.least is {settings.least}"
        return NightOutcome(number=number, verdict="nothing", why=why, new=new, old=old)
    before = examine(order.model, task, rows, room)
    steps = _learn(night, served, rows, until_s)
    bundle = _packed(night, served, rows)
    wanted = msgspec.structs.replace(order.model, source=str(bundle.folder))
    after = examine(wanted, task, rows, room)
    gates = read_gates(settings, task, before, after)
    why = closed(gates)
    return NightOutcome(
        number=number,
        verdict="rejected" if why else "passed",
        why=why,
        gates=gates,
        new=new,
        old=old,
        learned={} if why else learned(after.new),
        bundle=bundle.digest,
        steps=steps,
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


def _learn(night: NightPaths, served: Bundle, rows: NightRows, until_s: float) -> int:
    """Train, or go on with it; return after how many steps it was done."""
    from models.adapt.recipe import AdaptRecipe, AdaptRows  # noqa: PLC0415 - heavy
    from models.adapt.run import adapt  # noqa: PLC0415 - heavy

    order, settings = night.order, night.order.night
    if night.tuned.exists():
        return settings.steps
    recipe = AdaptRecipe(
        steps=settings.steps,
        rank=settings.rank,
        learning_rate=settings.learning_rate,
        new_rows=settings.new_rows,
        old_rows=settings.old_rows,
        threads=settings.threads,
        seed=order.number,
        instruction=order.model.instruction,
    )
    warm = night.nights.of(order.warm) / "adapter" if order.warm and not rows.fresh else None
    learned_from = AdaptRows(
        task=served.manifest.task,
        new=[*_adapt_rows(rows.new), *_shown_rows(rows.new)],
        old=_adapt_rows(rows.old),
    )
    done = adapt(settings.base, learned_from, recipe, night.folder, warm=warm, until_s=until_s)
    return len(done.losses)


def _adapt_rows(rows: Iterable[NightRow]) -> list[AdaptRow]:
    from models.adapt.recipe import AdaptRow  # noqa: PLC0415 - as above

    return [AdaptRow(text, row.answer) for row in rows for text in row.wordings]


def _shown_rows(rows: Iterable[NightRow]) -> list[AdaptRow]:
    """Return a share of the rows with an example before them, so that using one is not unlearned.

    The example is the same fact in other words, as an edge shows it.
    """
    from models.adapt.recipe import AdaptRow  # noqa: PLC0415 - as above

    several = [row for row in rows if len(row.wordings) > 1][::_SHOWN_EVERY]
    return [
        AdaptRow(row.wordings[0], row.answer, (Exemplar(row.wordings[1], row.answer),))
        for row in several
    ]


def _packed(night: NightPaths, served: Bundle, rows: NightRows) -> Bundle:
    from recserve.night.packing import pack_like  # noqa: PLC0415 - heavy

    number = night.order.number
    version = f"{served.manifest.version.partition('-night-')[0]}-night-{number}"
    texts = [row.probe for row in rows.all][:PROBES]
    return pack_like(served, night.tuned, night.nights.bundle(number), version, texts)
