"""A second opinion on a text: what an expert makes of a model's answer, and of its confidence.

The expert of a bundle (``shared.runtimes.agreement_head``) is asked once a text, and may be of use
twice. Fused with the model's answer it changes that: the probability of a label is then
proportional to the model's times e to ``weight`` times the expert's score, which is the logarithmic
opinion pool of Genest and Zidek, *Combining Probability Distributions* (1986). And a head makes of
it the confidence that routing goes by. Either is there without the other.

Pure, and without numpy, as is the expert. The weight is fitted by ``models.pack.fusion``.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.tasks.classify import max_probability, softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.messages import ConfidenceKind
    from shared.runtimes.agreement_head import AgreementHead, Expert

_LEAST: Final = sys.float_info.min
"""Stands for a probability of 0, of which there is no logarithm."""


class Judged(NamedTuple):
    """A model's answer when the expert was heard.

    ``label`` is the index of the answer, ``probabilities`` has one for each label, in its order,
    and ``confidence`` is what routing goes by.
    """

    probabilities: tuple[float, ...]
    label: int
    confidence: float


class SecondOpinion:
    """What an expert says beside a model."""

    def __init__(
        self, expert: Expert, *, weight: float = 0.0, head: AgreementHead | None = None
    ) -> None:
        """Fuse answers where ``weight`` is not 0; make confidences where there is a ``head``.

        A head must have been fitted to answers that were made the same way.
        """
        self.expert = expert
        self.weight = weight
        self.head = head

    @property
    def kind(self) -> ConfidenceKind:
        """What the confidence is that it makes."""
        return "max_probability" if self.head is None else "agreement"

    def judge(self, text: str, probabilities: tuple[float, ...]) -> Judged:
        """Return what becomes of a model's probabilities for a text.

        Where nothing is fused they stay as they are, to the bit. Without a head the confidence is
        the largest probability.
        """
        opinion = self.expert.read(text)
        if self.weight:
            probabilities = fuse(probabilities, opinion.scores, self.weight)
        label, confidence = max_probability(probabilities)
        if self.head is not None:
            confidence = self.head.foretell(opinion, probabilities, label)
        return Judged(probabilities, label, confidence)


def fuse(
    probabilities: Sequence[float], scores: Sequence[float], weight: float
) -> tuple[float, ...]:
    """Return probabilities that sum to 1; both sequences have one entry for each label.

    ``scores`` are the expert's, unnormalised log-probabilities of which one unit counts ``weight``.
    """
    return softmax(
        [
            math.log(max(probability, _LEAST)) + weight * score
            for probability, score in zip(probabilities, scores, strict=True)
        ]
    )
