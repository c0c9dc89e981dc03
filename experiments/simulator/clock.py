"""Simulated time: what happens next, and nothing in between."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class SimulatedClock:
    """Calls what is due, in order of time; what is due at one time in the order it was said."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._said = 0

    def at(self, at_s: float, do: Callable[..., None], *args: Any) -> None:
        """Call ``do`` at a time; one that is past means now."""
        self._said += 1
        heapq.heappush(self._due, (max(at_s, self.now_s), self._said, do, args))

    def after(self, delay_s: float, do: Callable[..., None], *args: Any) -> None:
        """Call ``do`` when so much time has passed."""
        self.at(self.now_s + delay_s, do, *args)

    def run(self, until_s: float = math.inf) -> None:
        """Go on until nothing is due any more, or to ``until_s``."""
        due = self._due
        while due and due[0][0] <= until_s:
            self.now_s, _, do, args = heapq.heappop(due)
            do(*args)
        if not math.isinf(until_s):
            self.now_s = max(self.now_s, until_s)
