"""What a policy costs at another's accuracy, with its interval.

Policies have knobs, so two of them are compared along their curves: at the accuracy of one run of
the reference, the cost of the contender is read off its frontier (the cheapest way to each
accuracy, straight between neighbouring settings, as time-sharing gives). The interval is a
percentile bootstrap over prompts: every draw resamples them for both and reads the cost anew.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from experiments.evaluation.statistics import resampled
from shared.telemetry.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class PairedSample(NamedTuple):
    """Settings of a policy on the same n prompts, in the same order of prompts.

    ``right`` and ``cost`` have shape (settings, n); with several orders of arrival, each entry is
    the mean over them.
    """

    right: Floats
    cost: Floats


class Saving(NamedTuple):
    """Cost of the reference, of the contender at its accuracy, and the share saved."""

    reference: float
    contender: float
    share: float
    interval: Interval


def saving(
    reference: PairedSample,
    setting: int,
    contender: PairedSample,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Saving:
    """Compare the contender's frontier with one setting of the reference.

    A contender that never reaches the accuracy costs infinity, and the share saved is -∞.
    """
    prompts = reference.right.shape[1]
    right, cost = reference.right[setting], reference.cost[setting]
    means = np.ones((1, prompts)) / prompts
    weights = np.concatenate([means, resampled(prompts, draws, seed) / prompts])
    targets, costs = weights @ right, weights @ cost
    accuracies, prices = weights @ contender.right.T, weights @ contender.cost.T
    at_equal = np.array(
        [cheapest(a, p, t) for a, p, t in zip(accuracies, prices, targets, strict=True)]
    )
    shares = 1.0 - at_equal / costs
    low, high = np.quantile(shares[1:], [0.025, 0.975], method="nearest")
    return Saving(
        float(costs[0]), float(at_equal[0]), float(shares[0]), Interval(float(low), float(high))
    )


def cheapest(accuracies: Floats, costs: Floats, target: float) -> float:
    """Return the least cost that reaches an accuracy along the upper hull of the settings."""
    hull = _hull(accuracies, costs)
    if target > hull[-1][0]:
        return float("inf")
    if target <= hull[0][0]:
        return hull[0][1]
    for (a0, c0), (a1, c1) in pairwise(hull):
        if a0 < target <= a1:
            return c0 + (c1 - c0) * (target - a0) / (a1 - a0)
    raise AssertionError("the target lies between the ends of the hull")


def _hull(accuracies: Floats, costs: Floats) -> list[tuple[float, float]]:
    """Return (accuracy, cost) along the lower convex hull, both rising."""
    points = sorted(zip(costs.tolist(), accuracies.tolist(), strict=True))
    hull: list[tuple[float, float]] = []
    for cost, accuracy in points:
        if hull and accuracy <= hull[-1][0]:
            continue
        while len(hull) > 1 and _is_above(hull[-2], hull[-1], (accuracy, cost)):
            hull.pop()
        hull.append((accuracy, cost))
    return hull


def _is_above(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Say whether the middle point costs no less than the line between its neighbours."""
    (a0, c0), (a1, c1), (a2, c2) = first, middle, last
    return (c1 - c0) * (a2 - a0) >= (c2 - c0) * (a1 - a0)
