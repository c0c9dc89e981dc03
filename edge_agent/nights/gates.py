"""Whether a model that has learned may serve: what it and the one before say to the probes: pure.

All gates must be open: what is new, in wordings that were not learned; what was known, which is
what a training without replay loses however good the new answers look; whether it still does as an
example says, where the night teaches that; and whether it still says different things.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.memory.fast_path import agree
from edge_agent.memory.wording import normalise
from edge_agent.nights.folder import GateReading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge_agent.nights.folder import NightRow
    from edge_agent.nights.settings import NightSettings
    from shared.tasks import Task

_TIMES: Final = 3.0
_FEW: Final = 0.05


class Examined(NamedTuple):
    """NightRows, and what a model said to the probe of each; None where it failed."""

    rows: Sequence[NightRow]
    said: Sequence[str | None]

    @property
    def right(self) -> list[bool]:
        """Whether each answer was right."""
        return [
            said is not None and agree(row.answer, said)
            for row, said in zip(self.rows, self.said, strict=True)
        ]

    @property
    def share(self) -> float:
        """The share of right answers; 1 where nothing was asked."""
        right = self.right
        return sum(right) / len(right) if right else 1.0


class Exam(NamedTuple):
    """What a model said of what is new, of what it knew, and after examples."""

    new: Examined
    old: Examined
    shown: Examined = Examined([], [])


def read_gates(
    settings: NightSettings, task: Task, before: Exam, after: Exam
) -> dict[str, GateReading]:
    """Return what each gate reads."""
    least = settings.new_least if task == "generate" else before.new.share
    keep = before.old.share - settings.old_drop
    most, allowed = _commonest(after.new)
    gates = {
        "held-out wordings": _at_least(after.new.share, least),
        "old knowledge": _at_least(after.old.share, keep),
        "one answer everywhere": GateReading(value=most, bound=allowed, open=most <= allowed),
    }
    if after.shown.rows:
        heeds = before.shown.share - settings.shown_drop
        gates["examples"] = _at_least(after.shown.share, heeds)
    return gates


def closed(gates: Mapping[str, GateReading]) -> str:
    """Return which gates are closed, in words; empty if none is."""
    return ", ".join(
        f"{name} {gate.value:.3f}, and {gate.bound:.3f} is the bound"
        for name, gate in gates.items()
        if not gate.open
    )


def _at_least(value: float, bound: float) -> GateReading:
    return GateReading(value=value, bound=bound, open=value >= bound)


def _commonest(tested: Examined) -> tuple[float, float]:
    """Return the share of the answer said most, and how much is too much of it."""
    if not tested.said:
        return 0.0, 1.0
    answer, times = Counter(normalise(said or "") for said in tested.said).most_common(1)[0]
    wanted = sum(normalise(row.answer) == answer for row in tested.rows)
    count = len(tested.said)
    return times / count, min(1.0, max(_FEW, _TIMES * wanted / count) + 1 / count)
