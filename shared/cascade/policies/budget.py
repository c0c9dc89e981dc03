"""Spend a given number of bytes, on the prompts that are least sure.

The quantile is no longer the user's: it is steered so that what is sent in any window of
``period_s`` stays within a few percent of ``budget_bytes``, whatever load and confidences do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from shared.cascade.policies.base import Routing
from shared.cascade.threshold import QuantileWindow, WindowMemory, stand_ins
from shared.settings.base import Closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.cascade.policies.base import Feedback, Observation, PolicyContext

_SLOTS = 200
_REACTION = 60
_MEMORY = 10
_CEILING = 1.03


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


class BudgetMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a budget policy has seen and spent; ages in seconds before it was written down."""

    window: WindowMemory
    spent: tuple[tuple[float, float], ...]
    """Bytes by the age of their slot."""
    rate_bytes: float
    rate_s: float
    rate_age_s: float
    elapsed_s: float


class BudgetPolicy:
    """A quantile window whose β follows the money.

    At each prompt the wanted rate of spending is the budget's own plus whatever the last period is
    behind or ahead, to be made good within a sixtieth of the period. Divided by the rate at which
    bytes arrive, taken over a tenth of it, that is the share of prompts to escalate: β. A ceiling
    of 103 % of the budget on every sliding period holds even when the load jumps before β has
    followed.
    """

    learns: ClassVar = False

    def __init__(self, settings: Budget, context: PolicyContext) -> None:
        self._settings = settings
        begin = stand_ins(context.expected, settings.prior_prompts)
        self._window = QuantileWindow(0.5, settings.window_prompts, begin)
        self._rate = settings.budget_bytes / settings.period_s
        self._reaction_s = settings.period_s / _REACTION
        self._ledger = _Ledger(settings.period_s)
        self._offered = _Rate(settings.period_s / _MEMORY)
        self._started_s: float | None = None

    def decide(self, seen: Observation) -> Routing:
        """Append the confidence, set β by what may be spent, and hold it against the quantile."""
        cost = seen.prompt_bytes + self._settings.overhead_bytes
        now_s = seen.at_s
        if self._started_s is None:
            self._started_s = now_s
        self._window.append(seen.confidence)
        offered = self._offered.add(cost, now_s)
        spent = self._ledger.spent(now_s)
        elapsed_s = min(now_s - self._started_s, self._settings.period_s)
        behind = self._rate * elapsed_s - spent
        wanted = self._rate + behind / self._reaction_s
        share = min(max(wanted / offered, 0.0), 1.0)
        threshold = self._window.quantile(share)
        certain = share >= 1.0
        if not certain and seen.confidence >= threshold:
            return Routing(0, threshold)
        if spent + cost > self._settings.budget_bytes * _CEILING:
            return Routing(0, threshold)
        self._ledger.spend(cost, now_s)
        return Routing(1, 1.0 if certain else threshold)

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Learn nothing: what was sent is known when it is sent."""

    def report(self) -> dict[str, float]:
        """Return what was spent in the last period, as a share of the budget."""
        return {"budget_spent_ratio": self._ledger.total / self._settings.budget_bytes}

    def remember(self, now_s: float) -> BudgetMemory:
        """Return the window, what was spent in the last period, and the load."""
        started_s = now_s if self._started_s is None else self._started_s
        return BudgetMemory(
            self._window.remember(),
            self._ledger.by_age(now_s),
            *self._offered.remember(now_s),
            elapsed_s=min(now_s - started_s, self._settings.period_s),
        )

    def recall(self, memory: Any, at_s: float) -> None:
        """Take all that up."""
        read = msgspec.convert(memory, BudgetMemory)
        self._window.recall(read.window)
        self._ledger.recall(read.spent, at_s)
        self._offered.recall(read.rate_bytes, read.rate_s, at_s - read.rate_age_s)
        self._started_s = at_s - read.elapsed_s


class _Ledger:
    """Bytes spent in the last period, kept in slots of a two-hundredth of it."""

    def __init__(self, period_s: float) -> None:
        self.total = 0.0
        self._slot_s = period_s / _SLOTS
        self._slots = [0.0] * _SLOTS
        self._head = 0

    def spent(self, now_s: float) -> float:
        """Return the bytes of the last period; slots that fell out of it are cleared."""
        head = math.floor(now_s / self._slot_s)
        for gone in range(max(self._head + 1, head - _SLOTS + 1), head + 1):
            self.total -= self._slots[gone % _SLOTS]
            self._slots[gone % _SLOTS] = 0.0
        self._head = max(head, self._head)
        return self.total

    def spend(self, cost: float, now_s: float) -> None:
        """Book bytes to the current slot."""
        self.spent(now_s)
        self._slots[self._head % _SLOTS] += cost
        self.total += cost

    def by_age(self, now_s: float) -> tuple[tuple[float, float], ...]:
        """Return the age and the bytes of every slot that has any, the youngest first."""
        self.spent(now_s)
        return tuple(
            (age * self._slot_s, cost)
            for age in range(_SLOTS)
            if (cost := self._slots[(self._head - age) % _SLOTS]) > 0.0
        )

    def recall(self, spent: Sequence[tuple[float, float]], at_s: float) -> None:
        """Take up bytes by age, as they were at a time."""
        self._head = math.floor(at_s / self._slot_s)
        self._slots = [0.0] * _SLOTS
        for age_s, cost in spent:
            self._slots[(self._head - round(age_s / self._slot_s)) % _SLOTS] += cost
        self.total = sum(self._slots)


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
