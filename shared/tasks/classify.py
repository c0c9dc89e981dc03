"""How sure a model is of a classification.

RecServe takes the largest softmax probability as the confidence of a classification. The two
functions here say so in plain Python, without numpy: for the few labels of a classifier this is
also the fastest way, so every runtime uses them. What is then held against a threshold is
``shared.cascade.tier``'s business.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def softmax(logits: Sequence[float]) -> tuple[float, ...]:
    """Return probabilities, one per logit, that sum to 1.

    The largest logit is subtracted first, so large logits do not overflow. Raises ``ValueError``
    when there is no logit or one is not finite: such a model has said nothing.
    """
    if not logits or not all(map(math.isfinite, logits)):
        raise ValueError(f"the logits {list(logits)} are not finite numbers")
    largest = max(logits)
    weights = [math.exp(logit - largest) for logit in logits]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def max_probability(probabilities: Sequence[float]) -> tuple[int, float]:
    """Return the index of the most probable label and its probability, the confidence.

    The first of several equally probable labels wins. Raises ``ValueError`` when there is none.
    """
    confidence = max(probabilities)
    return probabilities.index(confidence), confidence
