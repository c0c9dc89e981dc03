"""A site's memory and its nights, held as an edge holds them.

What the cloud answered is remembered with the cloud's label, a night is the process that an edge
begins, and what it learned leaves the memory as on an edge whose model was kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edge_agent.memory.entries import Entry
from edge_agent.memory.memory import Memory
from edge_agent.memory.store import MemoryStore
from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import Believed, NightFolder, NightOutcome, NightRow
from edge_agent.nights.trainer import train
from shared.runtimes import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_agent.nights.settings import NightSettings
    from experiments.nights.classify.base import FilmEdge
    from experiments.nights.classify.day import FromCloud
    from models.train.data import TrainingRow

_DIMENSIONS: Final = 8
_EMBEDDER: Final = "none"


class NightSite:
    """An edge's memory, its nights, and the model that serves."""

    def __init__(self, edge: FilmEdge, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._edge = edge
        self._folder = folder
        self._own = ModelSettings(source=str(edge.bundle))
        self._nights = NightFolder(folder)
        self._entries = 0

    @property
    def model(self) -> Path:
        """The bundle that serves."""
        believed = self._nights.believed
        return self._nights.bundle(believed.night) if believed else self._edge.bundle

    async def remember(self, answered: Sequence[FromCloud], at_s: float) -> None:
        """Keep what the cloud answered."""
        store = MemoryStore.open(self._folder, _EMBEDDER, _DIMENSIONS)
        for each in answered:
            self._entries += 1
            entry = Entry(
                id=self._entries,
                task="classify",
                wordings=[each.text],
                answer=each.said,
                created_s=at_s,
                used_s=at_s,
                hot_s=at_s,
            )
            store.put(entry, [np.ones(_DIMENSIONS, np.float32)])
        await store.close()

    async def night(self, settings: NightSettings) -> NightOutcome:
        """Hold a night, and let go of what was learned."""
        order = order_next(self._nights, settings, self._own)
        outcome = await train(self._nights, order.number, idle=False)
        if outcome.verdict == "passed":
            self._nights.believe(
                Believed(
                    night=order.number, before=order.warm, own=order.own, since_s=0.0, watched=False
                )
            )
            await self._let_go(outcome)
        return outcome

    async def _let_go(self, outcome: NightOutcome) -> None:
        rows = self._nights.rows(outcome.number)
        store = MemoryStore.open(self._folder, _EMBEDDER, _DIMENSIONS)
        memory = Memory(dimensions=_DIMENSIONS, store=store)
        for entry in [memory.entries[row.entry] for row in (rows.new if rows else ())]:
            if entry.id in outcome.learned:
                memory.internalise(entry, outcome.bundle, outcome.learned[entry.id])
            else:
                memory.not_learned(entry)
        await store.close()


def write_known(path: Path, known: Sequence[TrainingRow], labels: Sequence[str]) -> Path:
    """Write what the edge knew before the first day, as ``memory.night.old`` has it."""
    rows = (NightRow(wordings=(row.text,), answer=labels[row.label]) for row in known)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return path
