"""How well each way of answering has done, for each kind of question, and over all.

A kind is a question without its names; it is known here by a hash of that alone, so that no text
outlives the entries that it is from. What is known of a kind is drawn towards what is known over
all, as if that had been seen ten times; while little is known the lower bound is what counts.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Counted: TypeAlias = tuple[float, float]
"""Right answers and wrong ones."""

_WEIGHT: Final = 10.0
_TENTH: Final = 1.2816
_MOST_KINDS: Final = 10_000
_NONE: Final[Counted] = (0.0, 0.0)


class Standing:
    """Right and wrong answers by way and kind, each under a name that tells no text."""

    def __init__(self, priors: Mapping[str, float]) -> None:
        self._priors = priors
        self._all: dict[str, Counted] = dict.fromkeys(priors, _NONE)
        self._kinds: dict[str, Counted] = {}

    def take(self, known: Mapping[str, Counted]) -> None:
        """Take over what was known before a restart; what is of no way is left out."""
        for name, counted in known.items():
            way, _, kind = name.partition(" ")
            if way in self._priors:
                (self._kinds if kind else self._all)[name] = counted

    def note(self, way: str, kind: str, *, right: bool) -> dict[str, Counted]:
        """Count one answer of which became known whether it was right; return what that changes."""
        self._all[way] = _and_one(self._all[way], right=right)
        changed = {way: self._all[way]}
        name = _name(way, kind)
        if kind and (len(self._kinds) < _MOST_KINDS or name in self._kinds):
            changed[name] = self._kinds[name] = _and_one(self._kinds.get(name, _NONE), right=right)
        return changed

    def chance(self, way: str, kind: str = "") -> float:
        """Return how likely this way is right for a kind of question."""
        overall = self._overall(way)
        right, wrong = self._of(way, kind)
        return (right + _WEIGHT * overall) / (right + wrong + _WEIGHT)

    def lower(self, way: str, kind: str = "") -> float:
        """Return what that is at least, nine times of ten."""
        right, wrong = self._of(way, kind)
        chance, seen = self.chance(way, kind), right + wrong + _WEIGHT
        return max(0.0, chance - _TENTH * math.sqrt(chance * (1 - chance) / (seen + 1)))

    def _of(self, way: str, kind: str) -> Counted:
        return self._kinds.get(_name(way, kind), _NONE) if kind and self._kinds else _NONE

    def _overall(self, way: str) -> float:
        right, wrong = self._all[way]
        return (right + _WEIGHT * self._priors[way]) / (right + wrong + _WEIGHT)


def _name(way: str, kind: str) -> str:
    return f"{way} {hashlib.blake2b(kind.encode(), digest_size=8).hexdigest()}"


def _and_one(counted: Counted, *, right: bool) -> Counted:
    return counted[0] + right, counted[1] + (not right)
