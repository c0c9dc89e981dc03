"""The threshold: the β-quantile of a tier's recent confidences, exact and bounded.

Source: RecServe, *Recursive Offloading for LLM Serving in Multi-tier Networks*. This file keeps
the window and its quantile; what follows from it is decided in ``shared.cascade.tier``.
"""

from __future__ import annotations

from collections import deque

from sortedcontainers import SortedList


class QuantileWindow:
    """The last ``window_prompts`` confidences and their β-quantile.

    The quantile interpolates linearly at position β(n − 1) of the n sorted values, with the
    same arithmetic as ``numpy.quantile``, so both agree to the last bit.

    One append costs O(log k) comparisons and at most one removal; memory is two references for
    each of at most k = ``window_prompts`` confidences. There is no warm-up: the first value is
    its own quantile for every β.
    """

    def __init__(self, beta: float, window_prompts: int = 10_000) -> None:
        if not 0.0 <= beta <= 1.0:
            raise ValueError(f"beta must lie in [0, 1], not {beta}")
        if window_prompts < 1:
            raise ValueError(f"window_prompts must be at least 1, not {window_prompts}")
        self.beta = beta
        self.window_prompts = window_prompts
        self._arrivals: deque[float] = deque()
        self._sorted: SortedList[float] = SortedList()

    def __len__(self) -> int:
        """Return how many confidences the window holds."""
        return len(self._arrivals)

    def append(self, confidence: float) -> None:
        """Take in one confidence; the oldest leaves when the window is full.

        Raises ``ValueError`` for NaN, which has no place in an order.
        """
        if confidence != confidence:  # noqa: PLR0124 - the cheapest test for NaN
            raise ValueError("a confidence must be a number, not NaN")
        if len(self._arrivals) == self.window_prompts:
            self._sorted.remove(self._arrivals.popleft())
        self._arrivals.append(confidence)
        self._sorted.add(confidence)

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
