"""How well each way of answering has done, for each kind of question, and over all.

A kind is a question without its names. What is known of a kind is drawn towards what is known over
all, as if that had been seen ten times; while little is known the lower bound is what counts.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_WEIGHT: Final = 10.0
_TENTH: Final = 1.2816
_MOST_KINDS: Final = 10_000


class Standing:
    """Right and wrong answers by way and kind."""

    def __init__(self, priors: Mapping[str, float]) -> None:
        self._priors = priors
        self._all = {way: [0.0, 0.0] for way in priors}
        self._kinds: dict[tuple[str, str], list[float]] = {}

    def note(self, way: str, kind: str, *, right: bool) -> None:
        """Count one answer of which became known whether it was right."""
        self._all[way][not right] += 1
        if len(self._kinds) < _MOST_KINDS or (way, kind) in self._kinds:
            self._kinds.setdefault((way, kind), [0.0, 0.0])[not right] += 1

    def chance(self, way: str, kind: str = "") -> float:
        """Return how likely this way is right for a kind of question."""
        overall = self._overall(way)
        right, wrong = self._kinds.get((way, kind), (0.0, 0.0))
        return (right + _WEIGHT * overall) / (right + wrong + _WEIGHT)

    def lower(self, way: str, kind: str = "") -> float:
        """Return what that is at least, nine times of ten."""
        right, wrong = self._kinds.get((way, kind), (0.0, 0.0))
        chance, seen = self.chance(way, kind), right + wrong + _WEIGHT
        return max(0.0, chance - _TENTH * math.sqrt(chance * (1 - chance) / (seen + 1)))

    def _overall(self, way: str) -> float:
        right, wrong = self._all[way]
        return (right + _WEIGHT * self._priors[way]) / (right + wrong + _WEIGHT)
