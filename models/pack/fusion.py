"""Fit what an expert's opinion counts beside a model's: one number, from answers held out to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.pack.descent import minimise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST: Final = 20.0
"""An expert that counts so much is heard alone."""
_RIDGE: Final = 1e-6
_CONVERGED: Final = 1e-7


def fit_weight(probabilities: Floats, scores: Floats, wanted: NDArray[np.int64]) -> float:
    """Return the weight of the scores beside the log-probabilities; 0 where they say nothing.

    Both have shape (texts, labels), and ``wanted`` the index of each text's label. Both sides are
    weighed by a multinomial logistic regression, and only the ratio of their weights is kept: how
    sure the model is on average stays its own affair.
    """
    sides = np.stack([_logs(probabilities), scores])

    def objective(weights: Floats) -> tuple[float, Floats]:
        logs = _logs(_softmax(np.tensordot(weights, sides, 1)))
        rows = np.arange(len(wanted))
        off = np.exp(logs)
        off[rows, wanted] -= 1.0
        slope = (sides * off).sum(axis=(1, 2)) / len(rows)
        loss = -float(logs[rows, wanted].mean()) + _RIDGE * float(weights @ weights)
        return loss, slope + 2.0 * _RIDGE * weights

    model, expert = minimise(objective, np.zeros(2), tolerance=_CONVERGED).tolist()
    if expert <= 0.0:
        return 0.0
    return min(expert / model, _MOST) if model > 0.0 else _MOST


def fuse_rows(probabilities: Floats, scores: Floats, weight: float) -> Floats:
    """Return ``shared.runtimes.second_opinion.fuse`` of many texts, shape (texts, labels)."""
    return _softmax(_logs(probabilities) + weight * scores)


def _logs(probabilities: Floats) -> Floats:
    logs: Floats = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return logs


def _softmax(logs: Floats) -> Floats:
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares
