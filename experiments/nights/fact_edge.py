"""An edge whose nights are about facts: its memory has them in every wording, agreed on twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge_agent.memory.entries import Entry
from edge_agent.nights.folder import NightOutcome, NightRow
from edge_agent.nights.plan import row_of
from edge_agent.nights.settings import NightSettings
from experiments.nights.edge import StudiedEdge
from experiments.nights.questions import served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.hotspot.facts import HotFact
    from experiments.nights.base import StudyBase


class FactEdge:
    """An edge that begins with a base, and knows what that knows."""

    def __init__(self, base: StudyBase, state: Path) -> None:
        self._base = base
        self._edge = StudiedEdge(state, served(base.bundle))
        self._old = state / "known.jsonl"
        rows = (
            NightRow(wordings=fact.wordings()[:3], held_out=fact.wordings()[3], answer=said(fact))
            for fact in base.known
        )
        self._old.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))

    @property
    def bundle(self) -> Path:
        """The model that serves."""
        return Path(self._edge.model)

    @property
    def adapter_bytes(self) -> int:
        """The size of what that has learned; 0 for a base."""
        adapter = self._edge.nights.of(self._edge.believed) / "adapter"
        return sum(path.stat().st_size for path in adapter.glob("*.safetensors"))

    def night(self, number: int, facts: Sequence[HotFact], **settings: Any) -> NightOutcome:
        """Remember facts, hold a night, and let go of what was learned.

        Whatever of that was done before it was broken off is not done again.
        """
        if self._edge.nights.numbers[-1:] != [number]:
            asyncio.run(self._edge.remember(map(_entry, facts)))
            chosen = NightSettings(base=str(self._base.folder), old=str(self._old), **settings)
            self._edge.order(chosen)
        return asyncio.run(self._edge.night())


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
