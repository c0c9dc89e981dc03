"""Spend a given number of bytes, on the prompts that are least sure.

The quantile is no longer the user's: it is steered so that what is sent in any window of
``period_s`` stays within a few percent of ``budget_bytes``, whatever load and confidences do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from shared.cascade.policies.adapting import Learn
from shared.cascade.policies.base import Routing
from shared.cascade.policies.ledger import SpendingLedger
from shared.cascade.threshold import QuantileWindow, WindowMemory, stand_ins
from shared.settings.base import Closed

if TYPE_CHECKING:
    from shared.cascade.policies.base import Feedback, Observation, PolicyContext

_REACTION = 20
_MEMORY = 10
_CEILING = 1.03
_LEAD = 0.3
"""Of the budget, that may be spent before its time has come."""


class Budget(Closed, frozen=True, kw_only=True, tag_field="kind", tag="budget"):
    """Escalate as much as a budget of bytes allows."""

    budget_bytes: Annotated[float, Meta(gt=0, le=1e15, description="bytes to spend in each period")]
    period_s: Annotated[
        float, Meta(ge=0.001, le=31_536_000, description="length of the period, in seconds")
    ] = 86_400.0
    overhead_bytes: Annotated[
        float,
        Meta(ge=0, le=1e6, description="what topic, header and result add to a prompt's text"),
    ] = 200.0
    window_prompts: Annotated[
        int, Meta(ge=1, le=10_000_000, description="confidences the window holds")
    ] = 10_000
    prior_prompts: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="prompts that the model's own quantiles stand in for in a new window",
        ),
    ] = 20
    learn: Learn = False


class BudgetMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a budget policy has seen and spent; ages in seconds before it was written down."""

    window: WindowMemory
    spent: tuple[tuple[float, float], ...]
    """Bytes by the age of their slot."""
    rate_bytes: float
    rate_s: float
    rate_age_s: float
    elapsed_s: float
    """In how much time the budget brings what was spent and what is owed."""


class BudgetPolicy:
    """A quantile window whose β follows the money.

    The budget comes evenly; what came and was not spent is *owed*, and lapses once it is a whole
    budget. At each prompt the wanted rate of spending is the budget's own plus what is owed, to be
    made good within a twentieth of the period. Where the last period has not spent the budget yet,
    the policy also goes up to 30 % of it ahead of its time: prompts that come in bursts leave
    pauses, and money that comes in a pause finds nothing to be spent on. The wanted rate divided by
    that at which bytes arrive, taken over a tenth of the period, is the share of prompts to
    escalate: β. A ceiling of 103 % of the budget on every sliding period holds even when the load
    jumps before β has followed.
    """

    learns: ClassVar = False

    def __init__(self, settings: Budget, context: PolicyContext) -> None:
        self._settings = settings
        begin = stand_ins(context.expected, settings.prior_prompts)
        self.window = QuantileWindow(0.5, settings.window_prompts, begin)
        self._rate = settings.budget_bytes / settings.period_s
        self._reaction_s = settings.period_s / _REACTION
        self._ledger = SpendingLedger(settings.period_s)
        self._offered = _Rate(settings.period_s / _MEMORY)
        self._owed = 0.0
        self._paid_s: float | None = None

    def decide(self, seen: Observation) -> Routing:
        """Append the confidence, set β by what may be spent, and hold it against the quantile."""
        cost = seen.prompt_bytes + self._settings.overhead_bytes
        now_s = seen.at_s
        self.window.append(seen.confidence)
        offered = self._offered.add(cost, now_s)
        spent = self._ledger.spent(now_s)
        share = min(max(self._wanted(spent, now_s) / offered, 0.0), 1.0)
        threshold = self.window.quantile(share)
        certain = share >= 1.0
        if not certain and seen.confidence >= threshold:
            return Routing(0, threshold)
        if spent + cost > self._settings.budget_bytes * _CEILING:
            return Routing(0, threshold)
        self._ledger.spend(cost, now_s)
        self._owed -= cost
        return Routing(1, 1.0 if certain else threshold)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn nothing: what was sent is known when it is sent."""

    def report(self) -> dict[str, float]:
        """Return what was spent in the last period, as a share of the budget."""
        return {"budget_spent_ratio": self._ledger.total / self._settings.budget_bytes}

    def remember(self, now_s: float) -> BudgetMemory:
        """Return the window, what was spent in the last period, and the load."""
        self._pay(now_s)
        spent = self._ledger.spent(now_s)
        return BudgetMemory(
            self.window.remember(),
            self._ledger.by_age(now_s),
            *self._offered.remember(now_s),
            elapsed_s=(spent + self._owed) / self._rate,
        )

    def recall(self, memory: Any, at_s: float) -> None:
        """Take all that up."""
        read = msgspec.convert(memory, BudgetMemory)
        self.window.recall(read.window)
        self._ledger.recall(read.spent, at_s)
        self._offered.recall(read.rate_bytes, read.rate_s, at_s - read.rate_age_s)
        self._owed = read.elapsed_s * self._rate - self._ledger.total
        self._paid_s = at_s

    def _wanted(self, spent: float, now_s: float) -> float:
        """Return how many bytes to spend each second."""
        self._pay(now_s)
        budget = self._settings.budget_bytes
        on_time = self._rate + self._owed / self._reaction_s
        ahead = self._rate + (self._owed + _LEAD * budget) / self._reaction_s
        return max(on_time, min(ahead, (budget - spent) / self._reaction_s))

    def _pay(self, now_s: float) -> None:
        """Owe what the budget has brought since the last time."""
        gap_s = now_s - self._paid_s if self._paid_s is not None else 0.0
        self._owed = min(self._owed + self._rate * gap_s, self._settings.budget_bytes)
        self._paid_s = now_s


class _Rate:
    """Bytes per second, smoothed over a time constant and right from the start."""

    def __init__(self, constant_s: float) -> None:
        self._constant_s = constant_s
        self._bytes = 0.0
        self._time_s = 0.0
        self._last_s: float | None = None

    def add(self, cost: float, now_s: float) -> float:
        """Take in bytes and return the rate with them."""
        gap_s = now_s - self._last_s if self._last_s is not None else 0.0
        self._last_s = now_s
        keep = self._constant_s / (self._constant_s + gap_s)
        self._bytes = self._bytes * keep + cost
        self._time_s = (self._time_s + gap_s) * keep
        return self._bytes / max(self._time_s, self._constant_s * 1e-3)

    def remember(self, now_s: float) -> tuple[float, float, float]:
        """Return bytes, the time that they are of, and how long ago the last of them came."""
        last_s = now_s if self._last_s is None else self._last_s
        return self._bytes, self._time_s, max(now_s - last_s, 0.0)

    def recall(self, spent: float, time_s: float, last_s: float) -> None:
        """Take those up; ``last_s`` is when the last of them came."""
        self._bytes, self._time_s, self._last_s = spent, time_s, last_s
