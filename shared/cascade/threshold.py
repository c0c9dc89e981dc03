"""The threshold: the β-quantile of a tier's recent confidences, exact and bounded.

Source: RecServe, *Recursive Offloading for LLM Serving in Multi-tier Networks*. This file keeps
the window and its quantile, and what a window may begin with; what follows from the quantile is
decided in ``shared.cascade.tier``.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from sortedcontainers import SortedList

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class WindowMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a window holds, to be written down: confidences as they came, and stand-ins left."""

    arrivals: tuple[float, ...]
    stand_ins: tuple[float, ...] = ()


class QuantileWindow:
    """The last ``window_prompts`` confidences and their β-quantile.

    The quantile interpolates linearly at position β(n − 1) of the n sorted values, with the
    same arithmetic as ``numpy.quantile``, so both agree to the last bit.

    One append costs O(log k) comparisons and at most one removal; memory is two references for
    each of at most k = ``window_prompts`` confidences. As published there is no warm-up: the first
    value is its own quantile for every β. A window may begin with *stand-ins* instead: confidences
    that were expected. Each real one takes the place of one of them, so after as many real ones as
    there were stand-ins the window is what it would have been without any.
    """

    def __init__(
        self, beta: float, window_prompts: int = 10_000, stand_ins: Sequence[float] = ()
    ) -> None:
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f"beta must lie in [0, 1], not {beta}")
        if window_prompts < 1:
            raise ValueError(f"window_prompts must be at least 1, not {window_prompts}")
        self.beta = beta
        self.window_prompts = window_prompts
        self._arrivals: deque[float] = deque()
        self._stand_ins = list(stand_ins[:window_prompts])
        """The last leaves first."""
        self._sorted: SortedList[float] = SortedList(self._stand_ins)

    def __len__(self) -> int:
        """Return how many confidences the quantile is taken of, stand-ins among them."""
        return len(self._sorted)

    def append(self, confidence: float) -> None:
        """Take in one confidence; a stand-in leaves, or the oldest when the window is full.

        Raises ``ValueError`` for NaN, which has no place in an order.
        """
        if confidence != confidence:  # noqa: PLR0124 - the cheapest test for NaN
            raise ValueError("a confidence must be a number, not NaN")
        if self._stand_ins:
            self._sorted.remove(self._stand_ins.pop())
        elif len(self._arrivals) == self.window_prompts:
            self._sorted.remove(self._arrivals.popleft())
        self._arrivals.append(confidence)
        self._sorted.add(confidence)

    def remember(self) -> WindowMemory:
        """Return what the window holds."""
        return WindowMemory(tuple(self._arrivals), tuple(self._stand_ins))

    def recall(self, memory: WindowMemory) -> None:
        """Take up what a window held, in place of what this one does.

        Of more than fit the latest are taken. Raises ``ValueError`` for NaN.
        """
        held: Iterable[float] = (*memory.arrivals, *memory.stand_ins)
        if any(map(math.isnan, held)):
            raise ValueError("a confidence must be a number, not NaN")
        self._arrivals = deque(memory.arrivals[-self.window_prompts :])
        room = self.window_prompts - len(self._arrivals)
        self._stand_ins = list(memory.stand_ins[:room])
        self._sorted = SortedList((*self._arrivals, *self._stand_ins))

    def below(self, confidence: float) -> int:
        """Return how many confidences lie strictly below."""
        return int(self._sorted.bisect_left(confidence))

    def equal(self, confidence: float) -> int:
        """Return how many confidences equal this one."""
        return int(self._sorted.bisect_right(confidence)) - self.below(confidence)

    def quantile(self, beta: float | None = None) -> float:
        """Return the quantile at the window's own β, or another; 0.0 while it is empty."""
        last = len(self._sorted) - 1
        if last < 0:
            return 0.0
        position = (self.beta if beta is None else beta) * last
        below = int(position)
        low: float = self._sorted[below]
        if below == last:
            return low
        high: float = self._sorted[below + 1]
        weight = position - below
        # Interpolating from the nearer end is what numpy does, and keeps the result monotonic.
        if weight < 0.5:  # noqa: PLR2004 - the middle
            return low + (high - low) * weight
        return high - (high - low) * (1.0 - weight)


def stand_ins(quantiles: Sequence[float], count: int) -> list[float]:
    """Return ``count`` confidences as a model is expected to have them, the last to leave first.

    ``quantiles`` are its confidences at equal steps from the least to the largest. Between two of
    them lie as many as there should; and however many have left, those that remain lie as evenly.
    """
    if not quantiles:
        return []
    last = len(quantiles) - 1
    places = [(number + 0.5) / count * last for number in range(count)]
    values = [_between(quantiles, place) for place in places]
    bits = max(count - 1, 1).bit_length()
    leaving = sorted(range(count), key=lambda number: int(f"{number:0{bits}b}"[::-1], 2))
    return [values[number] for number in reversed(leaving)]


def _between(values: Sequence[float], place: float) -> float:
    below = min(int(place), len(values) - 1)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)
