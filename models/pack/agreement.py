"""Compare two models on the same texts: the packed one must say what the original says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.pack.labelled import scored_or_raise
from shared.tasks.classify import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.runtimes import Model


@dataclass(frozen=True)
class Agreement:
    """How near two models are over ``texts`` texts.

    ``same_label`` is the share of texts that both give the same label. The difference on a text
    is the largest one among its labels' probabilities; given are the mean and the largest.
    """

    texts: int
    same_label: float
    mean_difference: float
    max_difference: float

    def __str__(self) -> str:
        return (
            f"same label on {self.same_label:.1%} of {self.texts} texts, probabilities apart by "
            f"{self.mean_difference:.1g} in the mean and {self.max_difference:.1g} at most"
        )


def compare(original: Model, packed: Model, texts: Sequence[str]) -> Agreement:
    """Answer all texts with both. Raises ``BundleError`` when either fails on a text."""
    same, differences, asked = 0, [], requests(texts)
    for text, *entries in zip(texts, original.answer(asked), packed.answer(asked), strict=True):
        first, second = (scored_or_raise(entry, f"text {text[:40]!r}") for entry in entries)
        same += first.answer == second.answer
        pairs = zip(first.probabilities, second.probabilities, strict=True)
        differences.append(max(abs(a - b) for a, b in pairs))
    count = len(differences)
    return Agreement(count, same / count, sum(differences) / count, max(differences))
