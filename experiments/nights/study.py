"""Three nights in a row, as an edge holds them, and one without replay.

Each night is the process that an edge begins (``edge_agent.nights.trainer``), on a memory that has
the facts of the day in every wording, agreed on twice. What it learned leaves the memory as on an
edge whose model was kept. Afterwards the last bundle is asked for everything.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from edge_agent.memory.entries import Entry
from edge_agent.memory.fast_path import agree
from edge_agent.memory.memory import Memory
from edge_agent.memory.store import MemoryStore
from edge_agent.nights.belief import order_next
from edge_agent.nights.folder import Believed, NightFolder, NightOutcome, NightRow
from edge_agent.nights.plan import row_of
from edge_agent.nights.settings import NightSettings
from edge_agent.nights.trainer import train
from experiments.nights.base import copy_row
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks import Request
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from experiments.hotspot.facts import HotFact
    from experiments.nights.base import StudyBase
    from models.adapt.recipe import AdaptRow

NIGHTS: Final = (300, 150, 150)
"""Facts of each night."""
STEPS: Final = (900, 500, 500)
_DIMENSIONS: Final = 8
_COPIES: Final = 200
_TOGETHER: Final = 16
_OPTIONS: Final = {"max_new_tokens": 24}


class NightShares(NamedTuple):
    """Shares of right answers.

    ``facts`` has those of each night so far, in wordings that none of them learned; ``known`` those
    that the base knew, ``copied`` answers taken from an example of what nobody taught.
    """

    facts: list[float]
    known: float
    copied: float


class NightReport(msgspec.Struct, frozen=True, kw_only=True):
    """One night, and what the model says after it."""

    outcome: NightOutcome
    shares: NightShares


class StudyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole study; ``before`` is the base, ``forgetting`` the night without replay."""

    before: NightShares
    nights: list[NightReport]
    forgetting: NightOutcome


class NightsStudy:
    """A memory, a folder of nights, and the model that learns."""

    def __init__(self, base: StudyBase, state: Path) -> None:
        self._base = base
        self._state = state
        state.mkdir(parents=True, exist_ok=True)
        self._own = ModelSettings(source=str(base.bundle), runtime="genai")
        self._nights = NightFolder(state)
        self._old = state / "known.jsonl"
        rows = (
            NightRow(wordings=fact.wordings()[:3], held_out=fact.wordings()[3], answer=_said(fact))
            for fact in base.known
        )
        self._old.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        draw = random.Random("copied")  # noqa: S311 - a choice of rows, no secret
        answers = [_said(fact) for fact in base.known]
        self._copies = [
            copy_row(draw.choice(base.unknown), draw.choice(answers), draw) for _ in range(_COPIES)
        ]

    async def night(
        self, facts: Sequence[HotFact], steps: int, *, old_rows: int = 28
    ) -> NightOutcome:
        """Remember facts, hold a night, and let go of what was learned."""
        store = MemoryStore.open(self._state, "none", _DIMENSIONS)
        for fact in facts:
            entry = _entry(fact)
            store.put(entry, [np.ones(_DIMENSIONS, np.float32)] * len(entry.wordings))
        await store.close()
        settings = NightSettings(
            base=str(self._base.folder), old=str(self._old), steps=steps, old_rows=old_rows
        )
        order = order_next(self._nights, settings, self._own)
        outcome = await train(self._nights, order.number)
        if outcome.verdict != "passed":
            return outcome
        believed = Believed(
            night=order.number, before=order.warm, own=order.own, since_s=0.0, watched=False
        )
        self._nights.believe(believed)
        store = MemoryStore.open(self._state, "none", _DIMENSIONS)
        memory = Memory(dimensions=_DIMENSIONS, store=store)
        for entry_id, score in outcome.learned.items():
            memory.internalise(memory.entries[entry_id], outcome.bundle, score)
        await store.close()
        return outcome

    def shares(self, number: int, taught: Sequence[Sequence[HotFact]]) -> NightShares:
        """Ask the model of a night (0: the base) for everything."""
        bundle = self._nights.bundle(number) if number else self._base.bundle
        facts = [
            share_right(bundle, [(_held_out(fact), _said(fact)) for fact in night])
            for night in taught
        ]
        known = share_right(
            bundle, [(fact.wordings()[3], _said(fact)) for fact in self._base.known]
        )
        return NightShares(facts, known, share_copied(bundle, self._copies))


async def run_study(base: StudyBase, folder: Path) -> StudyReport:
    """Hold the three nights, and one that repeats nothing."""
    study, taught, reports = NightsStudy(base, folder / "replay"), [], []
    before = study.shares(0, [])
    left = list(base.unknown)
    for number, (count, steps) in enumerate(zip(NIGHTS, STEPS, strict=True), start=1):
        facts, left = left[:count], left[count:]
        taught.append(facts)
        outcome = await study.night(facts, steps)
        served = number if outcome.verdict == "passed" else 0
        reports.append(NightReport(outcome=outcome, shares=study.shares(served, taught)))
    forgetful = NightsStudy(base, folder / "no-replay")
    forgetting = await forgetful.night(base.unknown[: NIGHTS[0]], STEPS[0], old_rows=0)
    return StudyReport(before=before, nights=reports, forgetting=forgetting)


def share_right(bundle: Path, asked: Sequence[tuple[str, str]]) -> float:
    """Return the share of questions that a bundle answers as given."""
    said = _ask(bundle, [Request("generate", text, _OPTIONS) for text, _ in asked])
    return _share([agree(answer, text) for (_, answer), text in zip(asked, said, strict=True)])


def share_copied(bundle: Path, rows: Sequence[AdaptRow]) -> float:
    """Return the share of questions that are answered as the example before them says."""
    requests = [Request("generate", row.text, _OPTIONS, examples=row.examples) for row in rows]
    said = _ask(bundle, requests)
    return _share([agree(row.answer, text) for row, text in zip(rows, said, strict=True)])


def _ask(bundle: Path, requests: Sequence[Request]) -> list[str]:
    model = load_model(ModelSettings(source=str(bundle), runtime="genai"))
    try:
        entries = [
            entry
            for start in range(0, len(requests), _TOGETHER)
            for entry in model.answer(requests[start : start + _TOGETHER])
        ]
    finally:
        model.close()
    return [
        entry.answer.text
        if isinstance(entry, Scored) and isinstance(entry.answer, Completion)
        else ""
        for entry in entries
    ]


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else 1.0


def _entry(fact: HotFact) -> Entry:
    return Entry(
        id=_id(fact),
        task="generate",
        wordings=list(fact.wordings()),
        answer=_said(fact),
        created_s=0.0,
        used_s=0.0,
        state="stable",
    )


def _held_out(fact: HotFact) -> str:
    return row_of(_entry(fact), "generate").held_out


def _id(fact: HotFact) -> int:
    return fact.number + 1


def _said(fact: HotFact) -> str:
    return fact.answers[0]
