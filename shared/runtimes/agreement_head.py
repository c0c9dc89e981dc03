"""A head: the chance that a larger model, its teacher, would give the answer that a model gave.

A small model's own probability tells badly when it is wrong. A head asks for a second opinion: a
linear expert over the words and word pairs of the text, hashed into a table of int8 weights. What
the expert thinks of the model's label, how clear the model itself is, and how long the text is go
into one logistic regression, whose value is the confidence that routing uses. The answer and its
probabilities stay as they are.

Pure, and without numpy: some 20 µs a sentence in plain Python. Fitting is ``models.pack.head``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from shared.ngrams import slots_of

if TYPE_CHECKING:
    from collections.abc import Sequence

FEATURES: Final = 8
"""How many numbers ``features`` gives, and so how many weights follow a head's constant."""

_CLEAREST: Final = 20.0
"""Log-odds beyond which a model is not believed to be any clearer."""
_SIGNED: Final = bytes(range(0x80, 0x100)) + bytes(range(0x80))
"""From an int8 to the same number 128 higher, as a byte."""
_ZERO: Final = 0x80


class Expert:
    """The table: what the n-grams of a text say about its label.

    For labels 0 to k - 1 the table holds k - 1 columns of ``slots`` weights, a power of two; label
    0 has no column, and its score is 0.
    """

    def __init__(self, table: bytes, *, scale: float, constants: Sequence[float]) -> None:
        """Take a table of int8 weights, which count ``scale`` each; raises ``ValueError``."""
        slots, rest = divmod(len(table), len(constants))
        if rest or slots < 1 or slots & (slots - 1):
            raise ValueError(
                f"{len(table)} bytes are not {len(constants)} columns of a power of two each"
            )
        biased = table.translate(_SIGNED)
        self._columns = [biased[at : at + slots] for at in range(0, len(table), slots)]
        self._mask = slots - 1
        self._scale = scale
        self._constants = tuple(constants)

    def read(self, text: str) -> Opinion:
        """Return what the expert thinks of a text."""
        words, found = slots_of(text, self._mask)
        if not found:
            return Opinion((0.0, *self._constants), 0, 1.0)
        count = len(found)
        unit = self._scale / math.sqrt(count)
        scores, empty = [0.0], 0
        for column, constant in zip(self._columns, self._constants, strict=True):
            weights = bytes(map(column.__getitem__, found))
            empty += weights.count(_ZERO)
            scores.append(constant + unit * (sum(weights) - _ZERO * count))
        return Opinion(tuple(scores), words, empty / (count * len(self._columns)))


class Opinion(NamedTuple):
    """What an expert thinks of a text.

    ``scores`` has one entry per label: unnormalised log-probabilities. ``unknown`` is the share of
    n-grams that say nothing to it.
    """

    scores: tuple[float, ...]
    words: int
    unknown: float


class AgreementHead:
    """The chance that the teacher would give the label that the model gave."""

    def __init__(self, expert: Expert, weights: Sequence[float]) -> None:
        """Take the constant and one weight per feature."""
        if len(weights) != FEATURES + 1:
            raise ValueError(f"a head has {FEATURES + 1} weights, not {len(weights)}")
        self.expert = expert
        self._constant, *self._weights = weights

    def confidence(self, text: str, probabilities: Sequence[float], label: int) -> float:
        """Return the chance, in [0, 1], for the index of the label that the model gave."""
        return self.foretell(self.expert.read(text), probabilities, label)

    def foretell(self, opinion: Opinion, probabilities: Sequence[float], label: int) -> float:
        """Return the same for a text that the expert has read."""
        found = features(opinion, probabilities, label)
        value = self._constant
        for weight, feature in zip(self._weights, found, strict=True):
            value += weight * feature
        return _logistic(value)


def features(opinion: Opinion, probabilities: Sequence[float], label: int) -> tuple[float, ...]:
    """Return what a head weighs.

    The model's margin over its second choice in log-odds, its root, the logarithm of the length,
    both times that, the share of unknown n-grams, and the expert's log-odds of the model's label,
    parted into what speaks for it and what against.
    """
    margin = _margin(probabilities, label)
    root, length = math.sqrt(margin), math.log1p(opinion.words)
    backing = _log_odds(opinion.scores, label)
    return (
        margin,
        root,
        length,
        margin * length,
        root * length,
        opinion.unknown,
        max(backing, 0.0),
        min(backing, 0.0),
    )


def _margin(probabilities: Sequence[float], label: int) -> float:
    second = max(p for index, p in enumerate(probabilities) if index != label)
    if second <= 0.0:
        return _CLEAREST
    return min(max(math.log(probabilities[label] / second), 0.0), _CLEAREST)


def _log_odds(scores: Sequence[float], label: int) -> float:
    """Return the log-odds of one label against all others."""
    if len(scores) == 2:  # noqa: PLR2004 - the usual case, and the fastest
        return scores[label] - scores[1 - label]
    others = [score for index, score in enumerate(scores) if index != label]
    largest = max(others)
    return scores[label] - largest - math.log(math.fsum(math.exp(o - largest) for o in others))


def _logistic(value: float) -> float:
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    odds = math.exp(max(value, -700.0))
    return odds / (1.0 + odds)
