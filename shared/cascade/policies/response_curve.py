"""How likely an event is at a confidence, learned as it happens: what learning policies share.

A logistic curve in the log-odds of the confidence, fitted to counts in narrow bins of it. The
prior says that models mean what they say (an answer of confidence c is wrong with probability
1 − c), so the curve is of use from the first prompt; old events fade.
"""

from __future__ import annotations

import math
from typing import Annotated, Final

import msgspec

_LOWEST: Final = -4.0
_HIGHEST: Final = 12.0
_PER_UNIT: Final = 8
BINS: Final = int((_HIGHEST - _LOWEST) * _PER_UNIT)
_CENTRES: Final = [_LOWEST + (index + 0.5) / _PER_UNIT for index in range(BINS)]
_TINY: Final = 1e-6
_NEWTON_STEPS: Final = 4


_Counts = Annotated[
    tuple[Annotated[float, msgspec.Meta(ge=0)], ...], msgspec.Meta(min_length=BINS, max_length=BINS)
]


class CurveMemory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a curve rests on: observations and events by bin, and the last fit."""

    trials: _Counts
    events: _Counts
    a: float
    b: float
    variance: tuple[float, float, float]


def bin_of(confidence: float) -> int:
    """Return the bin of a confidence; both ends of the scale are clipped."""
    index = int((log_odds(confidence) - _LOWEST) * _PER_UNIT)
    return min(max(index, 0), BINS - 1)


def log_odds(confidence: float) -> float:
    """Return log(c / (1 - c)), finite at both ends."""
    clipped = min(max(confidence, _TINY), 1.0 - _TINY)
    return math.log(clipped / (1.0 - clipped))


def lower_edge(index: int) -> float:
    """Return the smallest confidence of a bin."""
    if index <= 0:
        return 0.0
    return 1.0 / (1.0 + math.exp(-(_LOWEST + index / _PER_UNIT)))


class ResponseCurve:
    """P(event | confidence) = σ(a + b·log-odds), fitted to at most about ``memory`` events.

    The prior is a = ``intercept``, b = ``slope``, worth ``prior`` observations in the middle of
    the scale. ``fit`` is a few Newton steps over the bins in use; call it now and then.
    """

    def __init__(
        self,
        *,
        intercept: float = 0.0,
        slope: float = -1.0,
        prior: float = 20.0,
        memory: int = 5_000,
    ) -> None:
        self._prior = (intercept, slope)
        self._weight = prior / 4.0  # the information of one coin toss is 1/4
        self._memory = memory
        self._a, self._b = intercept, slope
        self._trials = [0.0] * BINS
        self._events = [0.0] * BINS
        self._variance = (1.0 / self._weight, 0.0, 1.0 / self._weight)

    @property
    def observations(self) -> float:
        """How many observations the curve rests on, after fading."""
        return sum(self._trials)

    def add(self, index: int, event: bool) -> None:
        """Count one observation at a bin."""
        self._trials[index] += 1.0
        self._events[index] += event

    def remember(self) -> CurveMemory:
        """Return what the curve rests on."""
        return CurveMemory(
            tuple(self._trials), tuple(self._events), self._a, self._b, self._variance
        )

    def recall(self, memory: CurveMemory) -> None:
        """Take up what a curve rested on."""
        self._trials, self._events = list(memory.trials), list(memory.events)
        self._a, self._b, self._variance = memory.a, memory.b, memory.variance

    def probability(self, index: int) -> float:
        """Return the fitted probability at a bin."""
        return _sigmoid(self._a + self._b * _CENTRES[index])

    def upper(self, index: int, z: float) -> float:
        """Return the fitted probability at a bin, ``z`` standard errors of its log-odds higher."""
        u = _CENTRES[index]
        aa, ab, bb = self._variance
        error = math.sqrt(max(aa + 2.0 * u * ab + u * u * bb, 0.0))
        return _sigmoid(self._a + self._b * u + z * error)

    def fit(self) -> None:
        """Fit the curve to what was counted, starting from the last fit."""
        self._fade()
        used = [i for i, trials in enumerate(self._trials) if trials]
        for _ in range(_NEWTON_STEPS):
            self._step(used)

    def mean(self, counts: list[float], first: int, total: float) -> tuple[float, float]:
        """Return Σ counts·P / total over the bins from ``first`` up, and its standard error.

        The error is that of the fitted curve (delta method).
        """
        mean = gradient_a = gradient_b = 0.0
        for index in range(first, BINS):
            if counts[index]:
                p = self.probability(index)
                slope = counts[index] * p * (1.0 - p)
                mean += counts[index] * p
                gradient_a += slope
                gradient_b += slope * _CENTRES[index]
        aa, ab, bb = self._variance
        variance = gradient_a**2 * aa + 2 * gradient_a * gradient_b * ab + gradient_b**2 * bb
        return mean / total, math.sqrt(max(variance, 0.0)) / total

    def _fade(self) -> None:
        """Let old counts weigh less once there are more than the memory holds."""
        total = self.observations
        if total > self._memory:
            keep = self._memory / total
            self._trials = [trials * keep for trials in self._trials]
            self._events = [events * keep for events in self._events]

    def _step(self, used: list[int]) -> None:
        """Make one Newton step on the penalised log-likelihood."""
        a0, b0 = self._prior
        weight = self._weight
        ga, gb = weight * (a0 - self._a), weight * (b0 - self._b)
        haa, hab, hbb = weight, 0.0, weight
        for index in used:
            u, trials = _CENTRES[index], self._trials[index]
            p = _sigmoid(self._a + self._b * u)
            residual, curvature = self._events[index] - trials * p, trials * p * (1.0 - p)
            ga += residual
            gb += residual * u
            haa += curvature
            hab += curvature * u
            hbb += curvature * u * u
        determinant = haa * hbb - hab * hab
        self._a += _bounded((hbb * ga - hab * gb) / determinant)
        self._b += _bounded((haa * gb - hab * ga) / determinant)
        self._variance = (hbb / determinant, -hab / determinant, haa / determinant)


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    odds = math.exp(x)
    return odds / (1.0 + odds)


def _bounded(step: float) -> float:
    return min(max(step, -2.0), 2.0)
