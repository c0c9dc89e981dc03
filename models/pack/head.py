"""Fit an agreement head: from a student's and a teacher's answers to the same texts.

No text needs a label: the expert learns the teacher's answers, and the head learns where the
student gives another. Labels, if there are any, are for the expert alone. So are labelled texts
beyond those that were asked: on texts that both models were trained on they agree as nowhere else,
which is nothing for a head to learn.

What an expert thinks of a text that it was fitted to flatters it, so the head is fitted to what two
experts, of half the texts each, think of the other half; what it will bring is said by two heads,
of half the texts each, on the other half. Served are an expert and a head of all texts.

From the same opinions come what the expert counts where it is fused with the model's answers, and a
head for those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from models.pack.descent import minimise
from models.pack.expert import FittedTable, fit_table, hash_texts
from models.pack.fusion import fit_weight, fuse_rows
from models.pack.head_gain import FusionGain, HeadGain, JudgedTexts, measure_fusion, measure_gain
from shared.runtimes.agreement_head import Opinion, features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    _Halves: TypeAlias = tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]

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
        return self.agrees(self.student).astype(np.float64)

    def agrees(self, answers: Floats) -> NDArray[np.bool_]:
        """Return where answers, of shape (texts, labels), give the label that the teacher gave."""
        same: NDArray[np.bool_] = answers.argmax(axis=1) == self.teacher.argmax(axis=1)
        return same

    @cached_property
    def truth(self) -> NDArray[np.int64]:
        """Return the index of each text's label, -1 where it has none."""
        return np.array([self.labelled.get(text, -1) for text in self.texts], np.int64)

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


class FittedFusion(NamedTuple):
    """What the expert counts beside the model, and the head's weights for answers that are fused.

    ``gain`` and ``confidences`` are those of held-out texts.
    """

    weight: float
    weights: tuple[float, ...]
    gain: FusionGain
    confidences: Floats


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A table, the head's weights, and what heads of half the texts did on the other half.

    ``confidences`` are those that they gave there, ascending. ``fusion`` is None where the expert
    has nothing to add to the model's answers.
    """

    table: FittedTable
    weights: tuple[float, ...]
    gain: HeadGain
    confidences: Floats
    fusion: FittedFusion | None = None


class _Confident(NamedTuple):
    """Weights fitted to all texts, and the confidences of weights of the other half of them."""

    weights: tuple[float, ...]
    held_out: Floats


def fit_head(answered: Answered, *, slots: int = SLOTS, seed: int = 0) -> FittedHead:
    """Fit a head and measure it; the same texts and seed give the same head."""
    others, texts = answered.others, len(answered.texts)
    hashed, targets = hash_texts([*answered.texts, *others], slots), answered.targets(others)
    first, second = np.split(np.random.default_rng(seed).permutation(texts), [texts // 2])
    halves = ((first, second), (second, first))
    opinions: dict[int, Opinion] = {}
    for own, other in halves:
        rows = np.concatenate([own, np.arange(texts, len(targets))])
        expert = fit_table(hashed.take(rows), targets[rows], penalty=PENALTY).expert()
        opinions |= {row: expert.read(answered.texts[row]) for row in other.tolist()}
    heard = [opinions[row] for row in range(texts)]
    student = answered.student
    own_head = _fit_confidence(heard, student, answered.agrees(student), halves)
    return FittedHead(
        fit_table(hashed, targets, penalty=PENALTY),
        own_head.weights,
        measure_gain(own_head.held_out, student.max(axis=1), answered.agrees(student), seed=seed),
        np.sort(own_head.held_out),
        _fit_fusion(answered, heard, own_head.held_out, halves, seed),
    )


def _fit_fusion(
    answered: Answered,
    heard: Sequence[Opinion],
    own_confidence: Floats,
    halves: _Halves,
    seed: int,
) -> FittedFusion | None:
    """Fit the weight to labels where there are any, else to the teacher's; None where it is 0."""
    scores = np.array([opinion.scores for opinion in heard])
    student, truth = answered.student, answered.truth
    wanted = np.where(truth < 0, answered.teacher.argmax(axis=1), truth)
    weight = fit_weight(student, scores, wanted)
    if weight == 0.0:
        return None
    fused = np.empty_like(student)
    for own, other in halves:
        fused[other] = fuse_rows(
            student[other], scores[other], fit_weight(student[own], scores[own], wanted[own])
        )
    head = _fit_confidence(heard, fused, answered.agrees(fused), halves)
    known = truth >= 0
    right = tuple((answers.argmax(axis=1) == truth)[known] for answers in (fused, student))
    gain = measure_fusion(
        JudgedTexts(head.held_out, answered.agrees(fused)),
        JudgedTexts(own_confidence, answered.agrees(student)),
        (right[0], right[1]),
        seed=seed,
    )
    return FittedFusion(weight, head.weights, gain, np.sort(head.held_out))


def _fit_confidence(
    heard: Sequence[Opinion], answers: Floats, agreed: NDArray[np.bool_], halves: _Halves
) -> _Confident:
    """Fit a head's weights to answers, of shape (texts, labels), as a device computes features."""
    labels = answers.argmax(axis=1)
    each = zip(heard, answers.tolist(), labels.tolist(), strict=True)
    seen, same = np.array([features(*one) for one in each]), agreed.astype(float)
    held_out = np.empty(len(agreed))
    for own, other in halves:
        weights = _fit_weights(seen[own], same[own])
        held_out[other] = _logistic(_with_constant(seen[other]) @ weights)
    return _Confident(tuple(map(float, _fit_weights(seen, same))), held_out)


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
