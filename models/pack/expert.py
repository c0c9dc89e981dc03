"""Fit the expert of a head: a logistic regression over hashed words and word pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from models.pack.descent import minimise
from shared.ngrams import slots_of
from shared.runtimes.agreement_head import Expert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LARGEST: Final = 127
_CONVERGED: Final = 1e-6
_FLAT: Final = 1e-3
"""Ten steps that bring less than this share of the loss end the fit: answers hardly change then."""


@dataclass(frozen=True, eq=False)
class HashedTexts:
    """The slots of n texts, one after another: text i has those from ``starts[i]`` on."""

    slots: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    size: int

    def take(self, rows: NDArray[np.int64]) -> HashedTexts:
        """Return these texts in this order."""
        counts = self.counts[rows]
        ends = np.cumsum(counts)
        starts = ends - counts
        places = np.arange(ends[-1]) - np.repeat(starts - self.starts[rows], counts)
        return HashedTexts(self.slots[places], starts, counts, self.size)


@dataclass(frozen=True, eq=False)
class FittedTable:
    """A table as ``shared.runtimes.agreement_head.Expert`` takes it."""

    weights: bytes
    scale: float
    constants: tuple[float, ...]

    def expert(self) -> Expert:
        """Return the expert that reads with it."""
        return Expert(self.weights, scale=self.scale, constants=self.constants)


def hash_texts(texts: Sequence[str], size: int) -> HashedTexts:
    """Return the slots of texts in a table of ``size``, a power of two."""
    found = [np.fromiter(slots_of(text, size - 1)[1], np.int64) for text in texts]
    counts = np.array([max(len(slots), 1) for slots in found], np.int64)
    # A text without a word has slot 0, so that every text has one: it counts for nothing.
    slots = np.concatenate([each if len(each) else np.zeros(1, np.int64) for each in found])
    return HashedTexts(slots, np.cumsum(counts) - counts, counts, size)


def fit_table(hashed: HashedTexts, targets: Floats, *, penalty: float) -> FittedTable:
    """Fit scores whose softmax is as near as can be to ``targets``, of shape (texts, labels).

    ``penalty`` is half the weight of the squared weights in the mean loss. Label 0 scores 0.
    """
    texts, labels = targets.shape
    columns, size = labels - 1, hashed.size
    unit = 1.0 / np.sqrt(hashed.counts)

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights, constants = flat[:-columns].reshape(columns, size), flat[-columns:]
        scores = np.zeros((texts, labels))
        for column in range(columns):
            sums = np.add.reduceat(weights[column][hashed.slots], hashed.starts)
            scores[:, column + 1] = constants[column] + unit * sums
        largest = scores.max(axis=1, keepdims=True)
        logs = scores - largest - np.log(np.exp(scores - largest).sum(axis=1, keepdims=True))
        loss = -float((targets * logs).sum() / texts) + penalty * float((weights**2).sum())
        off = (np.exp(logs) * targets.sum(axis=1, keepdims=True) - targets)[:, 1:] / texts
        slope = np.empty_like(flat)
        for column in range(columns):
            pulls = np.repeat(off[:, column] * unit, hashed.counts)
            slope[column * size : (column + 1) * size] = np.bincount(
                hashed.slots, weights=pulls, minlength=size
            )
        slope[:-columns] += 2.0 * penalty * flat[:-columns]
        slope[-columns:] = off.sum(axis=0)
        return loss, slope

    start = np.zeros(columns * (size + 1))
    fitted = minimise(objective, start, tolerance=_CONVERGED, least_fall=_FLAT)
    return _quantised(fitted[:-columns], fitted[-columns:])


def _quantised(weights: Floats, constants: Floats) -> FittedTable:
    """Round to int8, the largest weight to 127: to cut the few largest would cost more."""
    scale = max(float(np.abs(weights).max()), 1e-9) / _LARGEST
    rounded = np.rint(weights / scale).astype(np.int8)
    return FittedTable(rounded.tobytes(), scale, tuple(map(float, constants)))
