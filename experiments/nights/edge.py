"""An edge as a night sees it: a memory, a folder of nights, and the model that learns.

Each night is the process that an edge begins (``edge_agent.nights.trainer``), at the priority of
the study, on a memory that has the facts of the day in every wording, agreed on twice. What it
learned leaves the memory as on an edge whose model was kept.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from edge_agent.memory.entries import Entry
from edge_agent.memory.memory import Memory
from edge_agent.memory.store import MemoryStore
from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import Believed, NightFolder, NightOrder, NightOutcome, NightRow
from edge_agent.nights.plan import row_of
from edge_agent.nights.settings import NightSettings
from edge_agent.nights.trainer import train
from experiments.nights.questions import served

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.hotspot.facts import HotFact
    from experiments.nights.base import StudyBase

_DIMENSIONS: Final = 8


class StudiedEdge:
    """A memory, a folder of nights, and the model that learns."""

    def __init__(self, base: StudyBase, state: Path) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._base = base
        self._state = state
        self._nights = NightFolder(state)
        self._old = state / "known.jsonl"
        rows = (
            NightRow(wordings=fact.wordings()[:3], held_out=fact.wordings()[3], answer=said(fact))
            for fact in base.known
        )
        self._old.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))

    @property
    def bundle(self) -> Path:
        """The model that serves."""
        believed = self._nights.believed
        return self._nights.bundle(believed.night) if believed else self._base.bundle

    @property
    def adapter_bytes(self) -> int:
        """The size of what that has learned; 0 for a base."""
        believed = self._nights.believed
        adapter = self._nights.of(believed.night if believed else 0) / "adapter"
        return sum(path.stat().st_size for path in adapter.glob("*.safetensors"))

    def night(self, number: int, facts: Sequence[HotFact], **settings: Any) -> NightOutcome:
        """Remember facts, hold a night, and let go of what was learned.

        Whatever of that was done before it was broken off is not done again.
        """
        if self._nights.numbers[-1:] != [number]:
            asyncio.run(self._remember(facts))
            chosen = NightSettings(base=str(self._base.folder), old=str(self._old), **settings)
            order_next(self._nights, chosen, served(self._base.bundle))
        outcome = asyncio.run(train(self._nights, number, idle=False))
        if outcome.verdict == "passed":
            self._believe(self._nights.order(number))
            asyncio.run(self._let_go(outcome))
        return outcome

    async def _remember(self, facts: Sequence[HotFact]) -> None:
        store = MemoryStore.open(self._state, "none", _DIMENSIONS)
        for fact in facts:
            entry = _entry(fact)
            store.put(entry, [np.ones(_DIMENSIONS, np.float32)] * len(entry.wordings))
        await store.close()

    def _believe(self, order: NightOrder) -> None:
        believed = Believed(
            night=order.number, before=order.warm, own=order.own, since_s=0.0, watched=False
        )
        self._nights.believe(believed)

    async def _let_go(self, outcome: NightOutcome) -> None:
        store = MemoryStore.open(self._state, "none", _DIMENSIONS)
        memory = Memory(dimensions=_DIMENSIONS, store=store)
        for entry_id in outcome.learned.keys() & memory.entries.keys():
            memory.internalise(memory.entries[entry_id], outcome.bundle, outcome.learned[entry_id])
        await store.close()


def held_out(fact: HotFact) -> str:
    """Return the wording by which a fact is tested on every night."""
    return row_of(_entry(fact), "generate").held_out


def said(fact: HotFact) -> str:
    """Return a fact's answer."""
    return fact.answers[0]


def _entry(fact: HotFact) -> Entry:
    return Entry(
        id=fact.number + 1,
        task="generate",
        wordings=list(fact.wordings()),
        answer=said(fact),
        created_s=0.0,
        used_s=0.0,
        state="stable",
    )
