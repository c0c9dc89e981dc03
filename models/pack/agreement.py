"""Compare two models on the same texts: the packed one must say what the original says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.pack.labelled import scored_or_raise
from models.spans import score_spans
from shared.tasks import Request, agrees
from shared.tasks.tag import Entities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.conll import Place
    from shared.messages import Scored
    from shared.runtimes import Model
    from shared.tasks import Answer


@dataclass(frozen=True)
class Agreement:
    """How near two models are over ``texts`` texts.

    ``same_answer`` is the share of texts that both answer alike; of entities found by both or one
    it is the F1 of theirs, a text each. The difference on a text
    is the largest one among its labels' probabilities, or that of the confidences where an answer
    is no label; given are the mean and the largest.
    """

    texts: int
    same_answer: float
    mean_difference: float
    max_difference: float

    def __str__(self) -> str:
        return (
            f"same answer to {self.same_answer:.1%} of {self.texts} texts, probabilities apart by "
            f"{self.mean_difference:.1g} in the mean and {self.max_difference:.1g} at most"
        )


def compare(original: Model, packed: Model, texts: Sequence[str]) -> Agreement:
    """Answer all texts with both. Raises ``BundleError`` when either fails on a text."""
    task = next(iter(original.tasks))
    same, differences, asked = 0.0, [], [Request(task, text) for text in texts]
    for text, *entries in zip(texts, original.answer(asked), packed.answer(asked), strict=True):
        first, second = (scored_or_raise(entry, f"text {text[:40]!r}") for entry in entries)
        same += _alike(first.answer, second.answer)
        pairs = zip(_numbers(first), _numbers(second), strict=True)
        differences.append(max(abs(a - b) for a, b in pairs))
    count = len(differences)
    return Agreement(count, same / count, sum(differences) / count, max(differences))


def _alike(one: Answer, other: Answer) -> float:
    if isinstance(one, Entities) and isinstance(other, Entities):
        score = score_spans([(_places(one), _places(other))])
        return score.f1 if score.found or score.true else 1.0
    return float(agrees(one, other))


def _places(answer: Entities) -> set[Place]:
    return {span.place for span in answer.spans}


def _numbers(scored: Scored) -> tuple[float, ...]:
    return scored.probabilities or (scored.confidence,)
