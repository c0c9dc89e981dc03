"""How well found entities fit the true ones: type and both ends must be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from models.conll import Place


@dataclass(frozen=True)
class SpanScore:
    """Counts over all texts together, and what follows from them (0 where nothing is counted)."""

    found: int
    true: int
    right: int

    @property
    def precision(self) -> float:
        """Share of what was found that is right."""
        return self.right / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what is true that was found."""
        return self.right / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.found + self.true
        return 2 * self.right / both if both else 0.0


def score_spans(pairs: Iterable[tuple[AbstractSet[Place], AbstractSet[Place]]]) -> SpanScore:
    """Count over (found, true) places of each text."""
    found = true = right = 0
    for places, wanted in pairs:
        found += len(places)
        true += len(wanted)
        right += len(places & wanted)
    return SpanScore(found, true, right)
