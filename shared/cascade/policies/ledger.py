"""What was spent in the last period, whatever the unit: pure, the time is passed in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SLOTS: Final = 200


class SpendingLedger:
    """What was spent in the last period, kept in slots of a two-hundredth of it.

    The slot in which the period begins counts in full, so the true sum is never larger.
    """

    def __init__(self, period_s: float) -> None:
        self.total = 0.0
        self._slot_s = period_s / _SLOTS
        self._slots = [0.0] * (_SLOTS + 1)
        self._head = 0

    def spent(self, now_s: float) -> float:
        """Return what the last period cost; slots that fell out of it are cleared."""
        head = math.floor(now_s / self._slot_s)
        for gone in range(max(self._head + 1, head - _SLOTS), head + 1):
            self.total -= self._slots[gone % len(self._slots)]
            self._slots[gone % len(self._slots)] = 0.0
        self._head = max(head, self._head)
        return self.total

    def spend(self, cost: float, now_s: float) -> None:
        """Book a cost to the current slot."""
        self.spent(now_s)
        self._slots[self._head % len(self._slots)] += cost
        self.total += cost

    def by_age(self, now_s: float) -> tuple[tuple[float, float], ...]:
        """Return the age and the cost of every slot that has any, the youngest first."""
        self.spent(now_s)
        return tuple(
            (age * self._slot_s, cost)
            for age in range(len(self._slots))
            if (cost := self._slots[(self._head - age) % len(self._slots)]) > 0.0
        )

    def recall(self, spent: Sequence[tuple[float, float]], at_s: float) -> None:
        """Take up costs by age, as they were at a time; those that are past the period lapse."""
        self._head = math.floor(at_s / self._slot_s)
        self._slots = [0.0] * (_SLOTS + 1)
        for age_s, cost in spent:
            if (slots := round(age_s / self._slot_s)) <= _SLOTS:
                self._slots[(self._head - slots) % len(self._slots)] += cost
        self.total = sum(self._slots)
