"""The oracle bound: the best accuracy that any routing can have at each burden.

The oracle knows which tiers are right about a prompt. It answers every prompt where that is
cheapest, and spends burden only to reach the cheapest tier that is right, prompts that gain the
most for the least first. Each prompt it pays for gains exactly one right answer, so taking the
cheapest first is optimal at every point of the curve. No policy over the same tiers and the same
accounting lies above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AccuracyCurve(NamedTuple):
    """Accuracy at each mean burden per prompt, both rising; shape (points,)."""

    burden: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def at(self, burden: float) -> float:
        """Return the best accuracy at no more than this burden; NaN below the cheapest."""
        point = int(np.searchsorted(self.burden, burden, side="right")) - 1
        return float(self.accuracy[point]) if point >= 0 else float("nan")


def oracle(right: NDArray[np.bool_], costs: NDArray[np.float64]) -> AccuracyCurve:
    """Return the bound for answers that are ``right`` at ``costs``; both of shape (tiers, n).

    The first point spends nothing that gains nothing; the last one has every prompt right that
    any tier has right.
    """
    cheapest = costs.min(axis=0)
    extra = np.where(right, costs, np.inf).min(axis=0) - cheapest
    gains = np.sort(extra[np.isfinite(extra)])
    free = int(np.searchsorted(gains, 0.0, side="right"))
    spent = np.concatenate([[0.0], np.cumsum(gains[free:])])
    hits = np.arange(free, len(gains) + 1)
    prompts = right.shape[1]
    return AccuracyCurve((cheapest.sum() + spent) / prompts, hits / prompts)
