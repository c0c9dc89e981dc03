"""Keep what is as good as asking again, whoever gave it: a memory, the model with examples, alone.

How likely an answer is to be changed above is learned for each way of answering from what comes
back. Of the answers that are kept nothing would come back, so a share of all answers, drawn by lot
before the decision (``memory.check_share``), goes up whatever this policy thinks of them: they are
the only labels of what is kept, and unbiased.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from shared.cascade.policies.base import Routing
from shared.cascade.policies.ledger import SpendingLedger
from shared.cascade.policies.response_curve import CurveMemory, ResponseCurve, bin_of
from shared.messages import WAYS
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext

_REFIT: Final = 20
_MOST_PRESSURE: Final = 0.5
_SLOPE: Final = 4.0


class RecallRule(Closed, frozen=True, kw_only=True, tag_field="kind", tag="recall"):
    """Keep answers that the tiers above would hardly change; for an edge with a memory."""

    tolerance: Annotated[
        float,
        Meta(gt=0, lt=1, description="most likely that an answer kept would be changed above"),
    ] = 0.1
    certainty: Annotated[
        float,
        Meta(ge=0.5, lt=1, description="how sure to be of that; counts while little is known"),
    ] = 0.9
    calls: Annotated[
        float,
        Meta(
            ge=0,
            le=1e12,
            description="prompts sent up in a period, beyond which more and more is tolerated; 0: "
            "any number",
        ),
    ] = 0.0
    period_s: Annotated[
        float, Meta(ge=0.001, le=31_536_000, description="length of the period, in seconds")
    ] = 86_400.0
    window_prompts: Annotated[
        int, Meta(ge=100, le=10_000_000, description="comparisons remembered of each way")
    ] = 5_000


class RecallMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was learned of each way of answering, and the calls of the last period by their age."""

    ways: dict[str, CurveMemory]
    since_fit: Annotated[int, Meta(ge=0)]
    spent: tuple[tuple[float, float], ...]


class RecallPolicy:
    """Holds, for each way of answering, how likely an answer is to be changed against a tolerance.

    It goes by how likely right the memory takes an answer to be, where that had a part in it, and
    else by the model's confidence. As long as few comparisons are known the upper bound of the
    chance counts, so what nobody has tried goes up. Beyond the wanted number of calls the tolerance
    grows by 0.5 · tanh(4 · (spent / calls - 1)).
    """

    learns: ClassVar = True

    def __init__(self, settings: RecallRule, context: PolicyContext) -> None:
        del context
        self._settings = settings
        self._z = NormalDist().inv_cdf(settings.certainty)
        memory = settings.window_prompts
        self._changed: dict[str, ResponseCurve] = {
            way: ResponseCurve(memory=memory) for way in WAYS
        }
        self._calls = SpendingLedger(settings.period_s)
        self._since_fit = 0

    def decide(self, seen: Observation) -> Routing:
        """Keep the answer if it is unlikely enough to be changed, and not drawn to be compared."""
        changed = self._changed[seen.way].upper(bin_of(_belief(seen)), self._z)
        tolerated = min(1.0, self._settings.tolerance + self._pressure(seen.at_s))
        up = seen.check or changed > tolerated
        if up:
            self._calls.spend(1.0, seen.at_s)
        return Routing(int(up), 1.0 - tolerated, 1.0 - changed)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Count whether the answer was changed."""
        del sent
        self._changed[seen.way].add(bin_of(_belief(seen)), not returned.agreed)
        self._since_fit += 1
        if self._since_fit >= _REFIT:
            self._since_fit = 0
            for curve in self._changed.values():
                curve.fit()

    def report(self) -> dict[str, float]:
        """Return how many calls the last period had, and the comparisons known of each way."""
        known = {f"{way}_comparisons": self._changed[way].observations for way in WAYS}
        return {"calls": self._calls.total, **known}

    def remember(self, now_s: float) -> RecallMemory:
        """Return what was learned and spent."""
        ways = {way: curve.remember() for way, curve in self._changed.items()}
        return RecallMemory(ways, self._since_fit, self._calls.by_age(now_s))

    def recall(self, memory: Any, at_s: float) -> None:
        """Take that up."""
        read = msgspec.convert(memory, RecallMemory)
        if read.ways.keys() != self._changed.keys():
            raise ValueError(f"it knows the ways {', '.join(read.ways)}, not {', '.join(WAYS)}")
        for way, curve in self._changed.items():
            curve.recall(read.ways[way])
        self._since_fit = read.since_fit
        self._calls.recall(read.spent, at_s)

    def _pressure(self, now_s: float) -> float:
        """Return how much more is tolerated because more went up than was wanted."""
        wanted, spent = self._settings.calls, self._calls.spent(now_s)
        if not wanted or spent <= wanted:
            return 0.0
        return _MOST_PRESSURE * math.tanh(_SLOPE * (spent / wanted - 1.0))


def _belief(seen: Observation) -> float:
    return seen.confidence if seen.chance is None else seen.chance
