"""Fit an agreement head: from a student's and a teacher's answers to the same texts.

No text needs a label: the expert learns the teacher's answers, and the head learns where the
student gives another. Labels, if there are any, are for the expert alone. So are labelled texts
beyond those that were asked: on texts that both models were trained on they agree as nowhere else,
which is nothing for a head to learn.

What an expert thinks of a text that it was fitted to flatters it, so the head is fitted to what two
experts, of half the texts each, think of the other half; what it will bring is said by two heads,
of half the texts each, on the other half. Served are an expert and a head of all texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from models.pack.descent import minimise
from models.pack.expert import FittedTable, fit_table, hash_texts
from models.pack.head_gain import HeadGain, measure_gain
from shared.runtimes.agreement_head import FEATURES, Opinion, features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SLOTS: Final = 1 << 16
PENALTY: Final = 1e-5
_RIDGE: Final = 1e-5
_CONVERGED: Final = 1e-7
_BACKING: Final = slice(-2, None)


@dataclass(frozen=True, eq=False)
class Answered:
    """Texts with what student and teacher said to each: probabilities of shape (texts, labels).

    ``labelled`` has texts with the indexes of their labels: of these texts, which then count in
    place of the teacher's answers, and of others, which nobody was asked.
    """

    texts: Sequence[str]
    student: Floats
    teacher: Floats
    labelled: Mapping[str, int] = field(default_factory=dict)

    @property
    def agreed(self) -> Floats:
        """1 where both gave the same label, else 0."""
        same: Floats = (self.student.argmax(axis=1) == self.teacher.argmax(axis=1)).astype(float)
        return same

    @property
    def others(self) -> list[str]:
        """The labelled texts that were not asked."""
        asked = set(self.texts)
        return [text for text in self.labelled if text not in asked]

    def targets(self, others: Sequence[str]) -> Floats:
        """Return what the expert learns of the texts, and of others behind them."""
        certain = np.eye(self.teacher.shape[1])
        known = (self.labelled.get(text) for text in self.texts)
        rows = [
            answer if label is None else certain[label]
            for answer, label in zip(self.teacher, known, strict=True)
        ]
        return np.array(rows + [certain[self.labelled[text]] for text in others])


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A table, the head's weights, and what heads of half the texts did on the other half.

    ``confidences`` are those that they gave there, ascending.
    """

    table: FittedTable
    weights: tuple[float, ...]
    gain: HeadGain
    confidences: Floats


def fit_head(answered: Answered, *, slots: int = SLOTS, seed: int = 0) -> FittedHead:
    """Fit a head and measure it; the same texts and seed give the same head."""
    others, texts = answered.others, len(answered.texts)
    hashed, targets = hash_texts([*answered.texts, *others], slots), answered.targets(others)
    order = np.random.default_rng(seed).permutation(texts)
    halves = np.split(order, [len(order) // 2])
    seen = np.empty((texts, FEATURES))
    for own, other in (halves, halves[::-1]):
        rows = np.concatenate([own, np.arange(texts, len(targets))])
        table = fit_table(hashed.take(rows), targets[rows], penalty=PENALTY)
        seen[other] = _features(answered, other, table)
    agreed = answered.agreed
    confidences = np.empty(texts)
    for own, other in (halves, halves[::-1]):
        weights = _fit_weights(seen[own], agreed[own])
        confidences[other] = _logistic(_with_constant(seen[other]) @ weights)
    plain = answered.student.max(axis=1)
    return FittedHead(
        fit_table(hashed, targets, penalty=PENALTY),
        tuple(map(float, _fit_weights(seen, agreed))),
        measure_gain(confidences, plain, agreed > 0, seed=seed),
        np.sort(confidences),
    )


def _features(answered: Answered, rows: NDArray[np.int64], table: FittedTable) -> Floats:
    """Return the features of these rows, as a device computes them; shape (rows, FEATURES)."""
    expert = table.expert()
    found = []
    for row in rows.tolist():
        opinion: Opinion = expert.read(answered.texts[row])
        probabilities = answered.student[row].tolist()
        found.append(features(opinion, probabilities, int(answered.student[row].argmax())))
    return np.array(found)


def _fit_weights(seen: Floats, agreed: Floats) -> Floats:
    """Return a constant and a weight per feature.

    An expert that speaks for the model's label never makes the head less sure: where the fit says
    so, the weight is 0.
    """
    centre, spread = seen.mean(axis=0), seen.std(axis=0)
    spread[spread == 0.0] = 1.0
    design = _with_constant((seen - centre) / spread)
    free = np.ones(design.shape[1], bool)
    weights = _logistic_fit(design, agreed, free)
    if (weights[_BACKING] < 0.0).any():
        free[_BACKING] = weights[_BACKING] >= 0.0
        weights = _logistic_fit(design, agreed, free)
    weights[1:] /= spread
    weights[0] -= float(weights[1:] @ centre)
    return weights


def _logistic_fit(design: Floats, agreed: Floats, free: NDArray[np.bool_]) -> Floats:
    used = design[:, free]

    def objective(weights: Floats) -> tuple[float, Floats]:
        values = used @ weights
        loss = float(np.mean(np.logaddexp(0.0, values) - agreed * values))
        slope = used.T @ (_logistic(values) - agreed) / len(agreed)
        return loss + _RIDGE * float(weights @ weights), slope + 2.0 * _RIDGE * weights

    weights = np.zeros(design.shape[1])
    weights[free] = minimise(objective, np.zeros(used.shape[1]), tolerance=_CONVERGED)
    return weights


def _with_constant(seen: Floats) -> Floats:
    return np.column_stack([np.ones(len(seen)), seen])


def _logistic(values: Floats) -> Floats:
    positive: Floats = 1.0 / (1.0 + np.exp(-np.clip(values, -700.0, 700.0)))
    return positive
