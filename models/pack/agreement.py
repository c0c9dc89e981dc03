"""Compare two models on the same texts: the packed one must say what the original says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.pack.labelled import scored_or_raise
from models.spans import score_spans
from shared.errors import BundleError
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


@dataclass(frozen=True)
class Bounds:
    """How far a packed model may be from its original.

    ``float32_difference`` bounds the largest difference of any probability after export;
    ``int8_same_answer`` the share of texts with the same answer, from below, and
    ``int8_mean_difference`` the mean difference of probabilities, after quantising.
    """

    float32_difference: float = 1e-3
    int8_same_answer: float = 0.95
    int8_mean_difference: float = 0.05

    def hold_float32(self, found: Agreement, together: int) -> None:
        """Raise ``BundleError`` when an exported model is too far from its original."""
        if found.max_difference > self.float32_difference:
            how = (
                "with prompts one by one" if together == 1 else f"with {together} prompts at a time"
            )
            raise BundleError(
                f"the exported model does not agree with its original {how}: {found}, where "
                f"{self.float32_difference} at most is allowed; nothing was written; serve the "
                "model with the runtime transformers instead (model.runtime: transformers)"
            )

    def hold_int8(self, found: Agreement) -> None:
        """Raise ``BundleError`` when a quantised model is too far from its original."""
        if (
            found.same_answer < self.int8_same_answer
            or found.mean_difference > self.int8_mean_difference
        ):
            raise BundleError(
                f"the quantised model does not agree with its original: {found}, where "
                f"{self.int8_same_answer:.0%} at least and {self.int8_mean_difference} in the mean "
                "at most are allowed; nothing was written; pack it with --no-quantise"
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
