"""How good answers and confidences are, and how sure one can be of it.

Everything here takes arrays over n prompts: ``right`` (bool), ``confidence`` (in [0, 1]), label
indexes. Tied confidences never depend on the order of the rows: they count as their average over
every order. Intervals are 95 % percentile bootstraps over prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from shared.telemetry.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.int64]
    Right = NDArray[np.bool_]
    Floats = NDArray[np.float64]

_TAIL: Final = 0.025


class RiskCoverage(NamedTuple):
    """Risk among the surest prompts; both have shape (n,).

    ``risk[k]`` is the share of wrong answers among the k + 1 surest prompts, which are a share
    ``coverage[k]`` of all.
    """

    coverage: Floats
    risk: Floats

    @property
    def area(self) -> float:
        """AURC: the mean of the risk over all coverages; lower is better."""
        return float(self.risk.mean())


class Reliability(NamedTuple):
    """Bins of equal width over [0, 1]; all have shape (bins,).

    ``confidence`` and ``accuracy`` are means of the prompts in a bin, NaN in an empty one.
    """

    prompts: Labels
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: how far accuracy lies from confidence, mean over prompts."""
        gap = np.abs(self.accuracy - self.confidence)
        return float(np.nansum(gap * self.prompts) / self.prompts.sum())


def accuracy(right: Right) -> float:
    """Return the share of right answers."""
    return float(right.mean())


def agreement(labels: Labels, others: Labels) -> float:
    """Return the share of prompts that two tiers answer alike."""
    return float((labels == others).mean())


def macro_f1(labels: Labels, truth: Labels) -> float:
    """Return the mean F1 score over the labels that occur among answers or truths."""
    present = np.union1d(labels, truth)
    hits = np.array([((labels == name) & (truth == name)).sum() for name in present])
    given = np.array([(labels == name).sum() for name in present])
    true = np.array([(truth == name).sum() for name in present])
    return float((2 * hits / (given + true)).mean())


def auroc(confidence: Floats, right: Right) -> float:
    """Return the chance that a right answer is surer than a wrong one; ties count half.

    NaN when all answers are right, or all wrong.
    """
    wrong = int((~right).sum())
    pairs = wrong * (len(right) - wrong)
    if not pairs:
        return float("nan")
    hits = len(right) - wrong
    return float((_ranks(confidence)[right].sum() - hits * (hits + 1) / 2) / pairs)


def rank_correlation(values: Floats, others: Floats) -> float:
    """Return Spearman's rank correlation; NaN of what never varies."""
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = np.asarray(np.corrcoef([_ranks(values), _ranks(others)]))
    return float(correlations[0, 1])


def risk_coverage(confidence: Floats, right: Right) -> RiskCoverage:
    """Return the risk-coverage curve of answering the surest prompts first."""
    _, group, size = np.unique(-confidence, return_inverse=True, return_counts=True)
    wrong = np.bincount(group, weights=~right)
    errors = np.cumsum(np.repeat(wrong / size, size))
    kept = np.arange(1, len(right) + 1)
    return RiskCoverage(kept / len(right), errors / kept)


def reliability(confidence: Floats, right: Right, bins: int = 15) -> Reliability:
    """Return how often answers of each confidence are right; a bin holds its upper edge.

    Bins as in Guo, Pleiss, Sun and Weinberger, *On Calibration of Modern Neural Networks*.
    """
    inner = np.arange(1, bins) / bins
    bin_of = np.searchsorted(inner, confidence, side="left")
    prompts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bin_of, weights=confidence, minlength=bins) / prompts
        share = np.bincount(bin_of, weights=right, minlength=bins) / prompts
    return Reliability(prompts, mean, share)


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Accuracies of k ways of answering in resamples of the same prompts; shape (draws, k).

    Every way sees the same resample, so differences are paired.
    """

    accuracies: Floats

    def accuracy(self, way: int) -> Interval:
        """Return the interval of one accuracy."""
        return interval_of(self.accuracies[:, way])

    def difference(self, way: int, other: int) -> Interval:
        """Return the interval of how much more accurate ``way`` is than ``other``."""
        return interval_of(self.accuracies[:, way] - self.accuracies[:, other])


def bootstrap(right: Right, *, draws: int = 2000, seed: int = 0) -> Bootstrap:
    """Resample the prompts; ``right`` has shape (k, n), a row for each way of answering.

    Prompts with the same pattern of right and wrong are drawn together: their counts in a
    resample are multinomial, so nothing but the k × patterns table is touched per draw.
    """
    patterns, counts = np.unique(right, axis=1, return_counts=True)
    prompts = right.shape[1]
    drawn = np.random.default_rng(seed).multinomial(prompts, counts / prompts, size=draws)
    accuracies: Floats = (drawn @ patterns.T.astype(np.float64)) / prompts
    return Bootstrap(accuracies)


def resampled(count: int, draws: int, seed: int) -> Labels:
    """Return how often each of ``count`` prompts is in a resample; shape (draws, count)."""
    return np.random.default_rng(seed).multinomial(count, np.ones(count) / count, size=draws)


def interval_of(values: Floats) -> Interval:
    """Return the 95 % interval of values that a bootstrap drew."""
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    return Interval(float(low), float(high))


def _ranks(values: Floats) -> Floats:
    """Return ranks from 1; equal values have their mean rank."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(size) - (size - 1) / 2)[group]
    return ranks
