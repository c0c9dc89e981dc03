"""How likely two questions are one: a logistic on what can be measured of the pair, after guards.

What it goes by: the cosine, the share of names in common, the lead over the next candidate, how
alike the lengths are, and whether this *rewording* is known (``rewordings``).

Weights are refitted from labelled pairs, which every answer from above brings, with the shipped
ones as a prior; each entry has an offset of its own from what became of its own uses (after vCache,
arXiv 2502.03771).
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from edge_agent.memory.guards import difference, name_overlap
from edge_agent.memory.rewordings import UNPROVED, Rewordings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_agent.memory.wording import Question

SHIPPED: Final = (-14.0, 11.0, 3.0, 3.0, 1.0, 6.0)
"""Intercept, cosine, names, lead, length, rewording: fitted on generated questions."""
_PRIOR_STRENGTH: Final = 0.5
_KEPT: Final = 4_000
_ROUNDS: Final = 25
_LONGEST_STEP: Final = 4.0
_LEAD: Final = 0.2
_OFFSET_VARIANCE: Final = 4.0
_DOUBTED: Final = 0.89
"""Just below what the router takes for nearly surely the same."""


class Likeness(NamedTuple):
    """What is measured of a pair, each in [0, 1], and the guard that speaks against it."""

    cosine: float
    names: float
    lead: float
    length: float
    rewording: float
    guard: str

    @property
    def features(self) -> tuple[float, ...]:
        """The numbers that the logistic weighs, with a 1 for the intercept."""
        return (1.0, self.cosine, self.names, self.lead, self.length, self.rewording)


class PairLabel(msgspec.Struct, frozen=True, array_like=True):
    """A pair of which became known whether it was one question."""

    features: tuple[float, ...]
    same: bool


class QuestionVerifier:
    """The logistic, its labels, and the rewordings that it knows."""

    def __init__(self, weights: Sequence[float] = SHIPPED) -> None:
        self.rewordings = Rewordings()
        self.weights = np.array(weights)
        self._prior = np.array(SHIPPED)
        self._labels: deque[PairLabel] = deque(maxlen=_KEPT)

    def compare(
        self, asked: Question, known: Question, cosine: float, runner_up: float
    ) -> Likeness:
        """Measure a pair; ``runner_up`` is the cosine of the nearest other entry."""
        shorter, longer = sorted((len(asked.words), len(known.words)))
        return Likeness(
            cosine=min(1.0, max(0.0, cosine)),
            names=name_overlap(asked, known),
            lead=min(1.0, max(0.0, (cosine - runner_up) / _LEAD)),
            length=shorter / longer if longer else 1.0,
            rewording=self.rewordings.share(asked, known),
            guard=difference(asked, known),
        )

    def probability(self, likeness: Likeness, offset: float = 0.0) -> float:
        """Return how likely the pair is one question; 0 where a guard speaks against it.

        A rewording that has not proved itself yet is not trusted, whatever its likeness.
        """
        if likeness.guard:
            return 0.0
        chance = _sigmoid(float(self.weights @ np.array(likeness.features)) + offset)
        return chance if likeness.rewording > UNPROVED else min(chance, _DOUBTED)

    def note(self, likeness: Likeness, *, same: bool) -> None:
        """Keep a label for the next fit; pairs that a guard tells apart teach it nothing."""
        if not likeness.guard:
            self._labels.append(PairLabel(likeness.features, same))

    def refit(self) -> None:
        """Fit the weights to the labels kept, drawn towards the shipped ones."""
        if self._labels:
            self.weights = fit(list(self._labels), self._prior)

    @property
    def labels(self) -> list[PairLabel]:
        """What was learned from, to be kept."""
        return list(self._labels)

    def take(self, labels: Sequence[PairLabel]) -> None:
        """Take labels that were kept."""
        self._labels.extend(labels)


def fit(labels: Sequence[PairLabel], prior: np.ndarray) -> np.ndarray:
    """Return the weights that explain the labels best, by Newton's method.

    They are drawn towards ``prior`` as by a Gaussian; more likeness never counts against a pair.
    """
    rows = np.array([label.features for label in labels])
    same = np.array([label.same for label in labels], float)
    weights = prior.astype(float).copy()
    pull = np.eye(len(prior)) * _PRIOR_STRENGTH
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        gradient = rows.T @ (chance - same) + pull @ (weights - prior)
        curvature = (rows * (chance * (1 - chance))[:, None]).T @ rows + pull
        free = np.flatnonzero((weights > 0) | (gradient < 0) | (np.arange(len(weights)) == 0))
        step = np.zeros_like(weights)
        step[free] = np.linalg.solve(curvature[np.ix_(free, free)], gradient[free])
        weights = weights - step * min(1.0, _LONGEST_STEP / max(1e-9, float(np.abs(step).max())))
        weights[1:] = np.maximum(weights[1:], 0.0)
    return np.asarray(weights)


def offset_of(uses: Sequence[tuple[float, bool]]) -> float:
    """Return an entry's own offset from its uses: the logit each had, and whether it was right.

    It is the most likely one under a Gaussian prior at 0: an entry that was right where that was
    not expected is trusted sooner, one that was wrong needs more.
    """
    offset = 0.0
    for _ in range(_ROUNDS):
        chances = [_sigmoid(logit + offset) for logit, _ in uses]
        gradient = sum(c - right for c, (_, right) in zip(chances, uses, strict=True))
        gradient += offset / _OFFSET_VARIANCE
        curvature = sum(c * (1 - c) for c in chances) + 1 / _OFFSET_VARIANCE
        offset -= gradient / curvature
    return offset


def logit(probability: float) -> float:
    """Return the log odds of a probability."""
    kept = min(1 - 1e-9, max(1e-9, probability))
    return math.log(kept / (1 - kept))


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-min(30.0, max(-30.0, value))))
