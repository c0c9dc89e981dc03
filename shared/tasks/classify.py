"""``classify``: which of a model's labels a text has, and how sure the model is of it.

RecServe takes the largest softmax probability as the confidence of a classification. Softmax is
said here in plain Python, without numpy: for the few labels of a classifier this is also the
fastest way, so every runtime uses it. What is then held against a threshold is
``shared.cascade.tier``'s business.

A language model has no labels of its own: the request names them (``ClassifyOptions``), the model
scores each as its answer, and what that gives is again one probability for each label.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from shared.errors import InvalidPrompt
from shared.tasks.base import Request, check_unicode, read_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.tasks.base import Options

LABEL_CHARACTERS: Final = 256


class Label(msgspec.Struct, frozen=True, array_like=True, tag=1, forbid_unknown_fields=True):
    """The answer to a ``classify`` request: one of the model's labels."""

    label: Annotated[str, msgspec.Meta(max_length=LABEL_CHARACTERS)]


class ClassifyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Among what a text is to be classified: the labels, and what the model is told to do.

    Without an ``instruction`` a model is asked which label fits (``question``). A classifier of
    its own labels takes those alone.
    """

    labels: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=LABEL_CHARACTERS)], ...],
        msgspec.Meta(min_length=2, max_length=256),
    ]
    instruction: Annotated[str, msgspec.Meta(max_length=1 << 16)] = ""


def read(options: Options) -> ClassifyOptions | None:
    """Return the options, None if there are none. Raises ``InvalidPrompt`` that names the fault."""
    if not options:
        return None
    check_unicode("classify", options)
    wanted = read_options("classify", options, ClassifyOptions)
    if len(set(wanted.labels)) < len(wanted.labels):
        raise InvalidPrompt("the options of classify have one of the labels twice")
    return wanted


def question(labels: Sequence[str]) -> str:
    """Return what a language model is asked of a text that it is to give one of these labels.

    Of several such sentences this had SmolLM2 right most often.
    """
    names = ", ".join(labels[:-1]) + f" or {labels[-1]}"
    words = all(len(label.split()) == 1 for label in labels)
    return f"Is the text {names}? Answer {'in one word' if words else 'with one of these alone'}."


def check(options: Options) -> None:
    """Raise ``InvalidPrompt`` for options that no engine could follow."""
    read(options)


def answer_bytes(text: str, options: Options) -> int:
    """Return the room that the answer takes at most: less than its prompt did."""
    del text, options
    return 0


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
