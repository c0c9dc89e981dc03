"""What a model is worth on a domain: its accuracy, its confidence, and what it has to send up.

Every figure is of all test texts of the domain, asked at the edge, and is the mean over the orders
of arrival. Intervals are 95 % bootstraps over texts, each of which is drawn for both sides of a
difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from experiments.evaluation.equal_accuracy import PairedSample, Saving, saving
from experiments.evaluation.statistics import auroc, interval_of, resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from experiments.evaluation.matrix import TierAnswers
    from shared.telemetry.intervals import Interval

    Floats = NDArray[np.float64]

SHARES: Final = tuple(round(0.02 * step, 2) for step in range(51))
"""Shares of the least sure texts that go up."""
_DRAWS: Final = 2_000


class AskedEdge(NamedTuple):
    """A test set as it is answered: the truth, the cloud, and the edge once for each order."""

    truth: NDArray[np.int64]
    cloud: TierAnswers
    edges: Sequence[TierAnswers]

    @property
    def right(self) -> Floats:
        """How often the edge is right, over the orders; shape (texts,)."""
        right: Floats = np.mean([edge.labels == self.truth for edge in self.edges], axis=0)
        return right


class Estimate(NamedTuple):
    """A share, or a difference of two, with its interval."""

    value: float
    interval: Interval


class KindFigures(NamedTuple):
    """What is said of an edge on a domain, beside the same edge without nights.

    ``gain`` is the difference in accuracy; ``up`` what both send up where the final accuracy is
    that of the one without nights at its β.
    """

    texts: int
    accuracy: Estimate
    gain: Estimate
    auroc: float
    up: Saving


def measure(with_nights: AskedEdge, without: AskedEdge, beta: float) -> KindFigures:
    """Hold an edge after its nights against the same edge without any."""
    right, before = with_nights.right, without.right
    weights = resampled(len(right), _DRAWS, 0) / len(right)
    confidence = [auroc(e.confidence, e.labels == with_nights.truth) for e in with_nights.edges]
    return KindFigures(
        len(right),
        _share(right, weights),
        _share(right - before, weights),
        float(np.mean(confidence)),
        saving(sent_up(without), SHARES.index(beta), sent_up(with_nights)),
    )


def cloud_right(asked: AskedEdge, beta: float) -> tuple[float, float]:
    """Return the share that the cloud has right, of all texts and of what the edges send up."""
    right = asked.cloud.labels == asked.truth
    up = sent_up(asked).cost[SHARES.index(beta)]
    return float(right.mean()), float((right * up).sum() / up.sum())


def sent_up(asked: AskedEdge) -> PairedSample:
    """Return what is right and what goes up where the least sure share of the texts does."""
    runs = [_sent_up(asked, edge) for edge in asked.edges]
    right, cost = (np.mean(each, axis=0) for each in zip(*runs, strict=True))
    return PairedSample(right, cost)


def _sent_up(asked: AskedEdge, edge: TierAnswers) -> tuple[Floats, Floats]:
    place = np.argsort(np.argsort(edge.confidence, kind="stable")) / len(asked.truth)
    up = place[None, :] < np.array(SHARES)[:, None]
    right = np.where(up, asked.cloud.labels == asked.truth, edge.labels == asked.truth)
    return right.astype(np.float64), up.astype(np.float64)


def _share(values: Floats, weights: Floats) -> Estimate:
    return Estimate(float(values.mean()), interval_of(weights @ values))
