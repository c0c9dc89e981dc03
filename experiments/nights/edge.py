"""An edge as a night sees it: a memory, a folder of nights, and the model that learns.

Each night is the process that an edge begins (``edge_agent.nights.trainer``), at the priority of
the study. What it learned leaves the memory as on an edge whose model was kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from edge_agent.memory.memory import Memory
from edge_agent.memory.store import MemoryStore
from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import Believed, NightFolder
from edge_agent.nights.trainer import train

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge_agent.memory.entries import Entry
    from edge_agent.nights.folder import NightOutcome
    from edge_agent.nights.settings import NightSettings
    from shared.runtimes import ModelSettings

_DIMENSIONS: Final = 8
"""Of vectors that say nothing: a night does not look at them."""


class StudiedEdge:
    """A memory, a folder of nights, and the model that serves."""

    def __init__(self, state: Path, own: ModelSettings) -> None:
        """Begin with the model ``own``, or go on with what lies in ``state``."""
        state.mkdir(parents=True, exist_ok=True)
        self.nights = NightFolder(state)
        self._state = state
        self._own = own

    @property
    def believed(self) -> int:
        """The night whose model serves; 0 is the edge's own."""
        believed = self.nights.believed
        return believed.night if believed else 0

    @property
    def model(self) -> str:
        """The bundle that serves."""
        night = self.believed
        return str(self.nights.bundle(night)) if night else self._own.source

    async def remember(self, entries: Iterable[Entry]) -> None:
        """Keep entries, as they are."""
        store = self._store()
        for entry in entries:
            store.put(entry, [np.ones(_DIMENSIONS, np.float32)] * len(entry.wordings))
        await store.close()

    def order(self, settings: NightSettings) -> None:
        """Order a night."""
        order_next(self.nights, settings, self._own)

    async def night(self) -> NightOutcome:
        """Hold the night that was ordered last, and let go of what it learned."""
        order = self.nights.order(self.nights.numbers[-1])
        outcome = await train(self.nights, order.number, idle=False)
        if outcome.verdict == "passed":
            self.nights.believe(
                Believed(
                    night=order.number, before=order.warm, own=order.own, since_s=0.0, watched=False
                )
            )
            await self._let_go(outcome)
        return outcome

    async def _let_go(self, outcome: NightOutcome) -> None:
        rows, store = self.nights.rows(outcome.number), self._store()
        memory = Memory(dimensions=_DIMENSIONS, store=store)
        for row in rows.new if rows else ():
            entry = memory.entries.get(row.entry)  # None where it was let go of before
            if entry is not None and row.entry in outcome.learned:
                memory.internalise(entry, outcome.bundle, outcome.learned[row.entry])
            elif entry is not None:
                memory.not_learned(entry)
        await store.close()

    def _store(self) -> MemoryStore:
        return MemoryStore.open(self._state, "none", _DIMENSIONS)
