"""``classify``: which of a model's labels a text has, and how sure the model is of it.

RecServe takes the largest softmax probability as the confidence of a classification. Softmax is
said here in plain Python, without numpy: for the few labels of a classifier this is also the
fastest way, so every runtime uses it. What is then held against a threshold is
``shared.cascade.tier``'s business.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from shared.tasks.base import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LABEL_CHARACTERS: Final = 256


class Label(msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True):
    """The answer to a ``classify`` request: one of the model's labels."""

    label: Annotated[str, msgspec.Meta(max_length=LABEL_CHARACTERS)]


def requests(texts: Iterable[str]) -> list[Request]:
    """Return what a model is asked to classify these texts."""
    return [Request("classify", text) for text in texts]


def agrees(one: Label, other: Label) -> bool:
    """Say whether two models mean the same."""
    return one == other


def score(answer: Label, truth: str) -> float:
    """Return 1.0 for the label that is true, and 0.0 for any other."""
    return float(answer.label == truth)


def to_json(answer: Label) -> dict[str, Any]:
    """Return the answer as it stands in what people and programs read."""
    return {"label": answer.label}


def from_json(answer: Mapping[str, Any]) -> Label:
    """Return the answer that ``to_json`` wrote. Raises ``KeyError`` or ``ValidationError``."""
    return msgspec.convert([1, answer["label"]], Label)


def to_line(answer: Label) -> str:
    """Return the answer in one line."""
    return answer.label


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
