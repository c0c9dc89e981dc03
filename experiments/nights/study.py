"""Three nights in a row, as an edge holds them, and two that its gates are to reject.

Each stage ends with a file under ``stages``: whoever begins the study again goes on behind the last
one, and a night that was killed goes on from its own checkpoint.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from edge_agent.nights.folder import NightOutcome
from experiments.nights.fact_edge import FactEdge, held_out, said
from experiments.nights.questions import Share, copies_of, share_copied, share_right
from shared.storage.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from experiments.hotspot.facts import HotFact
    from experiments.nights.base import StudyBase

NIGHTS: Final = (300, 150, 150)
"""Facts of each night."""
STEPS: Final = (900, 500, 500)
MANY: Final = 1_000
"""Facts of a night that are more than its adapter can hold,"""
SMALL: Final = 8
"""which is of this rank."""
NEVER: Final = 200
"""Facts that no night teaches."""
_Stage = TypeVar("_Stage", bound=msgspec.Struct)


class NightShares(NamedTuple):
    """What a model answers right.

    ``facts`` has each night's so far, in wordings that none of them learned; ``known`` what the
    base knew, ``unseen`` what nobody taught, and ``copied`` whether it says of that what the
    example before it does, whose answer is made up.
    """

    facts: list[Share]
    known: Share
    unseen: Share
    copied: Share


class NightReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a night (None: before any), and what the model that serves then says.

    ``adapter_bytes`` is the size of what that has learned.
    """

    outcome: NightOutcome | None
    shares: NightShares
    adapter_bytes: int


class StudyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The whole study: ``forgetful`` is the night without replay, ``crowded`` that of too much."""

    before: NightReport
    nights: list[NightReport]
    forgetful: NightOutcome
    crowded: NightOutcome


def run_study(base: StudyBase, folder: Path) -> StudyReport:
    """Hold every night that has not been held yet, and report on all of them."""
    study, stages = NightsStudy(base, folder), folder / "stages"
    stages.mkdir(parents=True, exist_ok=True)
    return StudyReport(
        before=_stage(stages / "before.json", NightReport, study.before),
        nights=[
            _stage(stages / f"night-{number}.json", NightReport, partial(study.night, number))
            for number in range(1, len(NIGHTS) + 1)
        ],
        forgetful=_stage(stages / "forgetful.json", NightOutcome, study.forgetful),
        crowded=_stage(stages / "crowded.json", NightOutcome, study.crowded),
    )


class NightsStudy:
    """The stages of the study; those of the nights in a row go by their order."""

    def __init__(self, base: StudyBase, folder: Path) -> None:
        self._base = base
        self._folder = folder
        self._edge = FactEdge(base, folder / "replay")

    def before(self) -> NightReport:
        """Ask the base."""
        return self._report(None, [])

    def night(self, number: int) -> NightReport:
        """Hold one of the nights in a row."""
        left = iter(self._base.unknown)
        taught = [list(islice(left, count)) for count in NIGHTS[:number]]
        outcome = self._edge.night(number, taught[-1], steps=STEPS[number - 1])
        return self._report(outcome, taught)

    def forgetful(self) -> NightOutcome:
        """Hold a night that repeats nothing."""
        edge = FactEdge(self._base, self._folder / "forgetful")
        return edge.night(1, self._base.unknown[: NIGHTS[0]], steps=STEPS[0], old_rows=0)

    def crowded(self) -> NightOutcome:
        """Hold a night of more than its adapter can hold, which may not be tried with half."""
        edge = FactEdge(self._base, self._folder / "crowded")
        facts = self._base.unknown[:MANY]
        return edge.night(1, facts, steps=STEPS[0], rank=SMALL, entries=MANY, least=MANY)

    def _report(
        self, outcome: NightOutcome | None, taught: Sequence[Sequence[HotFact]]
    ) -> NightReport:
        """Ask the model that serves for everything."""
        bundle, never = self._edge.bundle, self._base.unknown[-NEVER:]
        known = self._base.known
        shares = NightShares(
            facts=[share_right(bundle, [_asked(fact) for fact in night]) for night in taught],
            known=share_right(bundle, [(fact.wordings()[3], said(fact)) for fact in known]),
            unseen=share_right(bundle, [_asked(fact) for fact in never]),
            copied=share_copied(bundle, copies_of(never, [said(fact) for fact in known])),
        )
        return NightReport(outcome=outcome, shares=shares, adapter_bytes=self._edge.adapter_bytes)


def _asked(fact: HotFact) -> tuple[str, str]:
    return held_out(fact), said(fact)


def _stage(path: Path, kind: type[_Stage], make: Callable[[], _Stage]) -> _Stage:
    """Return what a stage came to, which is written down once."""
    if not path.exists():
        write_atomically(path, msgspec.json.format(msgspec.json.encode(make())))
    return msgspec.json.decode(path.read_bytes(), type=kind)
